#pragma once

// A limit of starts in a time, as a value: at most `count` in any `per`. It is a bucket of `count`
// tokens; a start takes one, and that token comes back `per` later. So no window of `per` ever sees
// more than `count`, and who wants starts spread out writes 1 in 1s instead of 60 in 1m.

#include <cstdint>
#include <deque>
#include <vector>

#include "scheduler/base/time.h"
#include "scheduler/core/rows.h"
#include "scheduler/spec/job.h"

namespace pawl {

class TokenBucket {
 public:
  const Rate& rate() const { return rate_; }
  /// Also holds for the tokens that are out.
  void set_rate(const Rate& rate) { rate_ = rate; }

  /// Puts back what has come back by `now`. Called before anything is asked for.
  void settle(MonoTime now) {
    while (!out_.empty() && out_.front().last + rate_.per <= now) {
      taken_ -= out_.front().count;
      out_.pop_front();
    }
  }

  /// Tokens in the bucket; below 0 after the rate was lowered.
  std::int64_t tokens() const { return rate_.count - taken_; }
  bool has_token() const { return taken_ < rate_.count; }
  std::int64_t taken() const { return taken_; }
  bool is_full() const { return out_.empty(); }

  void take(MonoTime now) { add(now, 1); }

  /// When there will be a token, if none is taken until then. There is none now.
  MonoTime next_token() const {
    std::int64_t left = taken_;
    for (const Taken& taken : out_) {
      left -= taken.count;
      if (left < rate_.count) return taken.last + rate_.per;
    }
    return {};
  }

  /// What a row remembers of it.
  std::vector<RateRow::Starts> starts(MonoTime now) const {
    std::vector<RateRow::Starts> out;
    out.reserve(out_.size());
    for (const Taken& taken : out_) out.push_back({now - taken.last, taken.count});
    return out;
  }
  /// Takes what a row says that was taken; oldest first.
  void restore(MonoTime at, std::int64_t count) { add(at, count); }

 private:
  /// Tokens that come back together, with the last of them. There are never more groups than that,
  /// so neither memory nor wake-ups nor the row grow with `count`.
  struct Taken {
    MonoTime first;
    MonoTime last;
    std::int64_t count = 0;
  };
  static constexpr std::int64_t kGroupsMax = 64;

  void add(MonoTime at, std::int64_t count) {
    // Few are counted each on its own; many may come back a 64th of `per` later than they might.
    const Duration together = rate_.count <= kGroupsMax ? Duration{0} : rate_.per / kGroupsMax;
    taken_ += count;
    if (!out_.empty() && at - out_.back().first <= together) {
      out_.back().last = at;
      out_.back().count += count;
    } else {
      out_.push_back({at, at, count});
    }
  }

  Rate rate_;
  std::deque<Taken> out_;  ///< oldest first
  std::int64_t taken_ = 0;
};

}  // namespace pawl
