#include "scheduler/daemon/job_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <xxhash.h>

#include "scheduler/base/limits.h"
#include "scheduler/daemon/trusted_file.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

/// Time stamps are as coarse as the kernel's tick, on some file systems a second: a file that was
/// read this soon after its last change may have changed again under the same stamp.
constexpr std::int64_t kStampDoubtMs = 2'000;
constexpr std::size_t kDiagnosticsShown = 5;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileSignature signature_of(const struct stat& info) {
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size = info.st_size,
          .modified_ns = nanoseconds(info.st_mtim),
          .changed_ns = nanoseconds(info.st_ctim)};
}

std::int64_t age_ms(const FileSignature& signature) {
  return wall_now().ms - signature.changed_ns / 1'000'000;
}

std::string first_errors(const std::string& path, const ParseResult& parsed) {
  std::string text;
  std::size_t shown = 0;
  std::size_t errors = 0;
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    if (diagnostic.severity != Diagnostic::Severity::error) continue;
    if (++errors > kDiagnosticsShown) continue;
    if (shown++ > 0) text += "\n";
    text += format_diagnostic(path, diagnostic);
  }
  if (errors > shown) text += "\nand " + std::to_string(errors - shown) + " more errors";
  return text;
}

FileLook& bad(FileLook& look, std::string why) {
  look.kind = FileLook::Kind::bad;
  look.why = std::move(why);
  return look;
}

void judge(FileLook& look, const std::string& path, std::string text, const KnownFile& known,
           const LookOptions& options) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  look.hash = ContentHash{hash.high64, hash.low64};
  if (look.hash == known.hash) {
    look.kind = FileLook::Kind::same;
    return;
  }
  if (is_foreign_json(text)) {
    look.kind = FileLook::Kind::foreign;
    return;
  }
  ParseResult parsed = parse_job(text, options.parse);
  look.job = std::move(parsed.job);
  if (!parsed.ok) {
    bad(look, first_errors(path, parsed));
    return;
  }
  Result<JobCalendar> calendar = calendar_of(look.job);
  if (!calendar) {
    // Another file may be mended while this one stays as it is: look again.
    look.hash.reset();
    look.settled.reset();
    bad(look, path + ": " + calendar.error().message);
    return;
  }
  look.calendar = *std::move(calendar);
  look.kind = FileLook::Kind::good;
  look.text = std::move(parsed.text);
}

}  // namespace

FileLook look_at_job_file(int folder_fd, const std::string& name, const std::string& path,
                          const KnownFile& known, const LookOptions& options) {
  FileLook look;
  look.name = name;
  struct stat entry {};
  if (::fstatat(folder_fd, name.c_str(), &entry, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return look;
    return std::move(bad(look, std::string("cannot be read: ") + std::strerror(errno)));
  }
  look.is_link = S_ISLNK(entry.st_mode);
  // Opened as a mere name first: opening a device or a FIFO for reading may act on it, or wait.
  const Fd named(::openat(folder_fd, name.c_str(), O_PATH | O_CLOEXEC));
  struct stat before {};
  if (!named || ::fstat(named.get(), &before) != 0) {
    if (errno == ENOENT && !look.is_link) return look;
    return std::move(bad(look, std::string("cannot be read: ") + std::strerror(errno)));
  }
  if (std::string why = objection(before, limits::kJobFileBytesMax); !why.empty())
    return std::move(bad(look, std::move(why)));
  const FileSignature signature = signature_of(before);
  look.settled = signature;
  if (known.settled == signature) {
    look.kind = FileLook::Kind::same;
    look.hash = known.hash;
    return look;
  }
  const std::string reopened = "/proc/self/fd/" + std::to_string(named.get());
  const Fd fd(::open(reopened.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return std::move(bad(look, std::string("cannot be read: ") + std::strerror(errno)));
  auto text =
      read_whole(fd.get(), static_cast<std::size_t>(before.st_size), limits::kJobFileBytesMax);
  if (!text) return std::move(bad(look, text.error().message));
  struct stat after {};
  const bool moved = ::fstat(fd.get(), &after) != 0 || signature_of(after) != signature;
  const std::int64_t age = age_ms(signature);
  const bool young = age >= 0 && age < options.settle.count();
  if (!moved) judge(look, path, std::move(*text), known, options);
  if (moved || (look.kind == FileLook::Kind::bad && young)) look.kind = FileLook::Kind::moving;
  if (age >= 0 && age < kStampDoubtMs) look.settled.reset();
  return look;
}

}  // namespace pawl
