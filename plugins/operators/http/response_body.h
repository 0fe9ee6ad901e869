#pragma once

// The body of a response as it arrives: in memory as long as all of them together are small, else
// in a file. No descriptor stays open between two pieces, so thousands may be under way.

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "scheduler/base/result.h"

namespace pawl::operators {

/// What the bodies of one process may hold in memory together. Beyond it each that has more than
/// `kBodyBytesInMemory` goes to its file.
inline constexpr std::size_t kBodiesBytesMax = 32u << 20;
inline constexpr std::size_t kBodyBytesInMemory = 16u << 10;

/// Shared by the bodies of one process, all on its loop thread.
struct BodyMemory {
  std::size_t bytes = 0;
  static BodyMemory& of_process();
};

/// What a body becomes.
struct BodyFile {
  std::string path;    ///< until it is whole; must not exist then
  std::string name;    ///< from then on, in the same folder
  mode_t mode = 0666;  ///< that nobody can read it who cannot read what has that name
};

class ResponseBody {
 public:
  /// The file is made when it is needed, and goes with the object, unless it got its name. Without
  /// a path it is one in `scratch`, a folder that is made with it and must be named as long as this
  /// lives.
  ResponseBody(BodyMemory& memory, std::string_view scratch, BodyFile file);
  ~ResponseBody();
  ResponseBody(const ResponseBody&) = delete;
  ResponseBody& operator=(const ResponseBody&) = delete;

  std::size_t size() const { return size_; }
  /// Errors: failed (the file).
  Result<void> append(std::string_view piece);
  /// Forgets all that came.
  void clear();
  /// All of it. Errors: failed (the file).
  Result<std::string> text() const;
  /// Gives the file its name, in place of what has that name, and with the rights of that.
  /// Errors: failed (the file).
  Result<void> keep();

 private:
  void make_path();
  Result<void> flush();
  Error failed(const char* what) const;

  BodyMemory& memory_;
  std::string_view scratch_;
  BodyFile file_;
  std::string buffer_;
  std::size_t size_ = 0;
  bool has_file_ = false;
};

}  // namespace pawl::operators
