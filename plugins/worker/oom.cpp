#include "plugins/worker/oom.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "plugins/worker/control_group.h"
#include "scheduler/base/words.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

std::string read_text(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(64u << 10, '\0');
  ssize_t got = file ? ::read(file.get(), text.data(), text.size()) : -1;
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

/// The rest of the line that begins with `word`.
std::string_view line_after(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with(word)) return line.substr(word.size());
  }
  return {};
}

std::string counter_file() {
  if (const auto own = own_control_group()) {
    std::string events = *own + "/memory.events";
    if (::access(events.c_str(), R_OK) == 0) return events;
  }
  // Machines that still keep memory in a hierarchy of its own, where it is always mounted:
  // lines such as `4:memory:/user`.
  const std::string groups = read_text("/proc/self/cgroup");
  const std::size_t at = groups.find(":memory:");
  if (at != std::string::npos) {
    const std::string group = groups.substr(at + 8, groups.find('\n', at) - at - 8);
    std::string control = "/sys/fs/cgroup/memory" + group + "/memory.oom_control";
    if (!line_after(read_text(control), "oom_kill ").empty()) return control;
  }
  return "/proc/vmstat";
}

}  // namespace

OomWatch::OomWatch() : OomWatch(counter_file()) {}

OomWatch::OomWatch(std::string file) : file_(std::move(file)) {
  claimed_ = settled_ = read().value_or(0);
}

void OomWatch::settle() {
  claimed_ = std::max(claimed_, settled_);
  settled_ = read().value_or(settled_);
}

std::optional<std::int64_t> OomWatch::read() const {
  std::string text = read_text(file_);
  return whole_number<std::int64_t>(line_after(text, "oom_kill "));
}

bool OomWatch::claim() {
  auto count = read();
  if (!count || *count <= claimed_) return false;
  ++claimed_;
  return true;
}

}  // namespace pawl
