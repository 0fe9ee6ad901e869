#pragma once

// The declared output of a program: collected while it writes, judged when it has ended.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/worker/attempt_end.h"
#include "plugins/worker/mask.h"
#include "scheduler/loop/fd.h"

namespace pawl {

/// What an output is made of; everything that judging it needs, so that it can be judged on another
/// thread.
struct OutputSource {
  OutputFormat format = OutputFormat::none;
  std::string written_file;  ///< PAWL_OUTPUT; empty: standard output
  std::string value;         ///< what came from there, or an operator gave back (text, json)
  std::string_view place = "standard output";  ///< what messages call `value`
  bool too_large = false;                      ///< more came than is kept
  std::string spool_file;   ///< where a file output is kept, absolute (log_dir); jsonl went there
  std::string spool_error;  ///< the spool could not be written
  std::string home;         ///< for the path in the result
  std::shared_ptr<const Mask> mask;
};

/// An output, or why there is none: a message for the user, reason `output`.
struct OutputResult {
  AttemptOutput output;
  std::string error;
};

/// Judges and keeps an output: size, encoding, JSON; at most kJournalInlineBytesMax stay inline,
/// the rest lies in a file that is synced with its folder. Blocks on files.
OutputResult finish_output(const OutputSource& source);

/// True when `finish_output` may write, sync or read much: it then belongs on another thread.
bool is_slow(const OutputSource& source);

/// Takes standard output while it comes.
class OutputCollector {
 public:
  explicit OutputCollector(OutputSource source) : source_(std::move(source)) {}
  void feed(std::string_view bytes);
  /// No more comes. The collector is empty afterwards.
  OutputSource take();
  bool is_wanted() const { return source_.format != OutputFormat::none; }

 private:
  void spool(std::string_view bytes);

  OutputSource source_;
  Fd spool_;
  std::uint64_t spooled_bytes_ = 0;
};

}  // namespace pawl
