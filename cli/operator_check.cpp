#include "cli/operator_check.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/listing.h"
#include "cli/program.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

/// For programs.
std::string_view name_of(ConformanceVerdict::Outcome outcome) {
  switch (outcome) {
    case ConformanceVerdict::Outcome::passed: return "passed";
    case ConformanceVerdict::Outcome::failed: return "failed";
    case ConformanceVerdict::Outcome::skipped: return "skipped";
  }
  return "";
}

std::string_view word_of(ConformanceVerdict::Outcome outcome) {
  switch (outcome) {
    case ConformanceVerdict::Outcome::passed: return "ok";
    case ConformanceVerdict::Outcome::failed: return "FAILED";
    case ConformanceVerdict::Outcome::skipped: return "skipped";
  }
  return "";
}

Style style_of(ConformanceVerdict::Outcome outcome) {
  switch (outcome) {
    case ConformanceVerdict::Outcome::passed: return Style::green;
    case ConformanceVerdict::Outcome::failed: return Style::red;
    case ConformanceVerdict::Outcome::skipped: return Style::yellow;
  }
  return Style::plain;
}

/// What the C library keeps for each thread counts as allocated. Fifty threads fill that for more
/// than ten thousand attempts, which looks like a leak, and only a process that begins can do
/// without it: so this one begins anew.
void begin_without_thread_caches() {
  constexpr const char* kVariable = "GLIBC_TUNABLES";
  const std::string none = "glibc.malloc.tcache_count=0";
  const char* set = std::getenv(kVariable);
  const std::string others = set == nullptr ? "" : set;
  if (others.find(none) != others.npos) return;
  ::setenv(kVariable, (others.empty() ? none : others + ':' + none).c_str(), 1);
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // Where that fails the check only takes more attempts.
  ::execv(program_path().c_str(), argv.data());
}

}  // namespace

int check_operators(const Session& session, const ConformanceSubject& subject,
                    const OutputOptions& output) {
  begin_without_thread_caches();
  if (!output.is_for_people()) {
    Listing list(session.out, output, {"operator", "check", "outcome", "why"}, {});
    const bool passed = check_conformance(subject, [&list](const ConformanceVerdict& verdict) {
      list.add({{{"operator", verdict.operator_name},
                 {"check", verdict.check},
                 {"outcome", name_of(verdict.outcome)},
                 {"why", verdict.why}},
                {},
                verdict.check});
    });
    list.finish();
    return passed ? 0 : 1;
  }
  const auto tell = [&session](const ConformanceVerdict& verdict) {
    const std::string about = verdict.operator_name.empty()
                                  ? verdict.check
                                  : verdict.operator_name + ": " + verdict.check;
    session.out.line(fmt::format(
        "{} {}{}{}",
        styled(session.out, style_of(verdict.outcome), pad(word_of(verdict.outcome), 7)), about,
        verdict.why.empty() ? "" : " · ", escape_for_terminal(verdict.why)));
    session.out.flush();
  };
  return check_conformance(subject, tell) ? 0 : 1;
}

}  // namespace pawl
