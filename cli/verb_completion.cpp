#include <fmt/format.h>

#include "cli/verb.h"
#include "scheduler/base/shell.h"

namespace pawl {

namespace {

/// What stands behind a verb or an option.
enum class Kind { nothing, files, folders, jobs, runs, words };

struct Completion {
  std::string_view verb;
  std::string_view summary;
  std::vector<ArgumentHelp> arguments;
};

std::vector<Completion> all_completions() {
  std::vector<Completion> list;
  for (const VerbEntry& entry : verbs()) {
    const std::unique_ptr<Verb> verb = entry.make();
    Arguments arguments{std::string(entry.name), std::string(entry.summary)};
    verb->declare(arguments);
    std::string home;
    arguments.option("--home", "DIR", home, "where the state lives");
    list.push_back({entry.name, entry.summary, arguments.described()});
  }
  return list;
}

Kind kind_of(const ArgumentHelp& argument) {
  if (!argument.choices.empty()) return Kind::words;
  const std::string& what = argument.is_word ? argument.names.front() : argument.value;
  if (what.find("FILE") != std::string::npos) return Kind::files;
  if (what == "DIR") return Kind::folders;
  if (what.find("RUN") != std::string::npos || what == "SELECTOR") return Kind::runs;
  if (what.find("JOB") != std::string::npos) return Kind::jobs;
  return Kind::nothing;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// The word of bash's `compgen` that lists what fits.
std::string bash_list(const ArgumentHelp& argument) {
  switch (kind_of(argument)) {
    case Kind::nothing: return "";
    case Kind::files: return "_filedir_pawl";
    case Kind::folders: return "_folders_pawl";
    case Kind::jobs: return "_words_pawl \"$(pawl jobs -o name 2>/dev/null)\"";
    case Kind::runs: return "_words_pawl \"$(pawl runs -o name 2>/dev/null)\"";
    case Kind::words: return "_words_pawl \"" + joined(argument.choices) + "\"";
  }
  return "";
}

std::string bash_script() {
  std::string names;
  std::string cases;
  for (const Completion& completion : all_completions()) {
    names += (names.empty() ? "" : " ") + std::string(completion.verb);
    std::string options;
    std::string values;
    std::string words;
    for (const ArgumentHelp& argument : completion.arguments) {
      const std::string list = bash_list(argument);
      if (argument.is_word) {
        if (words.empty()) words = list;
        continue;
      }
      options += (options.empty() ? "" : " ") + joined(argument.names);
      if (argument.value.empty()) continue;
      std::string pattern;
      for (const std::string& name : argument.names) pattern += (pattern.empty() ? "" : "|") + name;
      values += fmt::format("        {}) {}; return ;;\n", pattern, list.empty() ? ":" : list);
    }
    if (completion.verb == "help") words = "_words_pawl \"$verbs\"";
    cases += fmt::format(
        "    {})\n      case $before in\n{}      esac\n"
        "      if [[ $word == -* ]]; then _words_pawl \"{} --help\"; else {}; fi ;;\n",
        completion.verb, values, options, words.empty() ? ":" : words);
  }
  return fmt::format(R"(# Completion of pawl for bash. Use it: source <(pawl completion bash)
_words_pawl() {{ mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word"); }}
_filedir_pawl() {{ compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); }}
_folders_pawl() {{ compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word"); }}
_pawl() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb="" i
  local verbs="{}"
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in
      --home) ((i++)) ;;
      -*) ;;
      *) verb=${{COMP_WORDS[i]}}; break ;;
    esac
  done
  case $verb in
    "")
      if [[ $before == --home ]]; then _folders_pawl
      elif [[ $word == -* ]]; then _words_pawl "--home --help --version"
      else _words_pawl "$verbs"; fi ;;
{}  esac
}}
complete -F _pawl pawl
)",
                     names, cases);
}

std::string fish_list(const ArgumentHelp& argument) {
  switch (kind_of(argument)) {
    case Kind::nothing: return "-x";
    case Kind::files: return "-r -F";
    case Kind::folders: return "-x -a '(__fish_complete_directories)'";
    case Kind::jobs: return "-x -a '(pawl jobs -o name 2>/dev/null)'";
    case Kind::runs: return "-x -a '(pawl runs -o name 2>/dev/null)'";
    case Kind::words: return "-x -a " + quoted_for_shell(joined(argument.choices));
  }
  return "";
}

std::string fish_script() {
  std::string script =
      "# Completion of pawl for fish. Use it: pawl completion fish | source\n"
      "complete -c pawl -f\n"
      "complete -c pawl -n __fish_use_subcommand -l home -x -a '(__fish_complete_directories)'\n";
  for (const Completion& completion : all_completions()) {
    script += fmt::format("complete -c pawl -n __fish_use_subcommand -a {} -d {}\n",
                          completion.verb, quoted_for_shell(completion.summary));
    const std::string seen =
        fmt::format("complete -c pawl -n '__fish_seen_subcommand_from {}'", completion.verb);
    for (const ArgumentHelp& argument : completion.arguments) {
      if (argument.is_word) {
        const Kind kind = kind_of(argument);
        if (kind == Kind::files)
          script += seen + " -F\n";
        else if (kind != Kind::nothing)
          script += seen + " " + fish_list(argument).substr(3) + "\n";
        continue;
      }
      std::string line = seen;
      for (const std::string& name : argument.names) {
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (!argument.value.empty()) line += " " + fish_list(argument);
      script += line + " -d " + quoted_for_shell(argument.text) + "\n";
    }
  }
  return script;
}

std::string zsh_list(const ArgumentHelp& argument) {
  switch (kind_of(argument)) {
    case Kind::nothing: return "";
    case Kind::files: return "_files";
    case Kind::folders: return "_files -/";
    case Kind::jobs: return "($(pawl jobs -o name 2>/dev/null))";
    case Kind::runs: return "($(pawl runs -o name 2>/dev/null))";
    case Kind::words: return "(" + joined(argument.choices) + ")";
  }
  return "";
}

/// Text inside `[…]` of zsh's `_arguments`, where brackets and colons mean something.
std::string zsh_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string zsh_arguments(const Completion& completion) {
  std::string text;
  for (const ArgumentHelp& argument : completion.arguments) {
    if (argument.is_word) {
      const std::string list = completion.verb == "help" ? "($verbs)" : zsh_list(argument);
      text += fmt::format(" \"{}:{}:{}\"", argument.repeated ? "*" : "", argument.names.front(),
                          list.empty() ? " " : list);
      continue;
    }
    for (const std::string& name : argument.names) {
      std::string spec =
          fmt::format("{}{}[{}]", argument.repeated ? "*" : "", name, zsh_text(argument.text));
      if (!argument.value.empty()) {
        const std::string list = zsh_list(argument);
        spec += fmt::format(":{}:{}", argument.value, list.empty() ? " " : list);
      }
      text += " " + quoted_for_shell(spec);
    }
  }
  return text;
}

std::string zsh_script() {
  std::string described;
  std::string names;
  std::string cases;
  for (const Completion& completion : all_completions()) {
    described +=
        "    " +
        quoted_for_shell(fmt::format("{}:{}", completion.verb, zsh_text(completion.summary))) +
        "\n";
    names += (names.empty() ? "" : " ") + std::string(completion.verb);
    cases += fmt::format("      {}) _arguments{} ;;\n", completion.verb, zsh_arguments(completion));
  }
  return fmt::format(R"(#compdef pawl
# Completion of pawl for zsh. Use it: source <(pawl completion zsh)
_pawl() {{
  local -a described verbs
  local state
  described=(
{})
  verbs=({})
  _arguments -C '--home[where the state lives]:DIR:_files -/' '1: :->verb' '*:: :->rest'
  case $state in
    verb) _describe verb described ;;
    rest)
      case $words[1] in
{}      esac ;;
  esac
}}
if [ "$funcstack[1]" = _pawl ]; then _pawl; else compdef _pawl pawl; fi
)",
                     described, names, cases);
}

class CompletionVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("SHELL", shell_, true, "bash, zsh or fish", {"bash", "zsh", "fish"});
    arguments.example("source <(pawl completion bash)", "now; in ~/.bashrc for ever");
    arguments.example("pawl completion fish | source");
  }

  Result<int> run(Session& session) override {
    session.out.print(shell_ == "bash"   ? bash_script()
                      : shell_ == "fish" ? fish_script()
                                         : zsh_script());
    return 0;
  }

 private:
  std::string shell_;
};

}  // namespace

std::unique_ptr<Verb> make_completion_verb() { return std::make_unique<CompletionVerb>(); }

}  // namespace pawl
