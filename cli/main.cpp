// The program: finds the verb, lets it read its words, prints what went wrong.

#include <fcntl.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/verb.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

/// The words of the command line, split at the verb.
struct CommandLine {
  std::string home;
  bool help = false;
  bool version = false;
  std::string verb;
  std::vector<std::string> words;  ///< after the verb
};

Result<CommandLine> read_command_line(const std::vector<std::string>& words) {
  CommandLine line;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "-h" || word == "--help") {
      line.help = true;
    } else if (word == "-V" || word == "--version") {
      line.version = true;
    } else if (word.starts_with("--home=")) {
      line.home = word.substr(std::strlen("--home="));
    } else if (word == "--home") {
      if (i + 1 == words.size()) return Error{ErrorKind::invalid, "--home: a folder is missing"};
      line.home = words[++i];
    } else if (word.starts_with("-")) {
      return Error{ErrorKind::invalid,
                   fmt::format("there is no option '{}' before the verb. See pawl --help",
                               escape_for_terminal(word))};
    } else {
      line.verb = word;
      line.words.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
  }
  return line;
}

Error unknown_verb(const std::string& word) {
  std::vector<std::string_view> names;
  for (const VerbEntry& entry : verbs()) names.push_back(entry.name);
  const std::string_view near = nearest_word(word, names);
  const std::string shown = escape_for_terminal(word);
  if (!near.empty()) {
    return {ErrorKind::invalid,
            fmt::format("there is no verb '{}'. Did you mean pawl {}?", shown, near)};
  }
  if (word.ends_with(".json")) {
    return {ErrorKind::invalid,
            fmt::format("there is no verb '{}'. To run that file: pawl run {}", shown, shown)};
  }
  return {ErrorKind::invalid, fmt::format("there is no verb '{}'. See pawl --help", shown)};
}

int report(const Session& session, const Error& error) {
  session.notice(error.message);
  return exit_code(error.kind);
}

int run_verb(Session& session, const VerbEntry& entry, std::vector<std::string> words) {
  const std::unique_ptr<Verb> verb = entry.make();
  Arguments arguments{std::string(entry.name), std::string(entry.summary)};
  verb->declare(arguments);
  arguments.option("--home", "DIR", session.home_flag, "where the state lives");
  const Result<void> parsed = arguments.parse(std::move(words));
  if (!parsed) {
    const int code = report(session, parsed.error());
    session.err.line(arguments.usage());
    session.err.line(fmt::format("See pawl help {}", entry.name));
    return code;
  }
  if (arguments.wants_help()) {
    session.out.print(help_page(entry, session.out));
    return 0;
  }
  const Result<int> done = verb->run(session);
  return done ? *done : report(session, done.error());
}

int dispatch(Session& session, const std::vector<std::string>& words) {
  const Result<CommandLine> line = read_command_line(words);
  if (!line) return report(session, line.error());
  session.home_flag = line->home;
  if (line->version && line->verb.empty()) return run_verb(session, *find_verb("version"), {});
  if (line->verb.empty()) {
    const Terminal& stream = line->help ? session.out : session.err;
    stream.print(overview(stream));
    return line->help ? 0 : exit_code(ErrorKind::invalid);
  }
  const VerbEntry* entry = find_verb(line->verb);
  if (entry == nullptr) return report(session, unknown_verb(line->verb));
  std::vector<std::string> rest = line->words;
  if (line->help) rest.emplace_back("--help");
  return run_verb(session, *entry, std::move(rest));
}

/// A standard descriptor that is closed would be that of the next file which is opened, and what is
/// printed would go into it.
void fill_standard_descriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != descriptor) std::abort();
  }
}

}  // namespace

}  // namespace pawl

int main(int argc, char** argv) {
  pawl::fill_standard_descriptors();
  // Beyond a limit of file sizes a write fails, and that is told; nobody dies of it.
  std::signal(SIGXFSZ, SIG_IGN);
  pawl::Outlet outlet;
  pawl::Session session;
  session.out = pawl::Terminal::detect(stdout, outlet);
  session.err = pawl::Terminal::detect(stderr, outlet);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const int code = pawl::dispatch(session, words);
  // What could not be written was not done: a full disk must not look like a short list.
  int failed = outlet.error_of(stdout);
  if (failed == 0 && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)) failed = errno;
  if (failed != 0) {
    session.notice(fmt::format("standard output: {}", std::strerror(failed)));
    return code == 0 ? pawl::exit_code(pawl::ErrorKind::storage) : code;
  }
  return code;
}
