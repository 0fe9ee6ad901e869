#include "tests/fuzz/fuzz.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>

#include <catch2/catch.hpp>

namespace pawl::test {
namespace {

constexpr std::size_t kInputBytesMax = 64u << 10;

std::string read_whole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The files of a corpus, each one input; a file called `lines` holds one in each line.
std::vector<std::string> corpus_of(const std::string& name) {
  std::vector<std::string> inputs;
  const auto folder = std::filesystem::path(PAWL_SOURCE_DIR) / "tests/fuzz/corpus" / name;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    std::string text = read_whole(entry.path());
    if (entry.path().filename() != "lines") {
      inputs.push_back(std::move(text));
      continue;
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) inputs.push_back(line);
  }
  return inputs;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, const std::vector<std::string>& words,
          std::uint32_t seed)
      : seeds_(seeds), words_(words), random_(seed) {}

  std::string next() {
    std::string text = seeds_[below(seeds_.size())];
    for (std::size_t edits = 1 + below(6); edits > 0; --edits) edit(text);
    if (text.size() > kInputBytesMax) text.resize(kInputBytesMax);
    return text;
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  std::string piece() {
    if (!words_.empty() && below(2) == 0) return words_[below(words_.size())];
    const std::string& other = seeds_[below(seeds_.size())];
    const std::size_t from = below(other.size());
    return other.substr(from, 1 + below(16));
  }

  void edit(std::string& text) {
    const std::size_t at = below(text.size() + 1);
    switch (below(8)) {
      case 0: text.insert(at, piece()); return;
      case 1: text.erase(at, 1 + below(8)); return;
      case 2: text.resize(at); return;
      case 3: text.insert(at, 1, static_cast<char>(random_())); return;
      case 4: {  // some piece over and over: deep nesting, long numbers
        const std::string again = piece();
        for (std::size_t times = 1 + below(300); times > 0; --times) text.insert(at, again);
        return;
      }
      case 5: {
        const std::string& other = seeds_[below(seeds_.size())];
        text = text.substr(0, at) + other.substr(below(other.size() + 1));
        return;
      }
      default:
        if (!text.empty()) text[below(text.size())] ^= static_cast<char>(1U << below(8));
        return;
    }
  }

  const std::vector<std::string>& seeds_;
  const std::vector<std::string>& words_;
  std::mt19937 random_;
};

}  // namespace

void fuzz(const std::string& name, const std::vector<std::string>& seeds,
          const std::vector<std::string>& words, int rounds,
          const std::function<void(std::string_view)>& one) {
  const std::string kept = name + ".input";
  auto attempt = [&](const std::string& input) {
    std::ofstream(kept, std::ios::binary | std::ios::trunc) << input;
    // At an address of its own, so that a read behind its end is found.
    const std::vector<char> bytes(input.begin(), input.end());
    one(std::string_view(bytes.data(), bytes.size()));
  };
  std::vector<std::string> inputs = corpus_of(name);
  REQUIRE_FALSE(inputs.empty());
  inputs.insert(inputs.end(), seeds.begin(), seeds.end());
  for (const std::string& input : inputs) attempt(input);

  const char* seconds = std::getenv("PAWL_FUZZ_SECONDS");  // NOLINT(concurrency-mt-unsafe)
  const std::uint32_t seed = seconds == nullptr ? 1 : std::random_device{}();
  INFO("seed " << seed << ", the input is in " << kept);
  Mutator mutator(inputs, words, seed);
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::seconds(seconds == nullptr ? 0 : std::atoi(seconds));
  int tried = 0;
  while (seconds == nullptr ? tried < rounds : std::chrono::steady_clock::now() < end) {
    attempt(mutator.next());
    ++tried;
  }
  if (seconds != nullptr) WARN(name << ": " << tried << " inputs from seed " << seed);
  std::filesystem::remove(kept);
}

}  // namespace pawl::test
