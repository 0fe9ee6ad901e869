#pragma once

// The payload thread: reads items ahead of dispatch, judges `when`, reads the items of mapped
// tasks, and gathers upstream outputs. All that may block or take long on the way of a task, so
// that the loop does neither. Asked from the loop; answers are taken on the loop after `wake`.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "scheduler/core/effect.h"
#include "scheduler/core/input.h"
#include "scheduler/core/rows.h"
#include "scheduler/daemon/item_source.h"
#include "scheduler/spec/job.h"
#include "storage/run_data.h"

namespace pawl {

namespace read {

/// An upstream that templates of a task name, as it is now.
struct Upstream {
  TaskIndex task;
  std::string id;
  TaskState state = TaskState::waiting;
  bool is_mapped = false;
  Counts counts{};  ///< of its items; of one that never began all are zero
  std::int64_t items = 0;

  friend bool operator==(const Upstream&, const Upstream&) = default;
};

/// The names of a run and of some of its tasks.
struct ContextRequest {
  RunId run;
  TaskIndex task;
  std::uint64_t ticket = 0;  ///< handed back
  std::string names;         ///< JSON text: `params`, `run`
  std::vector<Upstream> upstreams;
  bool wants_outputs = true;        ///< long ones too, which lie in files
  bool wants_output_files = false;  ///< of mapped tasks
  std::string run_name;
  /// Fills `run.failed`: what failed of the tasks before this one. Nothing: nobody asks.
  std::optional<TaskIndex> failed_before;
};
struct ContextAnswer {
  RunId run;
  TaskIndex task;
  std::uint64_t ticket = 0;
  std::string context;  ///< JSON text
  std::string error;
};

struct ChunkRequest {
  RunId run;
  TaskIndex task;
  std::int64_t item = 0;
  TaskIndex source;  ///< whose items they are: `task` itself, or the one that it is paired with
};
struct ChunkAnswer {
  RunId run;
  TaskIndex task;
  std::int64_t item = 0;
  std::shared_ptr<const ItemChunkRow> chunk;
  std::string error;
};

/// What an attempt is told beside its item: what an operator left for it (where the start says
/// so), and what came of the items that its own is paired with.
struct PastRequest {
  effect::StartAttempt start;
  std::vector<Upstream> pairs;  ///< with the states of the items
};
struct PastAnswer {
  effect::StartAttempt start;
  AttemptPast past;
  std::string tasks;  ///< for frame::AttemptStart::tasks
  std::string error;
};

/// Judge `when`, then read items.
struct PrepareRequest {
  ContextRequest context;
  std::uint32_t stamp = 0;
  std::string when;
  std::optional<MapSpec> map;
  std::string folder;    ///< relative paths of items start here
  bool is_open = false;  ///< judged before: only items are wanted
  std::int64_t from = 0;
  std::string source;
};

/// No more items of a task are wanted.
struct StopRequest {
  RunId run;
  TaskIndex task;
};

/// What an attempt of the operator `job` asks for, and what became of the run that it made.
struct CallRequest {
  effect::StartAttempt start;
  ContextRequest context;
  std::vector<Upstream> pairs;             ///< as in PastRequest
  TaskIndex source;                        ///< as in ChunkRequest
  std::string task;                        ///< its id
  std::string with;                        ///< TaskSpec::with
  std::map<std::string, std::string> env;  ///< as far as `with` may name it
};
struct CallAnswer {
  effect::StartAttempt start;
  std::string parameters;        ///< JSON text: `with`, rendered; for a first stay only
  std::string error;             ///< why that failed
  std::optional<RunRow> newest;  ///< the newest run that the task or item made
  /// Where that has ended: the output of its task as JSON text, or why it did not succeed.
  std::string ending;
};

using Request = std::variant<ContextRequest, ChunkRequest, PastRequest, PrepareRequest, StopRequest,
                             CallRequest>;
using Answer = std::variant<ContextAnswer, ChunkAnswer, PastAnswer, CallAnswer, input::Prepared,
                            input::ItemsRead>;

}  // namespace read

class Reader {
 public:
  /// `data` is used on the thread only. `wake` is called from the thread when answers wait.
  /// `outputs`: the folder for files that hold the outputs of mapped tasks.
  Reader(std::unique_ptr<RunData> data, std::string home, std::string outputs,
         std::function<void()> wake);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Requests are served in their order.
  void ask(read::Request request);
  /// A chunk of items is durable: the next one may be read.
  void stored(RunId run, TaskIndex task);

  std::vector<read::Answer> take_answers();
  /// Why the store cannot be read, once it could not. From then on nothing is answered: what the
  /// disk did is no task's failure.
  std::optional<Error> failure();

 private:
  // Chunks of one task that were told and are not durable yet. The first is alone, so that what it
  // holds may start while the next are read; each that has become durable allows one more.
  static constexpr int kChunksAheadMax = 4;

  struct Reading {
    RunId run;
    TaskIndex task;
    std::uint32_t stamp = 0;
    ItemPacker packer;
    int ahead = 0;
    int ahead_max = 1;
  };
  void work();
  void serve(const read::ContextRequest& request);
  void serve(const read::ChunkRequest& request);
  void serve(const read::PastRequest& request);
  void serve(const read::PrepareRequest& request);
  void serve(const read::StopRequest& request);
  void serve(const read::CallRequest& request);  // and the next three: reader_calls.cpp
  Result<nlohmann::json> parameters_of(const read::CallRequest& request);
  Result<std::string> output_of_call(const RunRow& run);
  Result<std::string> failure_of_call(const RunRow& run);
  void read_on(Reading& reading, bool& is_done);
  Result<nlohmann::json> value_of(const OutputRow& row);
  Result<nlohmann::json> context_of(const read::ContextRequest& request);
  Result<void> add_pairs(const TaskKey& key, const std::vector<read::Upstream>& pairs,
                         nlohmann::json& tasks);
  Result<nlohmann::json> names_of_one(TaskKey key, TaskState state, bool wants_output);
  Result<nlohmann::json> names_of_task(const read::ContextRequest& request,
                                       const read::Upstream& upstream, std::string& left_out);
  Result<std::string> write_output_file(const read::ContextRequest& request,
                                        const read::Upstream& upstream);
  Result<std::unique_ptr<ItemStream>> open_items(const read::PrepareRequest& request,
                                                 const nlohmann::json& context);
  void answer(read::Answer&& a);
  void note(const Error& failure);
  /// What was read from the store; that it could not be is noted.
  template <typename T>
  Result<T> noted(Result<T> from_store) {
    if (!from_store && from_store.error().kind == ErrorKind::storage) note(from_store.error());
    return from_store;
  }

  std::unique_ptr<RunData> data_;
  std::string home_;
  std::string outputs_;
  std::function<void()> wake_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<read::Request> requests_;
  std::vector<read::Answer> answers_;
  std::map<std::pair<RunId, TaskIndex>, int> acknowledged_;  ///< chunks that became durable
  bool is_stopping_ = false;
  std::optional<Error> failure_;

  std::vector<std::unique_ptr<Reading>> readings_;  ///< of the thread
  std::thread thread_;
};

}  // namespace pawl
