#include "cli/operator_check.h"

#include <fmt/format.h>

#include "cli/listing.h"
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

}  // namespace

int check_operators(const Session& session, const ConformanceSubject& subject,
                    const OutputOptions& output) {
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
