#pragma once

// Stored definitions for whoever needs them: from memory where the engine knows them, else from the
// store, parsed on a thread. One of 16 MiB takes a second to parse, which is nobody's time but that
// of those who wait for it. On the loop.

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/core/rows.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"
#include "scheduler/spec/shared_job.h"
#include "storage/writer.h"

namespace pawl {

class DefinitionReader {
 public:
  using Done = std::function<void(Result<SharedJob>)>;

  DefinitionReader(Loop& loop, Pump& pump, Writer& writer)
      : pump_(pump), writer_(writer), works_(loop) {}
  ~DefinitionReader() { *alive_ = false; }
  DefinitionReader(const DefinitionReader&) = delete;
  DefinitionReader& operator=(const DefinitionReader&) = delete;

  /// Calls `done`, at once when the definition is in memory, with what the version holds; it is
  /// another's task to see that the engine knows it (Jobs::know). Errors: storage, when there is no
  /// such version; invalid, when this version of pawl cannot read it. Who asks for one that is
  /// being read waits for that reading, in turn.
  void read(VersionId version, Done done);
  bool is_reading() const { return !waiting_.empty(); }

 private:
  void begin_next();
  void begin(VersionId version);
  void parse(JobVersionRow row);
  void end(VersionId version, const Result<SharedJob>& job);

  // Each holds a text of up to 16 MiB, and what it becomes.
  static constexpr std::size_t kUnderWayMax = 2;

  Pump& pump_;
  Writer& writer_;
  std::map<VersionId, std::vector<Done>> waiting_;
  std::deque<VersionId> queue_;  ///< nobody has begun with them
  std::size_t under_way_ = 0;
  Works works_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
