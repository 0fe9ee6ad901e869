// Files of items: CSV, JSON lines, lines, one JSON array.

#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include <catch2/catch.hpp>

#include "scheduler/daemon/item_source.h"
#include "tests/fuzz/fuzz.h"

using namespace pawl;
using namespace pawl::test;

namespace {

class File {
 public:
  File() { ::close(::mkstemp(path_)); }
  ~File() { ::unlink(path_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  void put(std::string_view bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }
  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/pawl-fuzz-XXXXXX";
};

/// All items from `position` on; with a stop in the middle, for who reads on from there.
std::vector<std::string> items_of(const File& file, ItemFormat format, std::string position,
                                  std::size_t stop_at, std::string& reached) {
  std::vector<std::string> items;
  auto stream = stream_file(file.path(), format, position);
  if (!stream) {
    REQUIRE_FALSE(stream.error().message.empty());
    return items;
  }
  while (items.size() < stop_at) {
    auto item = (*stream)->next();
    if (!item) {
      REQUIRE_FALSE(item.error().message.empty());
      items.emplace_back("error");
      return items;
    }
    if (!*item) return items;
    REQUIRE(nlohmann::json::accept(**item));
    items.push_back(std::move(**item));
  }
  reached = (*stream)->position();
  return items;
}

/// Whoever reads on after a restart reads what would have come.
void check(const File& file, ItemFormat format) {
  std::string reached;
  const auto all = items_of(file, format, "", 100'000, reached);
  if (all.size() < 3 || format == ItemFormat::json) return;
  reached.clear();
  const auto first = items_of(file, format, "", all.size() / 2, reached);
  if (reached.empty()) return;
  std::string ignored;
  auto rest = items_of(file, format, reached, 100'000, ignored);
  rest.insert(rest.begin(), first.begin(), first.end());
  REQUIRE(rest == all);
}

}  // namespace

TEST_CASE("any bytes as a CSV file give items or an error, also to who reads on from the middle") {
  const File file;
  fuzz("csv", {}, {"\"", "\"\"", ",", "\r\n", "\n", "\r", std::string(1, '\0'), ",,", "\n\"\n"},
       2000, [&](std::string_view bytes) {
         file.put(bytes);
         check(file, ItemFormat::csv);
       });
}

TEST_CASE("any bytes as JSON lines give items or an error, also to who reads on from the middle") {
  const File file;
  fuzz("jsonl", {},
       {"\n", "{", "}", "[", "null", "\"", "\\u", "1e999", "\r\n", " ", "\xef\xbb\xbf"}, 2000,
       [&](std::string_view bytes) {
         file.put(bytes);
         for (const ItemFormat format : {ItemFormat::jsonl, ItemFormat::lines, ItemFormat::json}) {
           check(file, format);
         }
       });
}
