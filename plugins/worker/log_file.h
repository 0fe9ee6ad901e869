#pragma once

// The log of one attempt as a file. Made with the first record; every record is written whole.
// What cannot be written never hurts the task: it is counted, and told in the log once writing
// works again.
//
// Beyond the cap the head and the tail are kept: records after the head go to two files in turn
// (`.tail0`, `.tail1`), and `close` puts what they hold behind the head, with a record that says
// how much was left out.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "scheduler/base/limits.h"
#include "scheduler/loop/fd.h"

namespace pawl {

class LogFile {
 public:
  /// `bytes_max` is the cap: half of it head, the rest tail. Nothing is opened yet.
  explicit LogFile(std::string path, std::size_t bytes_max = limits::kLogBytesMax);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  /// Appends whole records. `wall_ns` dates notes of pawl's own.
  void append(std::string_view records, std::int64_t wall_ns);
  /// The end: puts head and tail together.
  void close(std::int64_t wall_ns);

  /// Size of the file, tail included; 0: there is none.
  std::int64_t bytes() const;
  /// Bytes that could not be written.
  std::int64_t lost_bytes() const { return lost_total_; }

 private:
  struct Part {
    Fd file;
    std::size_t bytes = 0;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
  };

  /// False once the file was removed, or moved by who rotates logs; one that was emptied is written
  /// on from its new end.
  static bool is_in_place(Part& part, const std::string& path);
  bool open_part(Part& part, const std::string& path, bool truncate);
  bool write_whole(Part& part, std::string_view records);
  void append_to_tail(std::string_view records);
  bool append_to(Part& part, const std::string& path, std::string_view records,
                 std::int64_t wall_ns);
  void copy_tail(const Part& part);
  std::string tail_path(std::size_t place) const;

  std::string path_;
  std::size_t head_bytes_max_;
  std::size_t tail_bytes_max_;  ///< of each of the two
  Part head_;
  std::array<Part, 2> tail_;
  std::size_t tail_place_ = 0;
  bool in_tail_ = false;
  std::int64_t dropped_ = 0;  ///< left out between head and tail
  std::int64_t lost_ = 0;     ///< not written, not told yet
  std::int64_t lost_total_ = 0;
  int last_error_ = 0;
};

/// Makes the folder of `path` and those above it, mode 0700. False with errno when it cannot.
bool make_folders_of(const std::string& path);

}  // namespace pawl
