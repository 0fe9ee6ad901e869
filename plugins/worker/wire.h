#pragma once

// Bytes of integers and text, little endian, for frames and journal records.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace pawl::wire {

/// Appends values to a string.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  template <typename Int>
  void integer(Int value) {
    integers(value);
  }
  /// One after the other. Each append to a string costs more than a value, and most records are
  /// rows of values.
  template <typename... Int>
  void integers(Int... values) {
    char bytes[(sizeof(Int) + ...)];
    char* at = bytes;
    ((at = put(at, values)), ...);
    out_.append(bytes, sizeof(bytes));
  }
  void flag(bool value) { integer<std::uint8_t>(value ? 1 : 0); }
  void text(std::string_view value) {
    integer(static_cast<std::uint32_t>(value.size()));
    if (!value.empty()) out_.append(value);
  }

 private:
  template <typename Int>
  static char* put(char* at, Int value) {
    static_assert(std::is_integral_v<Int>);
    auto bits = static_cast<std::make_unsigned_t<Int>>(value);
    for (std::size_t i = 0; i < sizeof(Int); ++i) {
      *at++ = static_cast<char>(bits & 0xFF);
      if constexpr (sizeof(Int) > 1) bits = static_cast<decltype(bits)>(bits >> 8);
    }
    return at;
  }

  std::string& out_;
};

/// Reads them back. After a value that is not there every further one is zero and `ok()` is false,
/// so a whole record is read first and judged once.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename Int>
  Int integer() {
    static_assert(std::is_integral_v<Int>);
    if (rest_.size() < sizeof(Int)) return refuse(), Int{};
    std::make_unsigned_t<Int> bits = 0;
    for (std::size_t i = sizeof(Int); i-- > 0;) {
      if constexpr (sizeof(Int) > 1) bits = static_cast<decltype(bits)>(bits << 8);
      bits = static_cast<decltype(bits)>(bits | static_cast<unsigned char>(rest_[i]));
    }
    rest_.remove_prefix(sizeof(Int));
    return static_cast<Int>(bits);
  }
  bool flag() {
    auto value = integer<std::uint8_t>();
    if (value > 1) refuse();
    return value == 1;
  }
  std::string_view text() {
    auto size = integer<std::uint32_t>();
    if (size > rest_.size()) return refuse(), std::string_view{};
    auto value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }
  /// An enumerator below `count`.
  template <typename Enum>
  Enum word(std::size_t count) {
    auto value = integer<std::uint8_t>();
    if (value >= count) return refuse(), Enum{};
    return static_cast<Enum>(value);
  }

  /// What was read cannot be: nothing is left.
  void refuse() {
    ok_ = false;
    rest_ = {};
  }

  bool ok() const { return ok_; }
  /// Nothing is left and nothing was missing.
  bool done() const { return ok_ && rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

/// A count and that many values, each read by `read_one()`. The count itself is not believed:
/// reading stops with the bytes.
template <typename ReadOne>
void read_each(Reader& in, const ReadOne& read_one) {
  const auto count = in.integer<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) read_one();
}

}  // namespace pawl::wire
