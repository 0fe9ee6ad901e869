#include "plugins/worker/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "plugins/worker/log_lines.h"

namespace pawl {
namespace {

constexpr std::size_t kCopyBytes = 256u << 10;

std::string note(std::int64_t wall_ns, const std::string& text) {
  std::string record;
  append_log_record(record, format_log_time(wall_ns), LogStream::err, true, "[pawl: " + text + "]");
  return record;
}

/// How much of it is whole records that fit: each is a line.
std::size_t whole_records(std::string_view records, std::size_t room) {
  if (records.size() <= room) return records.size();
  const std::size_t end = room == 0 ? std::string_view::npos : records.rfind('\n', room - 1);
  return end == std::string_view::npos ? 0 : end + 1;
}

}  // namespace

bool make_folders_of(const std::string& path) {
  std::size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return true;
  std::string folder = path.substr(0, slash);
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return true;
  if (errno != ENOENT) return false;
  return make_folders_of(folder) && (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST);
}

LogFile::LogFile(std::string path, std::size_t bytes_max)
    : path_(std::move(path)), head_bytes_max_(bytes_max / 2), tail_bytes_max_(bytes_max / 4) {}

LogFile::~LogFile() = default;

std::string LogFile::tail_path(std::size_t place) const {
  return path_ + ".tail" + std::to_string(place);
}

bool LogFile::open_part(Part& part, const std::string& path, bool truncate) {
  int flags = O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (truncate ? O_TRUNC : 0);
  part.file.reset(::open(path.c_str(), flags, 0600));
  if (!part.file && errno == ENOENT && make_folders_of(path)) {
    part.file.reset(::open(path.c_str(), flags, 0600));
  }
  if (!part.file) {
    last_error_ = errno;
    return false;
  }
  struct stat info {};
  if (::fstat(part.file.get(), &info) != 0) info = {};
  part.bytes = static_cast<std::size_t>(info.st_size);
  part.device = info.st_dev;
  part.inode = info.st_ino;
  return true;
}

bool LogFile::is_in_place(Part& part, const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return errno != ENOENT;
  if (info.st_ino != part.inode || info.st_dev != part.device) return false;
  part.bytes = std::min(part.bytes, static_cast<std::size_t>(info.st_size));
  return true;
}

bool LogFile::write_whole(Part& part, std::string_view records) {
  std::size_t done = 0;
  while (done < records.size()) {
    ssize_t written = ::write(part.file.get(), records.data() + done, records.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written > 0) {
      done += static_cast<std::size_t>(written);
      continue;
    }
    last_error_ = written < 0 ? errno : EIO;
    // Half a record must not stay: the next one would be torn too.
    if (done > 0 && ftruncate(part.file.get(), static_cast<off_t>(part.bytes)) != 0) {
      part.bytes += done;
    }
    return false;
  }
  part.bytes += done;
  return true;
}

bool LogFile::append_to(Part& part, const std::string& path, std::string_view records,
                        std::int64_t wall_ns) {
  if (part.file && !is_in_place(part, path)) part.file.reset();
  if (!part.file && !open_part(part, path, false)) return false;
  if (lost_ > 0) {
    std::string told =
        note(wall_ns,
             std::to_string(lost_) + " bytes could not be written: " + std::strerror(last_error_));
    if (!write_whole(part, told)) return false;
    lost_ = 0;
  }
  return write_whole(part, records);
}

void LogFile::append_to_tail(std::string_view records) {
  Part* part = &tail_[tail_place_];
  if (part->file && part->bytes + records.size() > tail_bytes_max_) {
    tail_place_ = 1 - tail_place_;
    part = &tail_[tail_place_];
    dropped_ += static_cast<std::int64_t>(part->bytes);
    part->file.reset();
  }
  bool is_open = part->file || open_part(*part, tail_path(tail_place_), true);
  if (!is_open || !write_whole(*part, records)) {
    dropped_ += static_cast<std::int64_t>(records.size());
  }
}

void LogFile::append(std::string_view records, std::int64_t wall_ns) {
  if (!in_tail_) {
    const std::size_t room = head_bytes_max_ - std::min(head_bytes_max_, head_.bytes);
    const std::string_view head = records.substr(0, whole_records(records, room));
    records.remove_prefix(head.size());
    in_tail_ = !records.empty();
    if (!head.empty() && !append_to(head_, path_, head, wall_ns)) {
      lost_ += static_cast<std::int64_t>(head.size());
      lost_total_ += static_cast<std::int64_t>(head.size());
    }
  }
  while (!records.empty()) {
    std::size_t size = whole_records(records, tail_bytes_max_);
    if (size == 0) size = std::min(records.find('\n'), records.size() - 1) + 1;
    append_to_tail(records.substr(0, size));
    records.remove_prefix(size);
  }
}

void LogFile::copy_tail(const Part& part) {
  std::string path = tail_path(static_cast<std::size_t>(&part - tail_.data()));
  Fd in(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::vector<char> buffer(kCopyBytes);
  while (in) {
    ssize_t got = ::read(in.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (!write_whole(head_, {buffer.data(), static_cast<std::size_t>(got)})) break;
  }
  ::unlink(path.c_str());
}

void LogFile::close(std::int64_t wall_ns) {
  if (in_tail_ && (head_.file || open_part(head_, path_, false))) {
    if (dropped_ > 0) {
      write_whole(head_, note(wall_ns, std::to_string(dropped_) + " bytes are left out here"));
    }
    const Part& older = tail_[1 - tail_place_];
    const Part& newer = tail_[tail_place_];
    if (older.file) copy_tail(older);
    if (newer.file) copy_tail(newer);
  } else if (lost_ > 0) {
    append_to(head_, path_, {}, wall_ns);
  }
  in_tail_ = false;
  head_.file.reset();
  for (Part& part : tail_) part.file.reset();
}

std::int64_t LogFile::bytes() const {
  std::size_t tail = in_tail_ ? tail_[0].bytes + tail_[1].bytes : 0;
  return static_cast<std::int64_t>(head_.bytes + tail);
}

}  // namespace pawl
