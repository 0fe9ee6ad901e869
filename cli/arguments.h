#pragma once

// The command line of one verb: what it takes, how that is read, and the help about it. CLI11
// splits and matches; its types and exceptions end in arguments.cpp.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

/// What one flag, option or word is called and means; for help and completion.
struct ArgumentHelp {
  std::vector<std::string> names;  ///< `-p`, `--param`; of a word: `FILE`
  std::string value;               ///< `K=V`; empty for flags and words
  std::string text;
  std::vector<std::string> choices;  ///< the words that are allowed; empty: any
  bool is_word = false;
  bool required = false;
  bool repeated = false;
};

/// Targets are written only by `parse`, and keep their value when the user does not mention them.
/// Names are a list as on a help page: `-p,--param`.
class Arguments {
 public:
  Arguments(std::string verb, std::string summary);
  ~Arguments();
  Arguments(Arguments&&) noexcept;

  void flag(std::string_view names, bool& target, std::string_view text);
  /// Once: of two filters of a kind neither may be dropped without a word.
  void option(std::string_view names, std::string_view value, std::string& target,
              std::string_view text);
  /// Any number of times; the values of each stay as they are (no lists by comma).
  void option(std::string_view names, std::string_view value, std::vector<std::string>& target,
              std::string_view text);
  /// A whole number from `min` on. Of several the last one counts, also of those below.
  void option(std::string_view names, std::string_view value, std::optional<std::int64_t>& target,
              std::int64_t min, std::string_view text);
  /// A duration with its unit.
  void option(std::string_view names, std::string_view value, std::optional<Duration>& target,
              std::string_view text);
  /// One of `choices`.
  void choice(std::string_view names, std::string_view value, std::string& target,
              std::vector<std::string> choices, std::string_view text);

  void word(std::string_view name, std::string& target, bool required, std::string_view text,
            std::vector<std::string> choices = {});
  void words(std::string_view name, std::vector<std::string>& target, bool required,
             std::string_view text);

  /// `-o FORMAT` and `--no-header`; only `formats` are allowed, the first is the default.
  void output(OutputOptions& target, std::vector<Format> formats);

  /// Called by `parse` when all words are read, in the order of declaration: what they mean
  /// together. It may move what was read into other targets. Its error is one of `parse`, behind
  /// the name of the verb.
  void check(std::function<Result<void>()> test);

  /// Lines under `Examples` of the help page.
  void example(std::string_view command, std::string_view text = {});
  /// A paragraph of the help page, between the options and the examples.
  void note(std::string_view paragraph);

  /// Reads the words after the verb. Errors: `invalid`, with the nearest known option.
  Result<void> parse(std::vector<std::string> words);
  bool wants_help() const;

  /// `usage: pawl run FILE [-p K=V]… [--concurrency N] [--detach]`.
  std::string usage() const;
  /// The whole page.
  std::string help(const Terminal& terminal) const;
  const std::vector<ArgumentHelp>& described() const;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace pawl
