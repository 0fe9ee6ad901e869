#pragma once

// Hides the values of secrets in text that passes by. A seat belt, not a promise: values of at
// least kMaskBytesMin bytes are found, literal, as a JSON string has them or as Python's `repr` and
// `ascii` show a text or its bytes, also across the borders of chunks; otherwise encoded ones are
// not.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pawl {

/// Shorter values would hide half of every log.
inline constexpr std::size_t kMaskBytesMin = 8;
inline constexpr std::string_view kMaskText = "***";

/// The values to hide. Immutable; shared by the streams of an attempt.
class Mask {
 public:
  explicit Mask(std::vector<std::string> values);
  bool empty() const { return values_.empty(); }
  const std::vector<std::string>& values() const { return values_; }
  /// `text` as a whole with every value hidden.
  std::string hide(std::string_view text) const;

 private:
  std::vector<std::string> values_;  ///< longest first
};

/// One stream of bytes with the values of `mask` hidden. Holds back what may be the beginning of a
/// value until more comes.
class MaskStream {
 public:
  /// `mask` must outlive the stream.
  explicit MaskStream(const Mask& mask) : mask_(&mask) {}

  /// What may be shown now. The view is good until the next call, or as long as `chunk` is when
  /// there is nothing to hide.
  std::string_view feed(std::string_view chunk);
  /// The stream has ended: what was held back.
  std::string_view finish();

 private:
  std::size_t held_bytes() const;

  const Mask* mask_;
  std::string held_;
  std::string shown_;
};

}  // namespace pawl
