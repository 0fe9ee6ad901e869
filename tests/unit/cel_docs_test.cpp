#include <fstream>
#include <sstream>
#include <string>

#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

TEST_CASE("every example of the page on expressions gives what it says") {
  std::ifstream page(PAWL_SOURCE_DIR "/docs/expressions.md");
  REQUIRE(page);
  Json names = Json::object();
  std::string block;
  std::string text;
  int examples = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.substr(0, 3) == "```") {
      const bool opens = block.empty();
      if (!opens && block == "json names") names = Json::parse(text);
      block = opens ? line.substr(3) : "";
      if (opens && block.empty()) block = "text";
      text.clear();
    } else if (block == "cel") {
      const std::size_t arrow = line.rfind("  // => ");
      if (line.empty()) continue;
      INFO(line);
      REQUIRE(arrow != std::string::npos);
      CHECK(test::outcome(line.substr(0, arrow), names) ==
            Json::parse(line.substr(arrow + 8)).dump());
      ++examples;
    } else if (block == "template") {
      const std::size_t arrow = line.rfind("  // => ");
      if (line.empty()) continue;
      INFO(line);
      REQUIRE(arrow != std::string::npos);
      auto compiled = Template::compile(line.substr(0, arrow));
      REQUIRE(std::holds_alternative<Template>(compiled));
      const auto value = std::get<Template>(compiled).render(JsonContext(names));
      REQUIRE(std::holds_alternative<Json>(value));
      CHECK(std::get<Json>(value).dump() == Json::parse(line.substr(arrow + 8)).dump());
      ++examples;
    } else {
      text += line + "\n";
    }
  }
  CHECK(examples > 60);
}

}  // namespace
}  // namespace pawl
