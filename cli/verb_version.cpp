#include <string_view>

#include <fmt/format.h>

#include "cli/program.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class VersionVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
  }

  Result<int> run(Session& session) override {
    OrderedJson libraries = OrderedJson::object();
    std::string_view rest = program_libraries();
    while (!rest.empty()) {
      const std::string_view entry = rest.substr(0, rest.find(','));
      const std::size_t blank = entry.find(' ');
      libraries[std::string(entry.substr(0, blank))] = entry.substr(blank + 1);
      rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    }
    if (output_.format == Format::name) {
      session.out.line(program_version());
    } else if (!output_.is_for_people()) {
      print_object(
          session.out, output_,
          {{"version", program_version()}, {"commit", program_commit()}, {"libraries", libraries}});
    } else {
      session.out.line(fmt::format("pawl {} ({})", program_version(), program_commit()));
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
