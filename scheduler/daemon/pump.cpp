#include "scheduler/daemon/pump.h"

#include <array>
#include <string_view>
#include <utility>

#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

/// The run that a change is about; 0 for none.
RunId run_of(const Mutation& mutation) {
  return std::visit(Overloaded{
                        [](const mutation::InsertRun& m) { return m.row.id; },
                        [](const mutation::UpdateRun& m) { return m.row.id; },
                        [](const mutation::SetRunCounts& m) { return m.run; },
                        [](const mutation::InsertTask& m) { return m.row.key.run; },
                        [](const mutation::UpdateTask& m) { return m.row.key.run; },
                        [](const mutation::SetMapped& m) { return m.row.run; },
                        [](const auto&) { return RunId{}; },
                    },
                    mutation);
}

/// `AttemptsEnded` of `pawl::input::AttemptsEnded`, as the compiler writes the type.
template <typename T>
constexpr std::string_view type_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  return text.substr(text.rfind(':') + 1);
}

template <std::size_t... I>
constexpr auto input_names(std::index_sequence<I...>) {
  return std::array{type_name<std::variant_alternative_t<I, Input>>()...};
}

constexpr auto kInputNames = input_names(std::make_index_sequence<std::variant_size_v<Input>>());
static_assert(kInputNames.back() == "Tick");

}  // namespace

Pump::Pump(Loop& loop, Engine engine, Writer& writer,
           std::function<void(std::vector<Effect>&&)> perform)
    : loop_(loop),
      engine_(std::move(engine)),
      writer_(writer),
      perform_(std::move(perform)),
      timer_(loop, [this] { feed(input::Tick{}); }) {}

std::string_view Pump::last_input() const {
  const std::size_t index = last_input_.load(std::memory_order_relaxed);
  return index < kInputNames.size() ? kInputNames[index] : "none";
}

Pump::Lag Pump::lag() const {
  return {handed_over_.empty() ? Duration{0} : mono_now() - handed_over_.front().second,
          last_commit_};
}

void Pump::note_changes(const Mutations& mutations) {
  RunId last;
  for (const Mutation& m : mutations) {
    if (tell_run_) note_run_change(m);
    const RunId run = run_of(m);
    if (run.value == 0 || run == last) continue;
    changed_.insert(run);
    last = run;
  }
}

void Pump::note_run_change(const Mutation& m) {
  const RunRow* row = nullptr;
  std::optional<RunState> from;
  if (const auto* inserted = std::get_if<mutation::InsertRun>(&m)) {
    row = &inserted->row;
  } else if (const auto* updated = std::get_if<mutation::UpdateRun>(&m)) {
    row = &updated->row;
    from = updated->expected;
  }
  if (row == nullptr || from == row->state) return;
  run_changes_.emplace_back(
      sequence_ + 1, RunChange{row->name, row->job, from, row->state, row->reason, row->trigger});
}

void Pump::feed(Input input) {
  last_input_.store(input.index(), std::memory_order_relaxed);
  Step step = engine_.handle(input, read_clocks());
  note_changes(step.mutations);
  if (batch_.empty()) {
    batch_ = std::move(step.mutations);
  } else {
    batch_.insert(batch_.end(), std::make_move_iterator(step.mutations.begin()),
                  std::make_move_iterator(step.mutations.end()));
  }
  // Effects wait for the batch that is being collected, also those of a step that changed nothing:
  // they may speak of what an earlier step changed.
  gate_.hold(sequence_ + 1, std::move(step.effects));
  schedule_flush();
  if (step.more && !tick_is_due_) {
    tick_is_due_ = true;
    loop_.defer([this, alive = alive_] {
      if (!*alive) return;
      tick_is_due_ = false;
      feed(input::Tick{});
    });
  }
  arm_timer();
}

void Pump::feed_later(Input input) {
  loop_.defer([this, alive = alive_, input = std::move(input)]() mutable {
    if (*alive) feed(std::move(input));
  });
}

void Pump::arm_timer() {
  if (auto due = engine_.next_deadline())
    timer_.start_at(*due);
  else
    timer_.cancel();
}

void Pump::write(Mutations mutations, std::function<void()> done) {
  batch_.insert(batch_.end(), std::make_move_iterator(mutations.begin()),
                std::make_move_iterator(mutations.end()));
  if (done) written_.emplace_back(sequence_ + 1, std::move(done));
  schedule_flush();
}

void Pump::schedule_flush() {
  if (flush_is_due_) return;
  flush_is_due_ = true;
  loop_.defer([this, alive = alive_] {
    if (*alive && flush_is_due_) flush();
  });
}

void Pump::flush() {
  flush_is_due_ = false;
  const bool has_waiting = !gate_.empty() || !written_.empty();
  if (batch_.empty()) {
    // Nothing to write: what waits, waits only for batches on their way.
    if (has_waiting && committed_ == sequence_) committed(++sequence_);
    return;
  }
  // A full queue takes it after the next `committed`; until then it grows.
  if (!writer_.submit(sequence_ + 1, batch_)) return;
  ++sequence_;
  handed_over_.emplace_back(sequence_, mono_now());
  batch_.clear();
}

void Pump::committed(std::uint64_t through) {
  committed_ = std::max(committed_, through);
  while (!handed_over_.empty() && handed_over_.front().first <= committed_) {
    last_commit_ = mono_now() - handed_over_.front().second;
    handed_over_.pop_front();
  }
  // An effect-only turn after the last batch has a number that no batch carries.
  if (committed_ == sequence_ && batch_.empty() && !gate_.empty()) committed_ = ++sequence_;
  std::vector<Effect> effects = gate_.release(committed_);
  while (!written_.empty() && written_.front().first <= committed_) {
    auto done = std::move(written_.front().second);
    written_.pop_front();
    done();
  }
  if (!effects.empty()) perform_(std::move(effects));
  if (!batch_.empty()) schedule_flush();
}

void Pump::tell_changes() {
  while (!run_changes_.empty() && run_changes_.front().first <= committed_) {
    tell_run_(run_changes_.front().second);
    run_changes_.pop_front();
  }
}

}  // namespace pawl
