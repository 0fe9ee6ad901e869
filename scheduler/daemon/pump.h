#pragma once

// The event pump: inputs go into the engine, its mutations to the writer, its effects through the
// gate. What the steps of one turn of the loop change is one batch. On the loop.

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "scheduler/core/effect_gate.h"
#include "scheduler/core/engine.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"
#include "storage/writer.h"

namespace pawl {

class Pump {
 public:
  /// `perform`: effects whose mutations are durable, in order.
  Pump(Loop& loop, Engine engine, Writer& writer,
       std::function<void(std::vector<Effect>&&)> perform);

  void feed(Input input);
  /// Changes that no engine decides: jobs and their versions. `done` is called when durable.
  void write(Mutations mutations, std::function<void()> done);
  /// The writer has committed all batches up to this number.
  void committed(std::uint64_t through);
  /// Hands over what was collected, now instead of at the end of the turn.
  void flush();

  const Engine& engine() const { return engine_; }
  /// All that was fed is durable and all effects were performed.
  bool is_settled() const { return batch_.empty() && gate_.empty() && committed_ == sequence_; }

  /// Runs that changed since this was last asked.
  std::set<RunId> take_changed() { return std::exchange(changed_, {}); }

 private:
  void schedule_flush();
  void arm_timer();
  void note_changes(const Mutations& mutations);

  Loop& loop_;
  Engine engine_;
  Writer& writer_;
  std::function<void(std::vector<Effect>&&)> perform_;
  EffectGate gate_;
  Timer timer_;
  Mutations batch_;
  std::uint64_t sequence_ = 0;  ///< of the last batch handed over
  std::uint64_t committed_ = 0;
  bool flush_is_due_ = false;
  bool tick_is_due_ = false;
  std::set<RunId> changed_;
  std::deque<std::pair<std::uint64_t, std::function<void()>>>
      written_;  ///< whom to tell of which batch
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

 public:
  ~Pump() { *alive_ = false; }
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;
};

}  // namespace pawl
