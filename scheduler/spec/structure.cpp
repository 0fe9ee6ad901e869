#include "scheduler/spec/structure.h"

#include <algorithm>
#include <cmath>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/civil.h"
#include "scheduler/spec/cron.h"
#include "scheduler/spec/expression.h"
#include "scheduler/spec/structure_hints.h"

namespace pawl {
namespace {

bool accepts(Form form, NodeKind kind) {
  switch (form) {
    case Form::boolean: return kind == NodeKind::boolean;
    case Form::integer: return kind == NodeKind::integer;
    case Form::number: return kind == NodeKind::integer || kind == NodeKind::real;
    case Form::string: return kind == NodeKind::string;
    case Form::text: return kind == NodeKind::string || kind == NodeKind::array;
    case Form::any: return true;
    case Form::list: return kind == NodeKind::array;
    case Form::open_object:
    case Form::map:
    case Form::object: return kind == NodeKind::object;
    case Form::either: return false;
  }
  return false;
}

class StructureChecker {
 public:
  StructureChecker(const Document& document, const ParseOptions& options, Diagnostics& diagnostics)
      : doc_(document), options_(options), out_(diagnostics) {}

  /// `key` is the nearest key above, for hints.
  void check(NodeId node, const Shape& shape, std::string_view key) {
    if (out_.full()) return;
    const Shape* judge = alternative_for(shape, doc_.kind(node));
    if (judge == nullptr || !accepts(judge->form, doc_.kind(node))) {
      wrong_type(node, shape, key);
      return;
    }
    switch (judge->form) {
      case Form::boolean:
      case Form::any:
      case Form::open_object:
      case Form::either: return;
      case Form::integer:
      case Form::number: check_number(node, *judge); return;
      case Form::string: check_string(node, *judge, key, shape); return;
      case Form::text: check_text(node, *judge, key); return;
      case Form::list: check_list(node, *judge, key); return;
      case Form::map: check_map(node, *judge); return;
      case Form::object: {
        const bool outside = in_task_;
        in_task_ = in_task_ || judge->name == "task" || judge->name == "hook";
        check_object(node, *judge);
        in_task_ = outside;
        return;
      }
    }
  }

 private:
  static std::string allowed(const Shape& shape) {
    if (shape.check == Check::word) return "one of " + list_words(shape.words);
    return std::string(shape.what);
  }

  void wrong_type(NodeId node, const Shape& shape, std::string_view key) {
    out_.error(node, "expected " + allowed(shape) + ", found " + describe(doc_, node) +
                         wrong_type_hint(doc_, node, shape, key));
  }

  void check_number(NodeId node, const Shape& shape) {
    const double value = doc_.number(node);
    if (value >= shape.min && value <= shape.max) return;
    const std::string low = Json(static_cast<std::int64_t>(shape.min)).dump();
    const std::string high = Json(static_cast<std::int64_t>(shape.max)).dump();
    out_.error(node, doc_.to_json(node).dump() + " is out of range: " +
                         (shape.min == shape.max ? low + " is allowed"
                                                 : low + " to " + high + " are allowed"));
  }

  void check_string(NodeId node, const Shape& shape, std::string_view key, const Shape& whole) {
    const std::string_view text = doc_.string(node);
    if (text.empty() && !shape.empty_allowed) {
      out_.error(node, "expected " + allowed(whole) + ", found an empty text");
      return;
    }
    const std::size_t nul = text.find('\0');
    if (nul != std::string_view::npos) {
      out_.error_in_string(node, nul, "a NUL character cannot be handed to a program");
      return;
    }
    check_content(node, text, shape, key, whole);
  }

  void check_content(NodeId node, std::string_view text, const Shape& shape, std::string_view key,
                     const Shape& whole) {
    switch (shape.check) {
      case Check::none: return;
      case Check::job_name:
      case Check::task_id:
      case Check::name:
      case Check::identifier:
      case Check::variable:
      case Check::label: check_name(node, text, shape.check, key); return;
      case Check::duration: check_duration(node, text, shape); return;
      case Check::size: check_size(node, text); return;
      case Check::percent: check_percent(node, text, whole); return;
      case Check::word: check_word(node, text, shape, key); return;
      case Check::zone: check_zone(node, text); return;
      case Check::cron: check_cron(node, text); return;
      case Check::date:
        if (!parse_date(text)) {
          out_.error(node, quote(text) + " is not a date of the calendar: expected " +
                               std::string(shape.what));
        }
        return;
      case Check::instant:
        if (!parse_civil(text)) {
          out_.error(node, quote(text) + " is not a time: expected " + std::string(shape.what) +
                               " (local to the schedule's zone, or with Z or an offset)");
        }
        return;
      case Check::expression: check_expression(node, text); return;
      case Check::template_text: check_template(node, text); return;
    }
  }

  void check_name(NodeId node, std::string_view text, Check check, std::string_view key) {
    if (const auto hint = foreign_value_hint(key, text); !hint.empty()) {
      out_.error(node, quote(text) + " is not allowed: " + std::string(hint));
      return;
    }
    const std::string_view rule = name_rule(check, text);
    if (!rule.empty()) out_.error(node, quote(text) + " is not allowed: " + std::string(rule));
  }

  void check_duration(NodeId node, std::string_view text, const Shape& shape) {
    const auto duration = parse_duration(text);
    if (!duration) {
      out_.error(node, duration.error().message);
      return;
    }
    const auto ms = static_cast<double>(duration->count());
    if (ms < shape.min) {
      out_.error(node, quote(text) + " is too short: at least \"" +
                           format_duration(Duration(static_cast<std::int64_t>(shape.min))) +
                           "\" is allowed" +
                           (ms == 0 && shape.min == 1 ? "; leave the key out for no limit" : ""));
    } else if (ms > shape.max) {
      out_.error(node, quote(text) + " is too long: at most \"36500d\" is allowed");
    }
  }

  void check_size(NodeId node, std::string_view text) {
    const auto size = parse_size(text);
    if (!size) {
      out_.error(node, size.error().message);
    } else if (*size == 0) {
      out_.error(node, quote(text) + " is too small; leave the key out for no limit");
    }
  }

  void check_percent(NodeId node, std::string_view text, const Shape& whole) {
    if (!parse_percent(text)) {
      out_.error(node, quote(text) + " is not a share from \"0%\" to \"100%\": expected " +
                           std::string(whole.what));
    }
  }

  void check_word(NodeId node, std::string_view text, const Shape& shape, std::string_view key) {
    if (std::find(shape.words.begin(), shape.words.end(), text) != shape.words.end()) return;
    out_.error(node, wrong_word_message(shape, key, text));
  }

  void check_zone(NodeId node, std::string_view text) {
    constexpr std::size_t kZoneBytesMax = 64;
    const bool well_formed = text.size() <= kZoneBytesMax && text[0] != '/' &&
                             text.find("..") == std::string_view::npos &&
                             std::all_of(text.begin(), text.end(), [](char c) {
                               return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                                      (c >= '0' && c <= '9') || c == '_' || c == '/' || c == '+' ||
                                      c == '-';
                             });
    if (!well_formed || (options_.zone && !options_.zone(text))) {
      out_.error(node, quote(text) +
                           " is not a known time zone: expected an IANA name such as "
                           "\"UTC\", \"Asia/Tokyo\" or \"America/New_York\"");
    }
  }

  void check_cron(NodeId node, std::string_view text) {
    const auto result = parse_cron(text);
    if (const auto* error = std::get_if<CronError>(&result)) {
      out_.error_in_string(node, error->offset, quote(text) + ": " + error->message);
    }
  }

  /// Expressions stand in tasks only and are compiled there, with what they name.
  void check_expression(NodeId node, std::string_view text) {
    if (text.starts_with("{{")) {
      out_.error(node, "an expression stands here without {{ }}: write it bare");
    }
  }

  /// Those of tasks are compiled once, when what they name is checked; those of the job and of
  /// defaults are compiled here, as perhaps no task uses them.
  void check_template(NodeId node, std::string_view text) {
    if (in_task_ || text.find("{{") == std::string_view::npos) return;
    const auto result = Template::compile(text);
    if (const auto* error = std::get_if<ExpressionError>(&result)) {
      out_.error_in_string(node, error->offset, "in this template: " + error->message);
    }
  }

  void check_text(NodeId node, const Shape& shape, std::string_view key) {
    if (doc_.kind(node) == NodeKind::string) {
      check_string(node, shape, key, shape);
      return;
    }
    Shape line = shape;
    line.form = Form::string;
    line.what = "a line (a text)";
    line.empty_allowed = true;
    bool all_empty = true;
    for (NodeId c = doc_.first_child(node); c != kNoNode; c = doc_.next(c)) {
      check(c, line, key);
      all_empty = all_empty && doc_.is(c, NodeKind::string) && doc_.string(c).empty();
    }
    if (all_empty && !shape.empty_allowed) {
      out_.error(node, "expected " + allowed(shape) + ", found only empty lines");
    }
  }

  void check_list(NodeId node, const Shape& shape, std::string_view key) {
    const auto count = static_cast<double>(doc_.child_count(node));
    if (count < shape.min) {
      out_.error(node, "expected " + allowed(shape) + ", found an empty list");
    } else if (count > shape.max) {
      out_.error(node, std::to_string(doc_.child_count(node)) + " elements are too many: at most " +
                           std::to_string(static_cast<std::int64_t>(shape.max)) + " are allowed");
      return;
    }
    if (shape.element->form == Form::any) return;
    for (NodeId c = doc_.first_child(node); c != kNoNode && !out_.full(); c = doc_.next(c)) {
      check(c, *shape.element, key);
    }
  }

  void check_map(NodeId node, const Shape& shape) {
    for (NodeId m = doc_.first_child(node); m != kNoNode && !out_.full(); m = doc_.next(m)) {
      const std::string_view key = doc_.key(m);
      if (is_ignored_map_key(key, shape, doc_.kind(m) == NodeKind::string)) continue;
      const std::string_view rule = name_rule(shape.key_check, key);
      if (!rule.empty()) {
        out_.error_at_key(m, "the key " + quote(key) + " is not allowed: " + std::string(rule));
      }
      if (shape.null_removes && doc_.kind(m) == NodeKind::null) continue;
      if (shape.name == "params" && doc_.kind(m) != NodeKind::object) {
        out_.error(m, "expected a JSON Schema (an object), found " + describe(doc_, m) +
                          param_hint(doc_, m));
        continue;
      }
      check(m, *shape.element, key);
    }
  }

  void check_object(NodeId node, const Shape& shape) {
    std::uint64_t seen = 0;
    for (NodeId m = doc_.first_child(node); m != kNoNode && !out_.full(); m = doc_.next(m)) {
      const std::string_view key = doc_.key(m);
      const Field* field = find_field(shape, key);
      if (field == nullptr) {
        if (!is_ignored_key(key)) out_.error_at_key(m, unknown_key_message(shape, key));
        continue;
      }
      if (shape.null_removes && doc_.kind(m) == NodeKind::null) continue;
      seen |= std::uint64_t{1} << (field - shape.fields.data());
      check(m, *field->shape, key);
    }
    for (std::size_t i = 0; i < shape.fields.size(); ++i) {
      if (shape.fields[i].required && (seen >> i & 1U) == 0) {
        missing_key(node, shape, shape.fields[i]);
      }
    }
  }

  void missing_key(NodeId node, const Shape& shape, const Field& field) {
    out_.error(node, "the key " + quote(field.key) + " is missing: " + std::string(shape.name) +
                         " needs it, " + allowed(*field.shape));
  }

  const Document& doc_;
  const ParseOptions& options_;
  Diagnostics& out_;
  bool in_task_ = false;
};

}  // namespace

std::optional<double> parse_percent(std::string_view text) {
  if (text.size() < 2 || text.size() > 16 || text.back() != '%') return std::nullopt;
  double value = 0;
  double scale = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c == '.' && scale == 0) {
      scale = 1;
    } else if (c >= '0' && c <= '9') {
      value = value * 10 + (c - '0');
      scale *= 10;
    } else {
      return std::nullopt;
    }
  }
  const char before = text[text.size() - 2];
  if (text[0] == '.' || before == '.') return std::nullopt;
  if (scale > 0) value /= scale;
  if (value > 100) return std::nullopt;
  return value;
}

const Shape* alternative_for(const Shape& shape, NodeKind kind) {
  if (shape.form != Form::either) return &shape;
  for (const Shape* alternative : shape.alternatives) {
    if (accepts(alternative->form, kind)) return alternative;
  }
  return nullptr;
}

void check_structure(const Document& document, NodeId node, const Shape& shape,
                     const ParseOptions& options, Diagnostics& diagnostics) {
  StructureChecker(document, options, diagnostics).check(node, shape, "");
}

}  // namespace pawl
