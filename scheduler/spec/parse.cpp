#include "scheduler/spec/parse.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/fields.h"
#include "scheduler/spec/job_defaults.h"
#include "scheduler/spec/reader.h"
#include "scheduler/spec/structure.h"

namespace pawl {

std::string format_diagnostic(std::string_view file, const Diagnostic& diagnostic) {
  return escape_for_terminal(file) + ":" + std::to_string(diagnostic.line) + ":" +
         std::to_string(diagnostic.column) +
         (diagnostic.severity == Diagnostic::Severity::error ? ": error: " : ": warning: ") +
         diagnostic.message + " (at " +
         (diagnostic.pointer.empty() ? std::string("the top")
                                     : escape_for_terminal(diagnostic.pointer)) +
         ")";
}

namespace {

/// A text, what it says, and what is wrong with it.
struct Reading {
  Reading(std::string_view text, const ParseOptions& options) {
    const bool is_json = document.parse(text, limits::kJobFileBytesMax);
    Diagnostics found(document);
    for (const SyntaxError& error : document.errors()) {
      found.error_at(error.offset, error.node, error.message);
    }
    is_text_good = !found.has_errors();
    if (is_json) {
      check_structure(document, document.root(), kJobShape, options, found);
      is_object = document.is(document.root(), NodeKind::object);
      if (is_object) job = read_job(document, options, found);
    }
    is_good = !found.has_errors();
    diagnostics = found.take();
  }

  Document document;
  JobSpec job;
  std::vector<Diagnostic> diagnostics;
  bool is_text_good = false;  ///< JSON, and no key twice
  bool is_object = false;
  bool is_good = false;
};

bool is_error(const Diagnostic& diagnostic) {
  return diagnostic.severity == Diagnostic::Severity::error;
}

/// What is wrong with a job under the defaults of all jobs, at its places in the file that somebody
/// wrote. What the file alone would lack, such as a secret, the defaults may have brought.
std::vector<Diagnostic> placed(Reading& own, const Reading& whole) {
  std::vector<Diagnostic> out;
  if (!own.is_text_good) out = own.diagnostics;
  for (const Diagnostic& wrong : whole.diagnostics) {
    const auto same =
        std::find_if(own.diagnostics.begin(), own.diagnostics.end(), [&](const Diagnostic& d) {
          return d.severity == wrong.severity && d.pointer == wrong.pointer;
        });
    if (same != own.diagnostics.end()) {
      if (own.is_text_good) out.push_back(*same);
      own.diagnostics.erase(same);
    } else if (is_error(wrong)) {  // a warning of the settings is not one of each job
      const NodeId node = own.document.deepest(own.document.root(), wrong.pointer);
      const Place place = own.document.place(own.document.offset(node));
      const std::string pointer = own.document.pointer(node);
      out.push_back({wrong.severity, place.line, place.column, pointer,
                     "with job_defaults of the settings: " + wrong.message +
                         (pointer == wrong.pointer ? "" : " (" + wrong.pointer + ")")});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tuple(a.severity, a.line, a.column) < std::tuple(b.severity, b.line, b.column);
  });
  return out;
}

}  // namespace

ParseResult parse_job(std::string_view text, const ParseOptions& options) {
  Reading own(text, options);
  if (options.job_defaults.empty() || !own.is_object) {
    return {std::move(own.job), std::string(text), std::move(own.diagnostics), own.is_good};
  }
  ParseResult result;
  result.text = with_job_defaults(own.document.to_json(own.document.root()), options.job_defaults);
  Reading whole(result.text, options);
  result.job = std::move(whole.job);
  result.ok = whole.is_good && own.is_text_good;
  result.diagnostics = placed(own, whole);
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
