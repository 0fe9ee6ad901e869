#pragma once

// The field table: every key that a job file may have, what its value looks like, and what it
// means. The structural check, its error messages and the JSON Schema are generated from it, so
// the three cannot disagree. A new key is one line here and one line in reader.cpp.

#include <cstdint>
#include <span>
#include <string_view>

namespace pawl {

/// What a JSON value looks like.
enum class Form : std::uint8_t {
  boolean,
  integer,      ///< within `min` and `max`
  number,       ///< within `min` and `max`
  string,       ///< not empty unless `empty_allowed`, then judged by `check`
  text,         ///< a string, or a list of strings that are its lines
  any,          ///< any JSON; belongs to somebody else
  open_object,  ///< an object whose keys belong to somebody else
  list,         ///< of `element`, `min` to `max` of them
  map,          ///< from names of the user (`key_check`) to `element`
  object,       ///< of `fields`
  either,       ///< one of `alternatives`, told apart by the kind of JSON value
};

/// What the text of a string must be.
enum class Check : std::uint8_t {
  none,
  job_name,
  task_id,
  name,        ///< of a pool, an operator
  identifier,  ///< of a parameter, a secret
  variable,    ///< of the environment
  label,       ///< key of a label
  duration,    ///< within `min` and `max`, in milliseconds
  size,        ///< at least 1 byte
  percent,
  word,  ///< one of `words`
  zone,
  cron,
  date,
  instant,
  expression,
  template_text,
};

struct Field;

/// What a value must be, and the words to say so.
struct Shape {
  Form form = Form::any;
  std::string_view what;  ///< for messages: `a duration such as "90s"`
  Check check = Check::none;
  double min = 0;
  double max = 0;
  bool empty_allowed = false;  ///< an empty string
  bool null_removes = false;   ///< object, map: null stands for "not set", also against defaults
  std::span<const std::string_view> words = {};
  std::span<const Field> fields = {};
  const Shape* element = nullptr;
  Check key_check = Check::none;
  std::span<const Shape* const> alternatives = {};
  std::string_view name = {};  ///< object: `task`, `job`; for messages, hints and the schema
};

/// One key of an object.
struct Field {
  std::string_view key;
  const Shape* shape = nullptr;
  std::string_view about;          ///< one sentence, for the schema
  std::string_view fallback = {};  ///< the default, as JSON text; empty: none
  bool required = false;
  std::string_view unset = {};  ///< what holds without the key, in words that JSON has not
};

/// The whole file.
extern const Shape kJobShape;
/// A task, what `defaults` may set of it, and a hook.
extern const Shape kTaskShape;
extern const Shape kDefaultsShape;
extern const Shape kHookShape;
/// The keys of a task that say which program it runs, and how.
extern const Shape kProcessShape;

/// The field of an object with that key, or null.
const Field* find_field(const Shape& object, std::string_view key);

/// True for the keys that every object may have and that mean nothing: `$schema`, `comment`, `x-…`.
bool is_ignored_key(std::string_view key);
/// The same for a map from names of the user to `shape`: there `comment` may be such a name, so it
/// is ignored only where a text cannot be a value.
bool is_ignored_map_key(std::string_view key, const Shape& map, bool value_is_string);

/// What a foreign or misplaced word means here, or empty. `object` is the shape's name.
std::string_view foreign_key_hint(std::string_view object, std::string_view key);
/// The foreign or misplaced word nearest to a misspelt one, or empty.
std::string_view nearest_foreign_key(std::string_view object, std::string_view key);
/// What a foreign word means as the value of `key`: of an enumeration, an operator's name.
std::string_view foreign_value_hint(std::string_view key, std::string_view value);

/// The sentence for a name that `check` refuses: what is allowed. Empty when `text` is fine. Only
/// for the checks of names.
std::string_view name_rule(Check check, std::string_view text);
/// The same rule as a regular expression, for the schema; empty when there is none.
std::string_view name_pattern(Check check);

/// True for a name under which people keep what nobody should read: of a variable, a parameter.
bool sounds_secret(std::string_view name);

}  // namespace pawl
