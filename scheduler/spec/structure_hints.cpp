#include "scheduler/spec/structure_hints.h"

#include <algorithm>
#include <vector>

#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/reason.h"

namespace pawl {
namespace {

/// Why a reason word cannot stand in `retry.on`.
std::string_view never_retried(Reason reason) {
  if (reason == Reason::lost || reason == Reason::interrupted) {
    return "`on_interrupt` decides over it";
  }
  if (reason == Reason::total_timeout || reason == Reason::queue_timeout ||
      reason == Reason::run_timeout) {
    return "it is the end of the time for all attempts";
  }
  if (reason == Reason::cancelled || reason == Reason::fail_fast || reason == Reason::replaced ||
      reason == Reason::marked || reason == Reason::stop_after_failures) {
    return "somebody or a rule of the job wanted the end";
  }
  if (reason == Reason::upstream || reason == Reason::rule || reason == Reason::when) {
    return "no attempt was made";
  }
  if (reason == Reason::poison || reason == Reason::unkillable || reason == Reason::restored) {
    return "it holds the task for a person to decide";
  }
  if (reason == Reason::items || reason == Reason::tolerance) {
    return "it is the end of a mapped task as a whole";
  }
  if (reason == Reason::no_worker || reason == Reason::hooks) {
    return "it is shown beside a state and ends nothing";
  }
  return {};
}

/// A text where something else belongs.
std::string text_hint(std::string_view text, const Shape& shape, std::string_view key) {
  if (shape.form == Form::boolean && (text == "true" || text == "false")) {
    return ": write it without quotes, " + std::string(text);
  }
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
  if ((shape.form == Form::integer || shape.form == Form::number) && digits) {
    return ": write it without quotes, " + std::string(text);
  }
  if (key == "schedule") {
    const bool cron = text.find(' ') != std::string_view::npos || text.starts_with("@");
    return cron ? ": write {\"cron\": " + quote(text) + "}"
                : ": write {\"every\": " + quote(text) + "}";
  }
  if (key == "catchup") return ": write {\"policy\": " + quote(text) + "}";
  if (key == "depends_on") return ": write [" + quote(text) + "]";
  if (key == "command") return ": a shell's text is \"script\"";
  if (key == "items" || key == "map") return ": write {\"items\": …}";
  if (shape.form == Form::list) {
    return shape.element->form == Form::object ? ": each is an object, write [{…}]"
                                               : ": write [" + quote(text) + "]";
  }
  return "";
}

/// Where a key has its place that is known, but not here.
std::string belongs_elsewhere(const Shape& shape, std::string_view key) {
  for (const Field& field : shape.fields) {
    if (field.shape->form == Form::object && field.shape->name != "defaults" &&
        find_field(*field.shape, key) != nullptr) {
      return "it belongs in \"" + std::string(field.key) + "\": {\"" + std::string(key) + "\": …}";
    }
  }
  const bool is_default = find_field(kDefaultsShape, key) != nullptr;
  if (shape.name == "settings" && is_default)
    return "for all tasks it stands in \"job_defaults\": {\"defaults\": {\"" + std::string(key) +
           "\": …}}";
  if (shape.name == "settings") return "";
  if (shape.name == "job_defaults" && is_default) return "for all tasks it stands in \"defaults\"";
  if (shape.name == "job_defaults" && find_field(kJobShape, key) != nullptr)
    return "each job says it for itself";
  if (shape.name == "defaults" && find_field(kTaskShape, key) != nullptr) {
    return "each task says it for itself, defaults cannot";
  }
  if (shape.name == "job" && find_field(kTaskShape, key) != nullptr) {
    return is_default ? "it is a key of a task; for all tasks it stands in \"defaults\""
                      : "it is a key of a task";
  }
  if (shape.name != "job" && find_field(kTaskShape, key) == nullptr &&
      find_field(kJobShape, key) != nullptr) {
    return "it is a key of the job";
  }
  if (shape.name != "task" && shape.name != "job" && shape.name != "hook" &&
      find_field(kTaskShape, key) != nullptr) {
    return "it is a key of a task";
  }
  return "";
}

}  // namespace

std::string wrong_type_hint(const Document& document, NodeId node, const Shape& shape,
                            std::string_view key) {
  const NodeKind kind = document.kind(node);
  const bool number = kind == NodeKind::integer || kind == NodeKind::real;
  const auto* alternatives_end = shape.alternatives.data() + shape.alternatives.size();
  const auto has_alternative = [&](auto is_it) {
    return std::any_of(shape.alternatives.data(), alternatives_end,
                       [&](const Shape* s) { return is_it(*s); });
  };
  const bool takes_text =
      shape.form == Form::string || shape.form == Form::text || has_alternative([](const Shape& s) {
        return s.form == Form::string && s.check != Check::word && s.check != Check::percent;
      });
  if (kind == NodeKind::real &&
      has_alternative([](const Shape& s) { return s.check == Check::percent; })) {
    return ": a share has a \"%\", write \"" + document.to_json(node).dump() + "%\"";
  }
  if (shape.check == Check::duration && number) {
    return ": a bare number has no unit, write \"" + document.to_json(node).dump() + "s\"";
  }
  if (shape.check == Check::size && number) {
    return ": a bare number has no unit, write \"" + document.to_json(node).dump() + "MiB\"";
  }
  if (kind == NodeKind::string) return text_hint(document.string(node), shape, key);
  if (kind == NodeKind::null) return ": leave the key out instead";
  if (takes_text && shape.check != Check::word && (number || kind == NodeKind::boolean)) {
    return ": write it in quotes, \"" + document.to_json(node).dump() + "\"";
  }
  if (key == "catchup" && kind == NodeKind::boolean) {
    return document.boolean(node) ? ": true is {\"policy\": \"all\"}"
                                  : ": false is {\"policy\": \"none\"}";
  }
  if (kind == NodeKind::object && shape.form == Form::list) {
    if (key == "tasks") return ": a task has its name within, write [{\"id\": \"load\", …}, …]";
    return ": put it in brackets, [ … ]";
  }
  if (key == "retry" && number)
    return ": it is {\"max_attempts\": " + document.to_json(node).dump() + "}";
  return "";
}

std::string param_hint(const Document& document, NodeId node) {
  const auto with_default = [&](std::string_view type) {
    return ": a default is {\"type\": \"" + std::string(type) +
           "\", \"default\": " + document.to_json(node).dump() + "}";
  };
  switch (document.kind(node)) {
    case NodeKind::string: return with_default("string");
    case NodeKind::integer: return with_default("integer");
    case NodeKind::real: return with_default("number");
    case NodeKind::boolean: return with_default("boolean");
    case NodeKind::null:
    case NodeKind::array:
    case NodeKind::object: return "";
  }
  return "";
}

std::string unknown_key_message(const Shape& object, std::string_view key) {
  std::string message = "unknown key " + quote(key) + " of " + std::string(object.name);
  const std::string_view hint = foreign_key_hint(object.name, key);
  std::vector<std::string_view> known;
  for (const Field& field : object.fields) known.push_back(field.key);
  const std::string near = did_you_mean(key, known);
  if (!hint.empty()) {
    message += ": " + std::string(hint);
  } else if (const std::string elsewhere = belongs_elsewhere(object, key); !elsewhere.empty()) {
    message += ": " + elsewhere;
  } else if (!near.empty()) {
    message += near;
  } else if (const auto foreign = nearest_foreign_key(object.name, key); !foreign.empty()) {
    message += "; did you mean " + quote(foreign) + "? " +
               std::string(foreign_key_hint(object.name, foreign));
  } else {
    message += "; known are";
    for (std::size_t i = 0; i < known.size(); ++i) {
      message += (i == 0 ? " " : ", ") + std::string(known[i]);
    }
  }
  return message;
}

std::string wrong_word_message(const Shape& shape, std::string_view key, std::string_view text) {
  std::string message = quote(text) + " is not allowed";
  const std::string_view hint = foreign_value_hint(key, text);
  const auto reason = key == "on" || key == "not_on" ? reason_from(text) : std::nullopt;
  if (!hint.empty()) {
    message += ": " + std::string(hint);
  } else if (reason && !never_retried(*reason).empty()) {
    message += ": it is never retried, " + std::string(never_retried(*reason));
  } else {
    message += did_you_mean(text, shape.words);
  }
  return message + "; allowed are " + list_words(shape.words, "and");
}

}  // namespace pawl
