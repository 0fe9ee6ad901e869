#include "plugins/worker/manifest.h"

#include <array>
#include <chrono>

#include "scheduler/base/text.h"
#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/fields.h"
#include "scheduler/spec/structure.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {
namespace {

constexpr std::size_t kManifestBytesMax = 1u << 20;
constexpr double kHourMs = 3'600'000;
constexpr std::size_t kOperatorNameBytesMax = 64;

constexpr Shape kWord = {.form = Form::string, .what = "a text"};
constexpr Shape kAnyText = {.form = Form::string, .what = "a text", .empty_allowed = true};
constexpr Shape kCommand = {.form = Form::list,
                            .what = "a list: the program and its arguments",
                            .min = 1,
                            .max = 1'000,
                            .element = &kAnyText};
constexpr Shape kProcesses = {
    .form = Form::integer, .what = "a whole number", .min = 1, .max = kProgramProcessesMax};
constexpr Shape kConcurrency = {
    .form = Form::integer, .what = "a whole number", .min = 1, .max = kProgramConcurrencyMax};
constexpr Shape kCount = {.form = Form::integer, .what = "a whole number", .min = 1, .max = 1e9};
constexpr Shape kSize = {
    .form = Form::string, .what = "a size such as \"512MiB\"", .check = Check::size};
constexpr Shape kTimeout = {.form = Form::string,
                            .what = "a duration such as \"30s\"",
                            .check = Check::duration,
                            .min = 1,
                            .max = kHourMs};
constexpr Shape kEnv = {.form = Form::map,
                        .what = "an object of variables and their texts",
                        .element = &kAnyText,
                        .key_check = Check::variable};
constexpr Shape kSchema = {.form = Form::open_object, .what = "a JSON Schema of an object"};

constexpr std::array<Field, 10> kFields = {{
    {"name", &kWord, "As in `operator`; the file's name without `.json`."},
    {"summary", &kWord, "What it does, in one sentence."},
    {"schema", &kSchema, "JSON Schema of `with`.", R"({"type": "object"})"},
    {"command", &kCommand, "The program and its arguments, no shell.", {}, true},
    {"processes", &kProcesses, "How many of it stay warm at most."},
    {"concurrency", &kConcurrency, "Attempts at once in one process.", "1"},
    {"recycle_after", &kCount, "A process ends after so many attempts."},
    {"memory_limit", &kSize, "A process ends above it, between attempts."},
    {"start_timeout", &kTimeout, "How long it may take to get ready.", "\"30s\""},
    {"env", &kEnv, "Variables of the process, beside those of a login shell."},
}};
constexpr Shape kManifestShape = {
    .form = Form::object, .what = "a manifest", .fields = kFields, .name = "manifest"};

bool is_operator_name(std::string_view name) {
  if (name.empty() || name.size() > kOperatorNameBytesMax) return false;
  if (name[0] < 'a' || name[0] > 'z') return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

/// Fills a manifest from a document that has the right structure.
class Reader {
 public:
  Reader(const Document& document, Diagnostics& diagnostics)
      : document_(document), diagnostics_(diagnostics) {}

  Manifest read(std::string_view file_name, const std::string& folder) {
    Manifest manifest;
    read_name(file_name, manifest);
    if (NodeId at = member("summary"); at != kNoNode) manifest.summary = document_.string(at);
    read_schema(manifest);
    read_command(folder, manifest);
    manifest.processes = static_cast<int>(number("processes", manifest.processes));
    manifest.concurrency = static_cast<int>(number("concurrency", manifest.concurrency));
    manifest.recycle_after = number("recycle_after", manifest.recycle_after);
    if (NodeId at = member("memory_limit"); at != kNoNode) {
      if (auto size = parse_size(document_.string(at))) manifest.memory_limit = *size;
    }
    if (NodeId at = member("start_timeout"); at != kNoNode) {
      if (auto time = parse_duration(document_.string(at))) manifest.start_timeout = *time;
    }
    if (NodeId env = member("env"); env != kNoNode) {
      for (NodeId at = document_.first_child(env); at != kNoNode; at = document_.next(at)) {
        manifest.env[std::string(document_.key(at))] = document_.string(at);
      }
    }
    return manifest;
  }

 private:
  NodeId member(std::string_view key) const { return document_.member(document_.root(), key); }

  std::int64_t number(std::string_view key, std::int64_t fallback) const {
    const NodeId at = member(key);
    return at == kNoNode ? fallback : document_.integer(at).value_or(fallback);
  }

  void read_name(std::string_view file_name, Manifest& manifest) {
    const std::string_view stem = file_name.substr(0, file_name.rfind('.'));
    manifest.name = stem;
    const NodeId at = member("name");
    const NodeId place = at == kNoNode ? document_.root() : at;
    if (at != kNoNode && document_.string(at) != stem) {
      diagnostics_.error(at, "\"name\" is " + quote(document_.string(at)) + ", the file is " +
                                 quote(file_name) + "; both say how the operator is called");
    } else if (!is_operator_name(stem)) {
      diagnostics_.error(place, "an operator cannot be called " + quote(stem) +
                                    "; a name is 1 to 64 small letters, digits and `_`, and "
                                    "begins with a letter");
    }
  }

  void read_schema(Manifest& manifest) {
    const NodeId at = member("schema");
    if (at == kNoNode) return;
    const Json schema = document_.to_json(at);
    for (const SchemaError& error : check_operator_schema(schema)) {
      diagnostics_.error(document_.deepest(at, error.pointer), error.message);
    }
    manifest.schema = schema.dump();
  }

  void read_command(const std::string& folder, Manifest& manifest) {
    const NodeId list = member("command");
    for (NodeId at = document_.first_child(list); at != kNoNode; at = document_.next(at)) {
      const std::string_view word = document_.string(at);
      if (word.find('\0') != std::string_view::npos) {
        diagnostics_.error(at, "an argument cannot hold NUL");
      }
      manifest.command.emplace_back(word);
    }
    std::string& program = manifest.command.front();
    if (program.empty()) {
      diagnostics_.error(list, "\"command\" begins with the program, which cannot be empty");
    } else if (program.find('/') != std::string::npos && program[0] != '/') {
      program.insert(0, folder + "/");
    }
  }

  const Document& document_;
  Diagnostics& diagnostics_;
};

}  // namespace

ManifestResult parse_manifest(std::string_view text, std::string_view file_name,
                              const std::string& folder) {
  ManifestResult result;
  Document document;
  const bool is_json = document.parse(text, kManifestBytesMax);
  Diagnostics diagnostics(document);
  for (const SyntaxError& error : document.errors()) {
    diagnostics.error_at(error.offset, error.node, error.message);
  }
  if (is_json) {
    check_structure(document, document.root(), kManifestShape, ParseOptions{}, diagnostics);
    if (!diagnostics.has_errors()) {
      result.manifest = Reader(document, diagnostics).read(file_name, folder);
    }
  }
  result.ok = !diagnostics.has_errors();
  result.diagnostics = diagnostics.take();
  return result;
}

}  // namespace pawl
