#include <fmt/format.h>

#include "cli/verb.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

class HelpVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("VERB", verb_, false, "the verb to explain");
    arguments.example("pawl help run");
  }

  Result<int> run(Session& session) override {
    if (verb_.empty()) {
      session.out.print(overview(session.out));
      return 0;
    }
    const VerbEntry* entry = find_verb(verb_);
    if (entry == nullptr) {
      std::vector<std::string_view> names;
      for (const VerbEntry& known : verbs()) names.push_back(known.name);
      const std::string_view near = nearest_word(verb_, names);
      return Error{ErrorKind::invalid,
                   fmt::format("help: there is no verb '{}'. {}", escape_for_terminal(verb_),
                               near.empty() ? "See pawl --help"
                                            : fmt::format("Did you mean pawl help {}?", near))};
    }
    session.out.print(help_page(*entry, session.out));
    return 0;
  }

 private:
  std::string verb_;
};

}  // namespace

std::unique_ptr<Verb> make_help_verb() { return std::make_unique<HelpVerb>(); }

}  // namespace pawl
