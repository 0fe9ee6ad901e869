#include "scheduler/daemon/definition_reader.h"

#include <utility>

#include "scheduler/daemon/control.h"
#include "scheduler/daemon/definitions.h"

namespace pawl {

namespace {

constexpr const char* kLost = "the job has lost its definition. `pawl doctor` says more";

}  // namespace

void DefinitionReader::read(VersionId version, Done done) {
  if (const SharedJob known = pump_.engine().definition(version)) return done(known);
  std::vector<Done>& waiting = waiting_[version];
  waiting.push_back(std::move(done));
  if (waiting.size() > 1) return;
  queue_.push_back(version);
  begin_next();
}

void DefinitionReader::begin_next() {
  if (queue_.empty() || under_way_ == kUnderWayMax) return;
  ++under_way_;
  const VersionId version = queue_.front();
  queue_.pop_front();
  begin(version);
}

void DefinitionReader::begin(VersionId version) {
  pump_.flush();  // it may have been accepted in this very turn
  const bool is_queued =
      writer_.load([this, alive = alive_, version](Store& store) -> std::function<void()> {
        auto row = std::make_shared<Result<std::optional<JobVersionRow>>>(store.version(version));
        return [this, alive, version, row] {
          if (!*alive) return;
          if (!*row) return end(version, row->error());
          if (!**row) return end(version, Error{ErrorKind::storage, kLost});
          parse(std::move(***row));
        };
      });
  if (!is_queued) end(version, lost_answer());
}

void DefinitionReader::parse(JobVersionRow row) {
  const VersionId version = row.id;
  auto job = std::make_shared<Result<SharedJob>>(SharedJob());
  works_.start(
      [job, row = std::move(row)] {
        auto parsed = read_definition(row);
        if (parsed) {
          *job = SharedJob(*std::move(parsed));
        } else {
          *job = parsed.error();
        }
      },
      [this, version, job] { end(version, *job); });
}

void DefinitionReader::end(VersionId version, const Result<SharedJob>& job) {
  --under_way_;
  const std::vector<Done> waiting = std::move(waiting_.extract(version).mapped());
  begin_next();
  for (const auto alive = alive_; const Done& done : waiting) {
    if (!*alive) return;
    done(job);
  }
}

}  // namespace pawl
