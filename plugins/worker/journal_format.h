#pragma once

// The bytes of a journal (journal.h): its records and the names of its segments. Private to its two
// sides.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/result.h"

namespace pawl::journal {

enum class Kind : std::uint8_t { begin = 1, spawned = 2, end = 3, handle = 4 };

inline constexpr std::size_t kHeaderBytes = 16;
inline constexpr std::size_t kAlignment = 8;

/// What a record of a payload of this size takes in its segment.
constexpr std::size_t record_bytes(std::size_t payload_bytes) {
  return (kHeaderBytes + payload_bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void append_record(std::string& to, Kind kind, std::string_view payload, std::uint32_t segment);

struct Record {
  Kind kind = Kind::begin;
  std::string_view payload;
  std::size_t bytes = 0;  ///< with header and padding
};

/// The good record at `offset`, if there is one.
std::optional<Record> record_at(std::string_view bytes, std::size_t offset, std::uint32_t segment);

/// Numbers of the segments in the folder, ascending; none when it is not there.
Result<std::vector<std::uint32_t>> list_segments(const std::string& folder);
std::string segment_path(const std::string& folder, std::uint32_t number);

/// `what: why`, of kind `storage`.
Error system_error(const std::string& what, int error);

}  // namespace pawl::journal
