#include "scheduler/spec/parse.h"

#include "scheduler/base/limits.h"
#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/fields.h"
#include "scheduler/spec/reader.h"
#include "scheduler/spec/structure.h"

namespace pawl {

std::string format_diagnostic(std::string_view file, const Diagnostic& diagnostic) {
  const bool is_error = diagnostic.severity == Diagnostic::Severity::error;
  return std::string(file) + ":" + std::to_string(diagnostic.line) + ":" +
         std::to_string(diagnostic.column) + (is_error ? ": error: " : ": warning: ") +
         diagnostic.message + " (at " +
         (diagnostic.pointer.empty() ? std::string("the top") : diagnostic.pointer) + ")";
}

ParseResult parse_job(std::string_view text, const ParseOptions& options) {
  ParseResult result;
  Document document;
  const bool is_json = document.parse(text, limits::kJobFileBytesMax);
  Diagnostics diagnostics(document);
  for (const SyntaxError& error : document.errors()) {
    diagnostics.error_at(error.offset, error.node, error.message);
  }
  if (is_json) {
    check_structure(document, document.root(), kJobShape, options, diagnostics);
    if (document.is(document.root(), NodeKind::object)) {
      result.job = read_job(document, options, diagnostics);
    }
  }
  result.ok = !diagnostics.has_errors();
  result.diagnostics = diagnostics.take();
  return result;
}

bool is_foreign_json(std::string_view text) {
  Document document;
  return document.parse(text, limits::kJobFileBytesMax) &&
         document.is(document.root(), NodeKind::object) &&
         document.member(document.root(), "tasks") == kNoNode;
}

namespace {

/// A value without the keys that mean nothing where `shape` says so.
Json canonical(const Document& document, NodeId node, const Shape& shape) {
  const Shape* judge = alternative_for(shape, document.kind(node));
  if (judge == nullptr) return document.to_json(node);
  if (judge->form == Form::list && judge->element->form != Form::any) {
    Json list = Json::array();
    for (NodeId c = document.first_child(node); c != kNoNode; c = document.next(c)) {
      list.push_back(canonical(document, c, *judge->element));
    }
    return list;
  }
  const bool is_object = judge->form == Form::object || judge->form == Form::map;
  if (!is_object || !document.is(node, NodeKind::object)) return document.to_json(node);
  Json object = Json::object();
  for (NodeId m = document.first_child(node); m != kNoNode; m = document.next(m)) {
    const std::string_view key = document.key(m);
    const Shape* below = judge->element;
    if (judge->form == Form::object) {
      const Field* field = find_field(*judge, key);
      if (field == nullptr && is_ignored_key(key)) continue;
      below = field == nullptr ? nullptr : field->shape;
    } else if (is_ignored_map_key(key, *judge, document.kind(m) == NodeKind::string)) {
      continue;
    }
    object[std::string(key)] =
        below == nullptr ? document.to_json(m) : canonical(document, m, *below);
  }
  return object;
}

}  // namespace

std::string canonical_job_text(std::string_view text) {
  Document document;
  if (!document.parse(text, limits::kJobFileBytesMax)) return "";
  return canonical(document, document.root(), kJobShape).dump();
}

}  // namespace pawl
