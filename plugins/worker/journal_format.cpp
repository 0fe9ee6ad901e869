#include "plugins/worker/journal_format.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <xxhash.h>

#include "plugins/worker/wire.h"
#include "scheduler/base/words.h"

namespace pawl::journal {
namespace {

constexpr std::string_view kPrefix = "journal.";

std::uint64_t checksum(std::uint32_t size, std::uint8_t kind, std::string_view payload,
                       std::uint32_t segment) {
  std::uint64_t head = std::uint64_t{size} << 8 | kind;
  std::uint64_t seed = XXH3_64bits_withSeed(&head, sizeof(head), segment);
  return XXH3_64bits_withSeed(payload.data(), payload.size(), seed);
}

/// The number in `journal.00000012`; nothing for any other name.
std::optional<std::uint32_t> segment_number(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  return whole_number<std::uint32_t>(name);
}

}  // namespace

void append_record(std::string& to, Kind kind, std::string_view payload, std::uint32_t segment) {
  wire::Writer out(to);
  auto size = static_cast<std::uint32_t>(payload.size());
  constexpr std::uint8_t kZero = 0;
  out.integers(size, static_cast<std::uint8_t>(kind), kZero, kZero, kZero,
               checksum(size, static_cast<std::uint8_t>(kind), payload, segment));
  to.append(payload);
  to.append(record_bytes(payload.size()) - kHeaderBytes - payload.size(), '\0');
}

std::optional<Record> record_at(std::string_view bytes, std::size_t offset, std::uint32_t segment) {
  if (bytes.size() - offset < kHeaderBytes) return std::nullopt;
  wire::Reader in(bytes.substr(offset, kHeaderBytes));
  auto size = in.integer<std::uint32_t>();
  auto kind = in.integer<std::uint8_t>();
  for (int i = 0; i < 3; ++i) {
    if (in.integer<std::uint8_t>() != 0) return std::nullopt;
  }
  auto sum = in.integer<std::uint64_t>();
  if (kind < static_cast<std::uint8_t>(Kind::begin) ||
      kind > static_cast<std::uint8_t>(Kind::handle)) {
    return std::nullopt;
  }
  if (size > bytes.size() - offset - kHeaderBytes) return std::nullopt;
  std::string_view payload = bytes.substr(offset + kHeaderBytes, size);
  if (checksum(size, kind, payload, segment) != sum) return std::nullopt;
  return Record{static_cast<Kind>(kind), payload, record_bytes(size)};
}

Result<std::vector<std::uint32_t>> list_segments(const std::string& folder) {
  std::vector<std::uint32_t> numbers;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()), closedir);
  if (dir == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR) return numbers;
    return system_error(folder, errno);
  }
  while (const dirent* entry = readdir(dir.get())) {
    if (auto number = segment_number(entry->d_name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string segment_path(const std::string& folder, std::uint32_t number) {
  std::string digits = std::to_string(number);
  return folder + "/" + std::string(kPrefix) +
         std::string(8 - std::min<std::size_t>(8, digits.size()), '0') + digits;
}

Error system_error(const std::string& what, int error) {
  return {ErrorKind::storage, what + ": " + std::strerror(error)};
}

}  // namespace pawl::journal
