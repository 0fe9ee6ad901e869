#pragma once

// The event pump: inputs go into the engine, its mutations to the writer, its effects through the
// gate. What the steps of one turn of the loop change is one batch. On the loop.

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/core/effect_gate.h"
#include "scheduler/core/engine.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"
#include "storage/writer.h"

namespace pawl {

/// A run was accepted, or has gone from one state to another.
struct RunChange {
  std::string run;
  std::string job;
  std::optional<RunState> from;  ///< none: it is new
  RunState to = RunState::queued;
  Reason reason = Reason::none;
  Trigger trigger = Trigger::manual;
};

class Pump {
 public:
  /// `perform`: effects whose mutations are durable, in order.
  Pump(Loop& loop, Engine engine, Writer& writer,
       std::function<void(std::vector<Effect>&&)> perform);

  void feed(Input input);
  /// The same at the end of this turn, for who may be inside a step. Nothing once this is gone.
  void feed_later(Input input);
  /// From now on each change of a run's state is told by `tell_changes`.
  void tell_runs(std::function<void(const RunChange&)> tell) { tell_run_ = std::move(tell); }
  /// Tells the changes of runs that are durable by now and were not told yet. Apart from
  /// `committed`, because nobody waits for them as workers and clients wait for effects.
  void tell_changes();
  /// Changes that no engine decides: jobs and their versions. `done` is called when durable.
  void write(Mutations mutations, std::function<void()> done);
  /// The writer has committed all batches up to this number.
  void committed(std::uint64_t through);
  /// Hands over what was collected, now instead of at the end of the turn.
  void flush();

  const Engine& engine() const { return engine_; }
  /// All that was fed is durable and all effects were performed.
  bool is_settled() const { return batch_.empty() && gate_.empty() && committed_ == sequence_; }

  /// The kind of the input that was fed last: what the loop was doing. From any thread.
  std::string_view last_input() const;

  /// How long the oldest change that is not durable yet has waited, and how long the last batch
  /// took to become so.
  struct Lag {
    Duration waiting{};
    Duration last_commit{};
  };
  Lag lag() const;

  /// Runs that changed since this was last asked.
  std::set<RunId> take_changed() { return std::exchange(changed_, {}); }

 private:
  void schedule_flush();
  void arm_timer();
  void note_changes(const Mutations& mutations);
  void note_run_change(const Mutation& m);

  Loop& loop_;
  Engine engine_;
  Writer& writer_;
  std::function<void(std::vector<Effect>&&)> perform_;
  EffectGate gate_;
  Timer timer_;
  Mutations batch_;
  std::uint64_t sequence_ = 0;  ///< of the last batch handed over
  std::uint64_t committed_ = 0;
  std::atomic<std::size_t> last_input_{std::variant_npos};
  bool flush_is_due_ = false;
  bool tick_is_due_ = false;
  std::deque<std::pair<std::uint64_t, MonoTime>> handed_over_;  ///< batches, and when
  Duration last_commit_{};
  std::set<RunId> changed_;
  std::function<void(const RunChange&)> tell_run_;
  std::deque<std::pair<std::uint64_t, RunChange>> run_changes_;  ///< and of which batch
  std::deque<std::pair<std::uint64_t, std::function<void()>>>
      written_;  ///< whom to tell of which batch
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

 public:
  ~Pump() { *alive_ = false; }
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;
};

}  // namespace pawl
