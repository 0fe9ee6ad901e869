#pragma once

// What the structural check says beside a mistake, so that its reader knows what to write instead.

#include <string>
#include <string_view>

#include "scheduler/spec/document.h"
#include "scheduler/spec/fields.h"

namespace pawl {

/// What to write where the value at `node` is of a wrong type, such as `: write it in quotes, "5"`;
/// empty: nothing. `key` is the nearest key above.
std::string wrong_type_hint(const Document& document, NodeId node, const Shape& shape,
                            std::string_view key);

/// The same where a parameter's schema should stand: what the schema would be of a bare default.
std::string param_hint(const Document& document, NodeId node);

/// That the object has no such key: what it means, where its place is, or what was meant.
std::string unknown_key_message(const Shape& object, std::string_view key);

/// That `text` is none of the shape's words, and why, as far as it is known.
std::string wrong_word_message(const Shape& shape, std::string_view key, std::string_view text);

}  // namespace pawl
