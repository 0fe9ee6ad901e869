#pragma once

// Room set aside: a file of real blocks that is given up when the disk is full, so that the
// outcomes of what still runs can be recorded, and made again when there is room.

#include <cstdint>
#include <string>

namespace pawl {

class Ballast {
 public:
  static constexpr std::int64_t kBytes = std::int64_t{16} << 20;
  /// Free room that it takes to make it: what was full goes on only where as much is left then.
  static constexpr std::int64_t kRoomBytes = 2 * kBytes;

  /// `path` empty: there is none, and nothing is ever given up.
  explicit Ballast(std::string path) : path_(std::move(path)) {}

  /// Makes it when it is not there and kRoomBytes are free. True when it is there afterwards.
  bool ensure();
  /// Gives its room to the others. True when there was something to give.
  bool release();

 private:
  std::string path_;
};

}  // namespace pawl
