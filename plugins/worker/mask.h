#pragma once

// Hides the values of secrets in text that passes by. A seat belt, not a promise: values of at
// least kMaskBytesMin bytes are found in the forms that programs commonly give to a text that they
// hand on,
//   - as they are,
//   - with backslashes, as JSON and Python's `repr` and `ascii` have them, JSON within JSON too,
//   - percent-encoded, as addresses and forms have them, wholly or in part,
//   - as base64, alone or within something longer, in both alphabets;
// of an address also the password and the path that are in it, which is what servers are told of
// it. In any other form they are not.
//
// Who cuts a text hides first: a part of a value is none, and nobody finds it any more. Where a
// text was cut before it came, `hide_beginning` takes off what may be the beginning of one.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pawl {

/// Shorter values would hide half of every log.
inline constexpr std::size_t kMaskBytesMin = 8;
/// No longer than what it stands for, so hidden text never grows.
inline constexpr std::string_view kMaskText = "***";
static_assert(kMaskText.size() <= kMaskBytesMin);

/// The values to hide. Immutable; shared by the streams of an attempt.
class Mask {
 public:
  explicit Mask(std::vector<std::string> values);
  bool empty() const { return patterns_.empty(); }
  /// What it was made of.
  const std::vector<std::string>& values() const { return values_; }
  /// `text` as a whole with every value hidden.
  std::string hide(std::string_view text) const;
  /// The same of a text that was cut at its end: without what may be the beginning of a value
  /// there.
  std::string hide_beginning(std::string_view text) const;
  /// Appends `text` with every value hidden to `out`, up to what may be the beginning of one that
  /// goes on behind it. Returns how much of `text` that is.
  std::size_t hide_into(std::string_view text, std::string& out) const;

 private:
  std::size_t append_hidden(std::string_view text, bool is_end, std::string& out) const;
  void add_value(const std::string& value);
  void index(std::string_view pattern);

  std::vector<std::string> values_;
  std::vector<std::string> patterns_;
  /// By two bytes: whether a value may begin with them, in whatever form.
  std::vector<bool> begins_;
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
  const Mask* mask_;
  std::string held_;
  std::string shown_;
};

}  // namespace pawl
