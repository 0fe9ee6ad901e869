#include "plugins/operators/basic/wait_file.h"

#include <glob.h>
#include <locale.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <nlohmann/json.hpp>

#include "scheduler/base/text.h"
#include "scheduler/base/time.h"

namespace pawl::operators {

namespace fs = std::filesystem;
using nlohmann::json;
using plugin::Result;

namespace {

constexpr std::size_t kFilesMax = 10'000;  // they are looked at one by one, at each look
constexpr Duration kEveryMin = std::chrono::milliseconds(100);

/// A wrong parameter; the adapter would report it as a failure worth a retry.
struct Refused {
  std::string message;
};
/// The file system said no. Another look may go better.
struct LookFailed {
  std::string path;
  int code = 0;
};

struct Wish {
  std::string pattern;  ///< absolute
  std::string plain;    ///< the same as a path, should a file be called like that
  bool is_glob = false;
  Duration stable_for{};
  std::uint64_t min_size = 0;
  Duration every = std::chrono::seconds(10);
  std::optional<Duration> timeout;
  bool skips = false;
};

struct Found {
  std::vector<std::string> paths;  ///< sorted; those that are large enough
  std::size_t too_small = 0;
  std::uint64_t bytes = 0;
  std::uint64_t fingerprint = 0;  ///< of all names, sizes and times of change
};

/// What one look leaves to the next. A fingerprint instead of all sizes keeps it small.
struct Memory {
  std::int64_t first_ms = 0;
  std::int64_t since_ms = 0;  ///< the fingerprint is this one since then
  std::uint64_t fingerprint = 0;
  std::uint64_t bytes = 0;
  std::size_t files = 0;
};

Duration duration_of(const json& with, const char* name, Duration otherwise) {
  const auto found = with.find(name);
  if (found == with.end()) return otherwise;
  const auto parsed = parse_duration(found->get_ref<const std::string&>());
  if (!parsed) throw Refused{std::string(name) + ": " + parsed.error().message};
  return *parsed;
}

std::string without_escapes(std::string_view pattern) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    out += pattern[i];
  }
  return out;
}

std::string with_escapes(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

Wish wish_of(const plugin::Request& request) {
  const json with = json::parse(request.parameters());
  Wish wish;
  const auto& path = with.at("path").get_ref<const std::string&>();
  if (path.find('\0') != std::string::npos) throw Refused{"path: no path has a zero byte"};
  // The folder is a name even if it holds characters that mean something in a pattern.
  const std::string folder(path.front() == '/' ? "" : std::string(request.working_dir()) + "/");
  wish.pattern = with_escapes(folder) + path;
  wish.plain = folder + path;
  wish.is_glob = path.find_first_of("*?[") != std::string::npos;
  if (!wish.is_glob) wish.plain = folder + without_escapes(path);
  wish.stable_for = duration_of(with, "stable_for", wish.stable_for);
  wish.every = std::max(kEveryMin, duration_of(with, "every", wish.every));
  if (with.contains("timeout")) wish.timeout = duration_of(with, "timeout", {});
  wish.skips = with.value("on_timeout", "fail") == "skip";
  if (const auto size = with.find("min_size"); size != with.end()) {
    const auto parsed = parse_size(size->get_ref<const std::string&>());
    if (!parsed) throw Refused{"min_size: " + parsed.error().message};
    wish.min_size = *parsed;
  }
  return wish;
}

/// FNV-1a: it need only notice a change.
void mix(std::uint64_t& hash, std::string_view bytes) {
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211u;
  }
}

/// Of what a pattern matches also links that lead in a circle: others may be there beside them.
bool is_nothing(int error, const Wish& wish) {
  return error == ENOENT || error == ENOTDIR || (error == ELOOP && wish.is_glob);
}

/// Adds a file that exists; what is not there, or went away meanwhile, adds nothing, nor does a
/// folder. One that is the path itself would be waited for in vain.
void add_file(const std::string& path, const Wish& wish, Found& found) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (is_nothing(errno, wish)) return;
    throw LookFailed{path, errno};
  }
  if (S_ISDIR(status.st_mode)) {
    if (wish.is_glob) return;
    throw Refused{"path: " + path + " is a folder, and what is waited for is a file; " +
                  (fs::path(path) / "*").string() + " waits for one in it"};
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  mix(found.fingerprint, path);
  mix(found.fingerprint, '/' + std::to_string(size) + '/' + std::to_string(status.st_mtim.tv_sec) +
                             '.' + std::to_string(status.st_mtim.tv_nsec));
  found.bytes += size;
  if (size < wish.min_size) {
    ++found.too_small;
  } else {
    found.paths.push_back(path);
  }
}

/// Characters of this thread are those of UTF-8 as long as it lives, whatever the process has: `?`
/// is one of them and not a byte.
class Utf8Characters {
 public:
  Utf8Characters() : before_(::uselocale(utf8())) {}
  ~Utf8Characters() { ::uselocale(before_); }
  Utf8Characters(const Utf8Characters&) = delete;
  Utf8Characters& operator=(const Utf8Characters&) = delete;

 private:
  /// Null changes nothing.
  static locale_t utf8() {
    static const locale_t kMade = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return kMade;
  }

  locale_t before_;
};

std::vector<std::string> matches_of(const std::string& pattern) {
  static thread_local LookFailed failure;
  failure = {};
  const Utf8Characters characters;
  glob_t found{};
  const int code = ::glob(
      pattern.c_str(), 0,
      [](const char* path, int error) {
        if (error == ENOENT || error == ENOTDIR) return 0;
        failure = {path, error};
        return 1;
      },
      &found);
  std::vector<std::string> out;
  if (code == 0 && found.gl_pathc <= kFilesMax) {
    out.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  const std::size_t count = code == 0 ? found.gl_pathc : 0;
  ::globfree(&found);
  if (code == GLOB_ABORTED) throw LookFailed(failure);
  if (code == GLOB_NOSPACE) throw LookFailed{pattern, ENOMEM};
  if (count > kFilesMax) {
    throw Refused{"path: " + std::to_string(count) + " files match, at most " +
                  std::to_string(kFilesMax) + " are watched"};
  }
  return out;
}

Found look(const Wish& wish) {
  Found found;
  found.fingerprint = 14695981039346656037u;
  add_file(wish.plain, wish, found);
  if (!wish.is_glob || !found.paths.empty() || found.too_small > 0) return found;
  for (const std::string& path : matches_of(wish.pattern)) add_file(path, wish, found);
  return found;
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Memory memory_of(std::string_view state, std::int64_t now) {
  Memory memory{now, now, 0, 0, 0};
  if (state.empty()) return memory;
  const json kept = json::parse(state);
  // A clock that was set back must not make the wait longer than it was asked for.
  memory.first_ms = std::min(now, kept.at("first").get<std::int64_t>());
  memory.since_ms = std::min(now, kept.at("since").get<std::int64_t>());
  memory.fingerprint = kept.at("fingerprint").get<std::uint64_t>();
  memory.bytes = kept.at("bytes").get<std::uint64_t>();
  memory.files = kept.at("files").get<std::size_t>();
  return memory;
}

std::string text_of(const Memory& memory) {
  return json{{"first", memory.first_ms},
              {"since", memory.since_ms},
              {"fingerprint", memory.fingerprint},
              {"bytes", memory.bytes},
              {"files", memory.files}}
      .dump();
}

std::string output_of(const Wish& wish, const Found& found, std::string_view format) {
  if (format == "none") return {};
  for (const std::string& path : found.paths) {
    if (is_utf8(path)) continue;
    throw Refused{"path: an output is UTF-8, and the name of this file is not: " +
                  escape_for_terminal(path)};
  }
  if (format == "json") return (wish.is_glob ? json(found.paths) : json(found.paths[0])).dump();
  std::string out;
  for (const std::string& path : found.paths) {
    if (!out.empty()) out += '\n';
    out += format == "jsonl" ? json(path).dump() : path;
  }
  return out;
}

std::string why_not(const Wish& wish, const Found& found, bool changed) {
  const std::string what = wish.is_glob ? wish.pattern : wish.plain;
  if (found.paths.empty() && found.too_small == 0) {
    return wish.is_glob ? "no file matches " + what : what + " is not there";
  }
  if (found.too_small > 0) {
    return std::to_string(found.too_small) + " of " +
           std::to_string(found.too_small + found.paths.size()) + " files are below min_size, " +
           what;
  }
  return what + (changed ? " changed since the last look" : " is not stable for long enough");
}

Result decide(const Wish& wish, const plugin::Request& request) {
  const std::int64_t now = now_ms();
  Memory memory = memory_of(request.state(), now);
  const Found found = look(wish);
  const bool is_there = !found.paths.empty() && found.too_small == 0;
  const bool changed = request.state().empty() || found.fingerprint != memory.fingerprint;
  if (changed) memory.since_ms = now;
  memory.fingerprint = found.fingerprint;
  memory.bytes = found.bytes;
  memory.files = found.paths.size() + found.too_small;

  const Duration quiet(now - memory.since_ms);
  if (is_there && quiet >= wish.stable_for) {
    return Result::success(output_of(wish, found, request.output_format()));
  }
  Duration next = std::min(wish.every, plugin::kWaitMax);
  if (is_there) next = std::min(next, wish.stable_for - quiet);
  if (wish.timeout) {
    const Duration left = *wish.timeout - Duration(now - memory.first_ms);
    if (left <= Duration(0)) {
      const std::string message =
          "after " + format_duration(*wish.timeout) + ": " + why_not(wish, found, changed);
      return wish.skips ? Result::skipped(message) : Result::failure(message, "Timeout");
    }
    next = std::min(next, left);
  }
  return Result::deferred(next, text_of(memory));
}

}  // namespace

Result WaitFile::run(plugin::Attempt&, const plugin::Request& request) {
  try {
    return decide(wish_of(request), request);
  } catch (const Refused& refused) {
    return Result::permanent(refused.message, "InvalidParameter");
  } catch (const LookFailed& failed) {
    const std::error_condition why(failed.code, std::generic_category());
    return Result::failure("cannot look at " + failed.path + ": " + why.message(), "FileSystem");
  }
}

}  // namespace pawl::operators
