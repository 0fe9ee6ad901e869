// PAWL_VERSION, PAWL_COMMIT and PAWL_LIBRARIES (`name version,name version`) come from the build.

#include <string_view>

#include <fmt/format.h>

#include "cli/verb.h"

namespace pawl {

namespace {

class VersionVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.output(output_, {Format::table, Format::json, Format::jsonl, Format::name});
  }

  Result<int> run(Session& session) override {
    OrderedJson libraries = OrderedJson::object();
    std::string_view rest = PAWL_LIBRARIES;
    while (!rest.empty()) {
      const std::string_view entry = rest.substr(0, rest.find(','));
      const std::size_t blank = entry.find(' ');
      libraries[std::string(entry.substr(0, blank))] = entry.substr(blank + 1);
      rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    }
    if (output_.format == Format::name) {
      session.out.line(PAWL_VERSION);
    } else if (output_.format != Format::table) {
      print_object(session.out, output_,
                   {{"version", PAWL_VERSION}, {"commit", PAWL_COMMIT}, {"libraries", libraries}});
    } else {
      session.out.line(fmt::format("pawl {} ({})", PAWL_VERSION, PAWL_COMMIT));
      for (const auto& [name, version] : libraries.items()) {
        session.out.line(fmt::format("  {}  {}", pad(name, 14), version.get<std::string>()));
      }
    }
    return 0;
  }

 private:
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_version_verb() { return std::make_unique<VersionVerb>(); }

}  // namespace pawl
