#include "scheduler/spec/schema_tree.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string_view>

#include "scheduler/base/cut.h"
#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/schema_kinds.h"

namespace pawl {
namespace {

using Node = SchemaNode;

std::unique_ptr<const Node> part_of(const Json& schema, const char* word) {
  const auto part = schema.find(word);
  return part == schema.end() ? nullptr : std::make_unique<const Node>(*part);
}

std::vector<Node> parts_of(const Json& schema, const char* word) {
  std::vector<Node> parts;
  const auto list = schema.find(word);
  if (list == schema.end()) return parts;
  for (const Json& part : *list) parts.emplace_back(part);
  return parts;
}

/// Of several things that must hold the worst counts, and of several of which one must the best:
/// by their order.
enum class Fit : std::uint8_t { fits, unknown, breaks };

Fit opposite(Fit fit) {
  if (fit == Fit::unknown) return fit;
  return fit == Fit::fits ? Fit::breaks : Fit::fits;
}

/// Where a part stands in the value that is judged. Written out only for who has to say something.
struct Place {
  const Place* whole = nullptr;       ///< null: it is the value itself
  const std::string* name = nullptr;  ///< of a member
  std::size_t index = 0;              ///< of an element
};

std::string pointer_to(const Place& at) {
  if (at.whole == nullptr) return {};
  return pointer_to(*at.whole) + "/" +
         (at.name != nullptr ? escape_pointer(*at.name) : std::to_string(at.index));
}

/// Whether the schema, at any place, says of a member with that name what it is.
bool names_member(const Json& schema, const std::string& name) {
  if (!schema.is_structured()) return false;
  const auto properties = schema.is_object() ? schema.find("properties") : schema.end();
  if (properties != schema.end() && properties->is_object() && properties->contains(name))
    return true;
  return std::any_of(schema.begin(), schema.end(),
                     [&](const Json& part) { return names_member(part, name); });
}

bool is_of_type(const Json& value, std::string_view word) {
  return (word == "string" && value.is_string()) ||
         (word == "integer" && value.is_number_integer()) ||
         (word == "number" && value.is_number()) || (word == "boolean" && value.is_boolean()) ||
         (word == "array" && value.is_array()) || (word == "object" && value.is_object()) ||
         (word == "null" && value.is_null());
}

/// Holds every integer of 64 bits and every double.
long double number(const Json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  return value.get<double>();
}

/// As decimals: 0.07 is a multiple of 0.01, though their doubles' quotient is none.
bool is_multiple(const Json& value, const Json& unit) {
  if (value.is_number_integer() && unit.is_number_integer())
    return std::fmod(number(value), number(unit)) == 0;
  const double quotient = value.get<double>() / unit.get<double>();
  if (!std::isfinite(quotient)) return true;
  // Half a unit in the last place was lost by each of the two, and by their quotient.
  return std::abs(quotient - std::round(quotient)) <=
         std::abs(quotient) * 1.5 * std::numeric_limits<double>::epsilon();
}

std::size_t characters_in(const std::string& text) {
  return text.size() -
         static_cast<std::size_t>(std::count_if(text.begin(), text.end(), continues_character));
}

/// Judges one value by one schema, whose root is `root`.
class Judge {
 public:
  Judge(const Node& root, Texts texts) : root_(root), texts_(texts) {}

  /// `why`: where to say what is wrong; null: nobody asks.
  Fit judge(const Node& node, const Json& value, const Place& at, std::string* why) const {
    if (node.schema.is_boolean()) {
      if (node.schema.get<bool>()) return Fit::fits;
      return broken(why, at, [&] { return subject(value, at) + " is not allowed"; });
    }
    if (texts_ == Texts::templates && value.is_string() && has_template(value))
      return node.schema.empty() ? Fit::fits : Fit::unknown;
    Fit worst = Fit::fits;
    for (const auto check : {&Judge::itself, &Judge::scalar, &Judge::list, &Judge::object,
                             &Judge::all, &Judge::choices, &Judge::conditions}) {
      worst = std::max(worst, (this->*check)(node, value, at, why));
      if (worst == Fit::breaks) break;
    }
    return worst;
  }

 private:
  template <class Sentence>
  Fit broken(std::string* why, const Place& at, Sentence sentence) const {
    if (why == nullptr) return Fit::breaks;
    *why = sentence();
    if (at.whole != nullptr) *why += " (at " + shown_place(at) + ")";
    return Fit::breaks;
  }

  // What messages show ---------------------------------------------------------------------------

  /// The name of a member may be a secret, too, where one template makes the whole object.
  bool may_be_named(const Place& object, const std::string& name) const {
    return !may_use_secrets(root_.schema, Json::json_pointer(pointer_to(object))) ||
           names_member(root_.schema, name);
  }

  std::string shown_place(const Place& at) const {
    if (at.whole == nullptr) return {};
    const std::string above = shown_place(*at.whole) + '/';
    if (at.name == nullptr) return above + std::to_string(at.index);
    return above + (may_be_named(*at.whole, *at.name) ? escape_pointer(*at.name) : "…");
  }

  /// As JSON, cut where it is long. Empty: it is not to be shown.
  std::string shown(const Json& value, const Place& at) const {
    constexpr std::size_t kShownBytesMax = 80;
    std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    const bool is_long = text.size() > kShownBytesMax;
    if (is_long && value.is_structured()) return {};
    if (may_hold_secrets(root_.schema, Json::json_pointer(pointer_to(at)), value)) return {};
    return is_long ? std::string(cut_utf8(text, kShownBytesMax)) + "…" : text;
  }

  std::string subject(const Json& value, const Place& at) const {
    std::string text = shown(value, at);
    if (!text.empty()) return text;
    if (value.is_array()) return "this list";
    return value.is_object() ? "this object" : "this value";
  }

  std::string found(const Json& value, const Place& at) const {
    if (std::string text = shown(value, at); !text.empty()) return text;
    if (value.is_array()) return "a list";
    if (value.is_object()) return "an object";
    if (value.is_string()) return "a text";
    return value.is_number() ? "a number" : "another value";
  }

  // The value itself -----------------------------------------------------------------------------

  Fit itself(const Node& node, const Json& value, const Place& at, std::string* why) const {
    if (const auto type = node.schema.find("type"); type != node.schema.end()) {
      const auto fits = [&](const Json& word) {
        return is_of_type(value, word.get_ref<const std::string&>());
      };
      const bool is_one =
          type->is_array() ? std::any_of(type->begin(), type->end(), fits) : fits(*type);
      if (!is_one) {
        return broken(why, at, [&] {
          std::vector<std::string_view> words;
          const Json list = type->is_array() ? *type : Json::array({*type});
          for (const Json& word : list) words.emplace_back(word.get_ref<const std::string&>());
          return "expected the type " + list_words(words) + ", found " + found(value, at);
        });
      }
    }
    const auto list = node.schema.find("enum");
    const auto constant = node.schema.find("const");
    const bool is_listed =
        list == node.schema.end() || std::find(list->begin(), list->end(), value) != list->end();
    if (is_listed && (constant == node.schema.end() || value == *constant)) return Fit::fits;
    if (texts_ == Texts::templates && has_template(value)) return Fit::unknown;
    return broken(why, at, [&] {
      return subject(value, at) + " is not allowed; allowed " +
             (is_listed ? "is " + constant->dump() : "are " + shortened(*list));
    });
  }

  static std::string shortened(const Json& list) {
    constexpr std::size_t kListBytesMax = 400;
    std::string text = list.dump();
    if (text.size() <= kListBytesMax) return text;
    return std::string(cut_utf8(text, kListBytesMax)) + "…";
  }

  Fit scalar(const Node& node, const Json& value, const Place& at, std::string* why) const {
    if (value.is_number()) return magnitude(node.schema, value, at, why);
    return value.is_string() ? text(node, value, at, why) : Fit::fits;
  }

  Fit magnitude(const Json& schema, const Json& value, const Place& at, std::string* why) const {
    struct Bound {
      const char* word;
      bool (*holds)(long double value, long double bound);
      const char* wrong;
      const char* allowed;
    };
    using Number = long double;
    static constexpr std::array<Bound, 4> kBounds = {{
        {"minimum", [](Number v, Number b) { return v >= b; }, "too small", "at least "},
        {"maximum", [](Number v, Number b) { return v <= b; }, "too large", "at most "},
        {"exclusiveMinimum", [](Number v, Number b) { return v > b; }, "too small", "more than "},
        {"exclusiveMaximum", [](Number v, Number b) { return v < b; }, "too large", "less than "},
    }};
    for (const Bound& bound : kBounds) {
      const auto than = schema.find(bound.word);
      if (than == schema.end() || bound.holds(number(value), number(*than))) continue;
      return broken(why, at, [&] {
        return subject(value, at) + " is " + bound.wrong + ": " + bound.allowed + than->dump() +
               " is allowed";
      });
    }
    const auto unit = schema.find("multipleOf");
    if (unit == schema.end() || is_multiple(value, *unit)) return Fit::fits;
    return broken(why, at,
                  [&] { return subject(value, at) + " is no multiple of " + unit->dump(); });
  }

  Fit text(const Node& node, const Json& value, const Place& at, std::string* why) const {
    const auto& text = value.get_ref<const std::string&>();
    if (text.empty() && node.schema.value("minLength", 0) > 0)
      return broken(why, at, [] { return "an empty text is not allowed"; });
    if (const Fit length = count(node.schema, {"minLength", "maxLength"}, "a text", "character",
                                 characters_in(text), at, why);
        length != Fit::fits)
      return length;
    if (kind_violation(node.schema, text, {})) {
      return broken(why, at, [&] { return *kind_violation(node.schema, text, shown(value, at)); });
    }
    if (node.pattern == nullptr || RE2::PartialMatch(text, *node.pattern)) return Fit::fits;
    return broken(why, at, [&] {
      const std::string own = node.schema.value("x-pawl-error", "");
      const auto examples = node.schema.find("examples");
      const bool has_example = examples != node.schema.end() && !examples->empty();
      return subject(value, at) +
             (!own.empty() ? ' ' + own
                           : " does not match the pattern " + node.schema["pattern"].dump() +
                                 (has_example ? ", as " + examples->front().dump() + " does" : ""));
    });
  }

  struct Bounds {
    const char* least;
    const char* most;
  };

  /// `there`: how many times `thing` is there in `what`.
  Fit count(const Json& schema, Bounds words, const char* what, const char* thing,
            std::size_t there, const Place& at, std::string* why) const {
    const auto least = schema.find(words.least);
    const auto most = schema.find(words.most);
    const bool are_few = least != schema.end() && number(*least) > there;
    const bool are_many = most != schema.end() && number(*most) < there;
    if (!are_few && !are_many) return Fit::fits;
    return broken(why, at, [&] {
      const Json& bound = are_few ? *least : *most;
      return std::string(what) + " of at " + (are_few ? "least " : "most ") + bound.dump() + ' ' +
             thing + (bound == 1 ? "" : "s") + " is expected, this one has " +
             std::to_string(there);
    });
  }

  // Its parts ------------------------------------------------------------------------------------

  Fit list(const Node& node, const Json& value, const Place& at, std::string* why) const {
    if (!value.is_array()) return Fit::fits;
    Fit worst =
        count(node.schema, {"minItems", "maxItems"}, "a list", "element", value.size(), at, why);
    if (worst == Fit::fits && node.schema.value("uniqueItems", false))
      worst = differences(value, at, why);
    for (std::size_t i = 0; i < value.size() && worst != Fit::breaks; ++i) {
      const Node* judged = i < node.first_elements.size() ? &node.first_elements[i]
                           : node.elements != nullptr     ? node.elements.get()
                                                          : node.other_elements.get();
      if (judged != nullptr)
        worst = std::max(worst, judge(*judged, value[i], Place{&at, nullptr, i}, why));
    }
    if (worst == Fit::breaks || node.contained == nullptr) return worst;
    Fit best = Fit::breaks;
    for (const Json& element : value)
      best = std::min(best, judge(*node.contained, element, at, nullptr));
    if (best == Fit::breaks) {
      return broken(why, at,
                    [] { return "no element of this list is what at least one of them must be"; });
    }
    return std::max(worst, best);
  }

  Fit differences(const Json& list, const Place& at, std::string* why) const {
    std::set<std::reference_wrapper<const Json>, std::less<Json>> seen;
    Fit worst = Fit::fits;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (texts_ == Texts::templates && has_template(list[i])) {
        worst = Fit::unknown;
      } else if (!seen.insert(list[i]).second) {
        return broken(why, at, [&] {
          return "the elements of this list must differ, " +
                 found(list[i], Place{&at, nullptr, i}) + " is there twice";
        });
      }
    }
    return worst;
  }

  Fit object(const Node& node, const Json& value, const Place& at, std::string* why) const {
    if (!value.is_object()) return Fit::fits;
    if (const auto required = node.schema.find("required"); required != node.schema.end()) {
      for (const Json& name : *required) {
        if (!value.contains(name.get_ref<const std::string&>()))
          return broken(why, at, [&] { return name.dump() + " is missing"; });
      }
    }
    Fit worst = count(node.schema, {"minProperties", "maxProperties"}, "an object", "member",
                      value.size(), at, why);
    for (const auto& [name, member] : value.items()) {
      if (worst == Fit::breaks) break;
      worst = std::max(worst, this->member(node, name, member, at, why));
    }
    return worst;
  }

  Fit member(const Node& node, const std::string& name, const Json& value, const Place& object,
             std::string* why) const {
    // A name is no template.
    if (node.names != nullptr &&
        Judge(root_, Texts::literal).judge(*node.names, name, object, why) == Fit::breaks)
      return Fit::breaks;
    const auto known = node.properties.find(name);
    const Place at{&object, &name};
    if (known != node.properties.end()) return judge(*known->second, value, at, why);
    if (node.other_members == nullptr) return Fit::fits;
    if (node.other_members->schema != Json(false))
      return judge(*node.other_members, value, at, why);
    return broken(why, object, [&]() -> std::string {
      if (!may_be_named(object, name)) return "it has a member that is unknown";
      std::vector<std::string_view> names;
      for (const auto& [word, part] : node.properties) names.push_back(word);
      return "unknown member " + quote(name) + did_you_mean(name, names);
    });
  }

  // Schemas made of schemas ----------------------------------------------------------------------

  Fit all(const Node& node, const Json& value, const Place& at, std::string* why) const {
    Fit worst = Fit::fits;
    for (const Node& part : node.all) {
      worst = std::max(worst, judge(part, value, at, why));
      if (worst != Fit::breaks) continue;
      if (const std::string own = own_error(part.schema); why != nullptr && !own.empty())
        *why = own;
      break;
    }
    return worst;
  }

  static std::string own_error(const Json& rule) {
    return rule.is_object() ? rule.value("x-pawl-error", "") : "";
  }

  Fit choices(const Node& node, const Json& value, const Place& at, std::string* why) const {
    if (!node.any.empty()) {
      Fit best = Fit::breaks;
      for (const Node& part : node.any) best = std::min(best, judge(part, value, at, nullptr));
      if (best != Fit::fits)
        return best == Fit::unknown ? best : none_fits(node.any, value, at, why);
    }
    if (node.one.empty()) return Fit::fits;
    std::size_t fitting = 0;
    std::size_t unknown = 0;
    for (const Node& part : node.one) {
      const Fit fit = judge(part, value, at, nullptr);
      fitting += fit == Fit::fits ? 1 : 0;
      unknown += fit == Fit::unknown ? 1 : 0;
    }
    if (fitting > 1) return several_fit(node.one, value, at, why);
    if (unknown > 0) return Fit::unknown;
    return fitting == 1 ? Fit::fits : none_fits(node.one, value, at, why);
  }

  /// The names of members, where each of the parts is that a member is there.
  static std::vector<std::string_view> members_asked_for(const std::vector<Node>& parts) {
    std::vector<std::string_view> names;
    for (const Node& part : parts) {
      const auto required = part.schema.find("required");
      if (part.schema.size() != 1 || required == part.schema.end() || required->size() != 1)
        return {};
      names.push_back(required->front().get_ref<const std::string&>());
    }
    return names;
  }

  Fit none_fits(const std::vector<Node>& parts, const Json& value, const Place& at,
                std::string* why) const {
    if (why == nullptr) return Fit::breaks;
    const auto names = members_asked_for(parts);
    if (!names.empty() && value.is_object())
      return broken(why, at, [&] { return list_words(names) + " is missing"; });
    constexpr std::size_t kReasonsMax = 3;
    std::string reasons;
    for (std::size_t i = 0; i < std::min(parts.size(), kReasonsMax); ++i) {
      std::string reason;
      (void)judge(parts[i], value, at, &reason);
      reasons += (i == 0 ? "" : "; or ") + reason;
    }
    if (parts.size() > kReasonsMax) reasons += "; or …";
    // Each of them says where.
    return broken(why, {}, [&] { return std::move(reasons); });
  }

  Fit several_fit(const std::vector<Node>& parts, const Json& value, const Place& at,
                  std::string* why) const {
    return broken(why, at, [&]() -> std::string {
      auto names = members_asked_for(parts);
      if (names.empty() || !value.is_object())
        return "this fits several schemas of \"oneOf\", of which only one may hold";
      std::erase_if(names, [&](std::string_view name) { return !value.contains(name); });
      return list_words(names, "and") + " exclude each other";
    });
  }

  Fit conditions(const Node& node, const Json& value, const Place& at, std::string* why) const {
    Fit worst = Fit::fits;
    if (node.negated != nullptr) {
      worst = opposite(judge(*node.negated, value, at, nullptr));
      if (worst == Fit::breaks)
        return broken(why, at, [&] { return subject(value, at) + " is not allowed here"; });
    }
    if (node.condition == nullptr) return worst;
    const auto part = [&](const std::unique_ptr<const Node>& schema) {
      return schema == nullptr ? Fit::fits : judge(*schema, value, at, why);
    };
    switch (judge(*node.condition, value, at, nullptr)) {
      case Fit::fits: return std::max(worst, part(node.consequence));
      case Fit::breaks: return std::max(worst, part(node.alternative));
      case Fit::unknown: break;
    }
    const Fit consequence = part(node.consequence);
    const Fit alternative = part(node.alternative);
    return std::max(worst, consequence == alternative ? consequence : Fit::unknown);
  }

  const Node& root_;
  Texts texts_;
};

}  // namespace

SchemaNode::SchemaNode(const Json& source) : schema(source) {
  if (!schema.is_object()) return;
  if (const auto text = schema.find("pattern"); text != schema.end())
    pattern = std::make_unique<const re2::RE2>(text->get<std::string>(), RE2::Quiet);
  if (const auto named = schema.find("properties"); named != schema.end()) {
    for (const auto& [name, part] : named->items())
      properties.emplace(name, std::make_unique<const Node>(part));
  }
  other_members = part_of(schema, "additionalProperties");
  names = part_of(schema, "propertyNames");
  if (const auto items = schema.find("items"); items != schema.end() && items->is_array()) {
    first_elements = parts_of(schema, "items");
    other_elements = part_of(schema, "additionalItems");
  } else {
    elements = part_of(schema, "items");
  }
  contained = part_of(schema, "contains");
  all = parts_of(schema, "allOf");
  any = parts_of(schema, "anyOf");
  one = parts_of(schema, "oneOf");
  negated = part_of(schema, "not");
  condition = part_of(schema, "if");
  consequence = part_of(schema, "then");
  alternative = part_of(schema, "else");
}

std::optional<std::string> violation_of(const SchemaNode& root, const Json& value, Texts texts) {
  std::string why;
  if (Judge(root, texts).judge(root, value, {}, &why) != Fit::breaks) return std::nullopt;
  return why;
}

}  // namespace pawl
