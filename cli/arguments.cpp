#include "cli/arguments.h"

#include <algorithm>
#include <functional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "scheduler/base/check.h"
#include "scheduler/base/text.h"
#include "scheduler/base/words.h"

namespace pawl {

namespace {

// CLI11 takes a word `[a,b]` apart into a list where more words may follow. A mark in front keeps
// it whole; no argument of a program can hold this one and mean anything.
constexpr char kWhole = '\x01';

constexpr int kColumns = 96;  // of a help page

std::string protect(std::string word) {
  if (!word.empty() && word.front() == '[') word.insert(word.begin(), kWhole);
  return word;
}

std::string unprotect(std::string word) {
  if (!word.empty() && word.front() == kWhole) word.erase(word.begin());
  return word;
}

std::vector<std::string> split_names(std::string_view names) {
  std::vector<std::string> list;
  while (!names.empty()) {
    const std::size_t comma = std::min(names.find(','), names.size());
    list.emplace_back(names.substr(0, comma));
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  return list;
}

std::string join(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += between;
    text += word;
  }
  return text;
}

Error invalid(std::string message) { return {ErrorKind::invalid, std::move(message)}; }

std::string shown(const std::string& text) { return escape_for_terminal(text); }

}  // namespace

struct Arguments::Parser {
  std::string verb;
  std::string summary;
  CLI::App app;
  std::vector<ArgumentHelp> described;
  /// Run after CLI11 is done, in order: they move what it read into the targets, or object.
  std::vector<std::function<Result<void>()>> readers;
  std::vector<std::function<Result<void>()>> checks;  ///< after all readers
  std::vector<std::pair<std::string, std::string>> examples;
  std::vector<std::string> notes;
  bool help = false;
  /// What CLI11 reads into; boxes, so that their addresses stay.
  std::vector<std::unique_ptr<std::vector<std::string>>> boxes;

  ArgumentHelp& describe(std::string_view names, std::string_view value, std::string_view text) {
    ArgumentHelp& entry = described.emplace_back();
    entry.names = split_names(names);
    entry.value = value;
    entry.text = text;
    return entry;
  }

  /// An option whose values are collected as text.
  std::vector<std::string>* collect(std::string_view names) {
    auto& box = *boxes.emplace_back(std::make_unique<std::vector<std::string>>());
    app.add_option(std::string(names), box)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    return &box;
  }

  /// A reader of the last value, called when there is one.
  void read_last(std::string_view names, std::function<Result<void>(const std::string&)> reader) {
    const std::vector<std::string>* box = collect(names);
    readers.emplace_back([box, read = std::move(reader)]() -> Result<void> {
      if (box->empty()) return {};
      return read(unprotect(box->back()));
    });
  }

  /// The last word is an option that wants a value.
  Result<void> without_value(const std::string& option) const {
    const auto entry = std::find_if(described.begin(), described.end(), [&](const auto& one) {
      return std::find(one.names.begin(), one.names.end(), option) != one.names.end();
    });
    const std::string value = entry == described.end() ? "a value" : entry->value;
    return invalid(fmt::format("{}: {} wants {} behind it", verb, shown(option), value));
  }

  Result<void> unknown(const std::vector<std::string>& words) const {
    const auto option = std::find_if(words.begin(), words.end(), [](const std::string& word) {
      return word.size() > 1 && word.front() == '-';
    });
    if (option == words.end()) {
      return invalid(fmt::format("{}: one word too many: '{}'", verb, shown(words.front())));
    }
    const std::string name = option->substr(0, option->find('='));
    std::vector<std::string_view> known;
    for (const ArgumentHelp& entry : described) {
      if (!entry.is_word) known.insert(known.end(), entry.names.begin(), entry.names.end());
    }
    const std::string_view near = nearest_word(name, known);
    return invalid(fmt::format("{}: there is no option '{}'{}", verb, shown(name),
                               near.empty() ? "" : fmt::format(". Did you mean {}?", near)));
  }
};

Arguments::Arguments(std::string verb, std::string summary) : parser_(std::make_unique<Parser>()) {
  parser_->verb = std::move(verb);
  parser_->summary = std::move(summary);
  parser_->app.set_help_flag();
}

Arguments::~Arguments() = default;
Arguments::Arguments(Arguments&&) noexcept = default;

void Arguments::flag(std::string_view names, bool& target, std::string_view text) {
  parser_->describe(names, "", text);
  parser_->app.add_flag(std::string(names), target);
}

void Arguments::option(std::string_view names, std::string_view value, std::string& target,
                       std::string_view text) {
  parser_->describe(names, value, text);
  const std::vector<std::string>* box = parser_->collect(names);
  parser_->readers.emplace_back([parser = parser_.get(), box, &target,
                                 name = split_names(names).back(),
                                 form = std::string(value)]() -> Result<void> {
    if (box->empty()) return {};
    if (std::adjacent_find(box->begin(), box->end(), std::not_equal_to<>()) != box->end()) {
      return invalid(fmt::format("{}: {} is given {} times, but takes one {}", parser->verb, name,
                                 box->size(), form));
    }
    target = unprotect(box->back());
    return {};
  });
}

void Arguments::option(std::string_view names, std::string_view value,
                       std::vector<std::string>& target, std::string_view text) {
  parser_->describe(names, value, text).repeated = true;
  const std::vector<std::string>* box = parser_->collect(names);
  parser_->readers.emplace_back([box, &target]() -> Result<void> {
    for (const std::string& word : *box) target.push_back(unprotect(word));
    return {};
  });
}

void Arguments::option(std::string_view names, std::string_view value,
                       std::optional<std::int64_t>& target, std::int64_t min,
                       std::string_view text) {
  parser_->describe(names, value, text);
  const std::string name = split_names(names).back();
  parser_->read_last(
      names, [parser = parser_.get(), &target, min, name](const std::string& word) -> Result<void> {
        const auto number = whole_number<std::int64_t>(word);
        if (!number || *number < min) {
          return invalid(fmt::format("{}: '{}' of {} is no whole number from {} on", parser->verb,
                                     shown(word), name, min));
        }
        target = *number;
        return {};
      });
}

void Arguments::option(std::string_view names, std::string_view value,
                       std::optional<Duration>& target, std::string_view text) {
  parser_->describe(names, value, text);
  const std::string name = split_names(names).back();
  parser_->read_last(
      names, [parser = parser_.get(), &target, name](const std::string& word) -> Result<void> {
        const auto duration = parse_duration(word);
        if (!duration) {
          return invalid(fmt::format("{}: {}: {}", parser->verb, name, duration.error().message));
        }
        target = *duration;
        return {};
      });
}

void Arguments::choice(std::string_view names, std::string_view value, std::string& target,
                       std::vector<std::string> choices, std::string_view text) {
  parser_->describe(names, value, text).choices = choices;
  const std::string name = split_names(names).back();
  parser_->read_last(
      names,
      [parser = parser_.get(), &target, choices, name](const std::string& word) -> Result<void> {
        if (std::find(choices.begin(), choices.end(), word) == choices.end()) {
          return invalid(fmt::format("{}: '{}' of {} is none of {}", parser->verb, shown(word),
                                     name, join(choices, ", ")));
        }
        target = word;
        return {};
      });
}

void Arguments::word(std::string_view name, std::string& target, bool required,
                     std::string_view text, std::vector<std::string> choices) {
  ArgumentHelp& entry = parser_->describe(name, "", text);
  entry.is_word = true;
  entry.required = required;
  entry.choices = choices;
  auto& box = *parser_->boxes.emplace_back(std::make_unique<std::vector<std::string>>());
  parser_->app.add_option(std::string(name), box)->expected(1)->allow_extra_args(false);
  parser_->readers.emplace_back([parser = parser_.get(), &box, &target, required, choices,
                                 what = std::string(name)]() -> Result<void> {
    if (box.empty()) {
      if (!required) return {};
      return invalid(fmt::format("{}: {} is missing", parser->verb, what));
    }
    const std::string given = unprotect(box.front());
    if (!choices.empty() && std::find(choices.begin(), choices.end(), given) == choices.end()) {
      return invalid(fmt::format("{}: {} '{}' is none of {}", parser->verb, what, shown(given),
                                 join(choices, ", ")));
    }
    target = given;
    return {};
  });
}

void Arguments::words(std::string_view name, std::vector<std::string>& target, bool required,
                      std::string_view text) {
  ArgumentHelp& entry = parser_->describe(name, "", text);
  entry.is_word = true;
  entry.required = required;
  entry.repeated = true;
  auto& box = *parser_->boxes.emplace_back(std::make_unique<std::vector<std::string>>());
  parser_->app.add_option(std::string(name), box)->expected(-1);
  parser_->readers.emplace_back([parser = parser_.get(), &box, &target, required,
                                 what = std::string(name)]() -> Result<void> {
    if (box.empty() && required) {
      return invalid(fmt::format("{}: {} is missing", parser->verb, what));
    }
    for (const std::string& given : box) target.push_back(unprotect(given));
    return {};
  });
}

void Arguments::output(OutputOptions& target, std::vector<Format> formats) {
  PAWL_CHECK(!formats.empty());
  target.format = formats.front();
  std::vector<std::string> words;
  for (const Format format : formats) words.emplace_back(to_string(format));
  parser_->describe("-o,--output", "FORMAT", "how to print: " + join(words, ", ")).choices = words;
  parser_->read_last(
      "-o,--output",
      [parser = parser_.get(), &target, words](const std::string& word) -> Result<void> {
        const auto format = format_from(word);
        if (!format || std::find(words.begin(), words.end(), word) == words.end()) {
          return invalid(fmt::format("{}: '{}' of --output is none of {}", parser->verb,
                                     shown(word), join(words, ", ")));
        }
        target.format = *format;
        return {};
      });
  parser_->describe("--no-header", "", "no line of column names (table, wide, csv)");
  CLI::Option* const flag = parser_->app.add_flag("--no-header");
  parser_->readers.emplace_back([&target, flag]() -> Result<void> {
    target.header = flag->count() == 0;
    return {};
  });
}

void Arguments::check(std::function<Result<void>()> test) {
  parser_->checks.push_back(std::move(test));
}

void Arguments::example(std::string_view command, std::string_view text) {
  parser_->examples.emplace_back(command, text);
}

void Arguments::note(std::string_view paragraph) { parser_->notes.emplace_back(paragraph); }

Result<void> Arguments::parse(std::vector<std::string> words) {
  parser_->app.add_flag("-h,--help", parser_->help);
  std::transform(words.begin(), words.end(), words.begin(), protect);
  std::reverse(words.begin(), words.end());  // what CLI11 asks for
  try {
    parser_->app.parse(words);
  } catch (const CLI::ExtrasError&) {
    std::vector<std::string> extra = parser_->app.remaining();
    std::transform(extra.begin(), extra.end(), extra.begin(), unprotect);
    if (!parser_->help) return parser_->unknown(extra);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();  // `--param: 1 required TEXT missing`
    if (!parser_->help) return parser_->without_value(text.substr(0, text.find(':')));
  } catch (const CLI::ParseError& error) {
    if (!parser_->help) return invalid(fmt::format("{}: {}", parser_->verb, shown(error.what())));
  }
  if (parser_->help) return {};
  for (const auto& read : parser_->readers) {
    if (Result<void> done = read(); !done) return done;
  }
  for (const auto& test : parser_->checks) {
    if (const Result<void> passed = test(); !passed) {
      return invalid(fmt::format("{}: {}", parser_->verb, passed.error().message));
    }
  }
  return {};
}

bool Arguments::wants_help() const { return parser_->help; }

const std::vector<ArgumentHelp>& Arguments::described() const { return parser_->described; }

std::string Arguments::usage() const {
  std::string text;
  std::string line = "usage: pawl " + parser_->verb;
  const auto add = [&](const std::string& part) {
    if (display_width(line) + display_width(part) >= kColumns) {
      text += line + "\n";
      line = std::string(8, ' ');
    }
    line += " " + part;
  };
  for (const ArgumentHelp& entry : parser_->described) {
    if (!entry.is_word) continue;
    const std::string word = entry.names.front() + (entry.repeated ? "…" : "");
    add(entry.required ? word : "[" + word + "]");
  }
  for (const ArgumentHelp& entry : parser_->described) {
    if (entry.is_word) continue;
    const std::string value = entry.value.empty() ? "" : " " + entry.value;
    add("[" + entry.names.front() + value + (entry.repeated ? "]…" : "]"));
  }
  return text + line;
}

std::string Arguments::help(const Terminal& terminal) const {
  const auto title = [&](std::string_view text) { return styled(terminal, Style::bold, text); };
  std::string page =
      fmt::format("{} {}\n  {}\n", title("pawl"), title(parser_->verb), parser_->summary);
  std::string words;
  std::string options;
  for (const ArgumentHelp& entry : parser_->described) {
    std::string names = join(entry.names, ", ");
    if (!entry.is_word && entry.names.size() == 1 && entry.names.front().starts_with("--")) {
      names = "    " + names;
    }
    if (!entry.value.empty()) names += " " + entry.value;
    if (entry.repeated) names += " …";
    (entry.is_word ? words : options) += fmt::format("  {}  {}\n", pad(names, 26), entry.text);
  }
  options += fmt::format("  {}  {}\n", pad("    --home DIR", 26), "where the state lives");
  options += fmt::format("  {}  {}\n", pad("-h, --help", 26), "this page");
  page += "\n" + usage() + "\n";
  if (!words.empty()) page += "\n" + words;
  page += fmt::format("\n{}\n{}", title("Options"), options);
  for (const std::string& note : parser_->notes)
    page += "\n" + join(wrap_to_width(note, kColumns), "\n") + "\n";
  if (!parser_->examples.empty()) page += fmt::format("\n{}\n", title("Examples"));
  for (const auto& [command, text] : parser_->examples) {
    page += text.empty() ? fmt::format("  {}\n", command)
                         : fmt::format("  {}  {}\n", pad(command, 44), text);
  }
  return page;
}

}  // namespace pawl
