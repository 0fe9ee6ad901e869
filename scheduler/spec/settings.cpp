#include "scheduler/spec/settings.h"

#include <utility>

#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/reader.h"
#include "scheduler/spec/settings_fields.h"
#include "scheduler/spec/structure.h"
#include "scheduler/spec/view.h"

namespace pawl {
namespace {

/// The least job there is: what is said for all jobs must make a good one of it.
constexpr std::string_view kLeastJob =
    R"({"name": "job", "tasks": [{"id": "task", "command": ["true"]}]})";

const Shape& section_shape(std::string_view section) {
  return *find_field(settings_shape(), section)->shape;
}

class SettingsReader {
 public:
  SettingsReader(const Document& document, const ParseOptions& options, Diagnostics& out)
      : document_(document), root_(document, document.root()), options_(options), out_(out) {}

  Settings read() {
    Settings s;
    s.workers = static_cast<std::size_t>(root_.member("workers").integer(0));
    s.worker_idle = root_.member("worker_idle").duration(s.worker_idle);
    read_control_groups(s);
    const View hosts = root_.member("hosts");
    s.hosts.idle = hosts.member("idle").duration(s.hosts.idle);
    s.hosts.recycle_after = static_cast<std::uint64_t>(hosts.member("recycle_after").integer(0));
    s.hosts.memory_bytes = hosts.member("memory").size(0);
    s.hosts.per_library = static_cast<std::size_t>(hosts.member("per_library").integer(0));
    const View limits = root_.member("limits");
    s.log_bytes_max = limits.member("log").size(s.log_bytes_max);
    s.wal_bytes_max = static_cast<std::int64_t>(
        limits.member("wal").size(static_cast<std::uint64_t>(s.wal_bytes_max)));
    const View retention = root_.member("retention");
    s.retention_runs = retention.member("runs").integer(s.retention_runs);
    s.retention_days = retention.member("days").integer(s.retention_days);
    for_each_entry("pools", [&](std::string_view name, View value) {
      s.pools.emplace(name, read_pool_spec(value));
    });
    for_each_entry("connections", [&](std::string_view name, View value) {
      if (!value.is(NodeKind::object)) return;
      s.connections.emplace(name,
                            read_connection(std::string(name), value, options_.operators, out_));
    });
    read_job_defaults(s);
    return s;
  }

 private:
  /// Calls `f(name, View)` for the members of a map that mean something.
  template <typename F>
  void for_each_entry(std::string_view section, F f) const {
    const Shape& shape = section_shape(section);
    root_.member(section).for_each_member([&](std::string_view name, View value) {
      if (!is_ignored_map_key(name, shape, value.is(NodeKind::string))) f(name, value);
    });
  }

  void read_control_groups(Settings& s) {
    const View groups = root_.member("control_groups");
    if (!groups.is(NodeKind::string)) return;
    s.control_groups = groups.string();
    if (s.control_groups == "auto" || s.control_groups == "none" ||
        s.control_groups.starts_with('/')) {
      return;
    }
    out_.error(groups.node(), quote(s.control_groups) +
                                  " is not allowed: \"auto\", \"none\", or the path of a folder "
                                  "from the root");
  }

  void read_job_defaults(Settings& s) {
    const View given = root_.member("job_defaults");
    Json all = Json::object();
    given.for_each_member([&](std::string_view key, View value) {
      if (!is_ignored_key(key)) all[std::string(key)] = document_.to_json(value.node());
    });
    if (!all.empty()) try_job_defaults(s, given.node(), all);
    given.member("secrets").for_each_member([&](std::string_view, View secret) {
      const View file = secret.member("file");
      if (!file.is(NodeKind::string) || file.string().starts_with('/')) return;
      out_.error(file.node(),
                 "the file of a secret needs an absolute path here: settings belong "
                 "to no folder");
    });
    if (const View zone = root_.member("timezone"); zone.is(NodeKind::string))
      all["timezone"] = std::string(zone.string());
    const View grace = root_.member("kill_grace");
    if (grace.is(NodeKind::string) && (!all.contains("defaults") || all["defaults"].is_object())) {
      // `defaults` of job_defaults say it more closely.
      all["defaults"].emplace("kill_grace", std::string(grace.string()));
    }
    if (!all.empty()) s.job_defaults = all.dump();
  }

  /// Tells what the least job would be told, at the place in these settings.
  void try_job_defaults(const Settings& s, NodeId given, const Json& all) {
    ParseOptions options = options_;
    apply(s, options);
    Json job = Json::parse(kLeastJob);
    job.update(all);
    const ParseResult tried = parse_job(job.dump(), options);
    for (const Diagnostic& wrong : tried.diagnostics) {
      const NodeId place = document_.deepest(given, wrong.pointer);
      if (wrong.severity == Diagnostic::Severity::error) {
        // Perhaps it is one that the structural check has found.
        if (!out_.has_error_at(place)) out_.error(place, wrong.message);
      } else if (place != given) {
        out_.warn(place, wrong.message);
      }
    }
  }

  const Document& document_;
  View root_;
  const ParseOptions& options_;
  Diagnostics& out_;
};

/// Every value of the table, set or not, in its order.
class SettingsLister {
 public:
  SettingsLister(const Document& document, const OperatorCatalog* operators)
      : document_(document), root_(document, document.root()), operators_(operators) {}

  std::vector<SettingValue> list() {
    for (const Field& field : settings_shape().fields) {
      const View value = root_.member(field.key);
      const std::string name(field.key);
      if (field.key == "format") continue;
      if (field.shape->form == Form::map) {
        add_map(name, *field.shape, value, field.unset);
      } else if (field.shape->form == Form::object) {
        for (const Field& inner : field.shape->fields)
          add_field(name + ".", inner, value.member(inner.key));
      } else {
        add_field("", field, value);
      }
    }
    return std::move(values_);
  }

 private:
  void add(std::string name, std::string value, const View& at) {
    const int line = at.present() ? document_.place(document_.key_offset(at.node())).line : 0;
    values_.push_back({std::move(name), std::move(value), line});
  }

  void add_field(const std::string& section, const Field& field, const View& value) {
    const std::string fallback(field.fallback.empty() ? field.unset : field.fallback);
    // Of what is said for all jobs only what is said: without it there is nothing to show.
    if (!value.present() && fallback.empty()) return;
    add(section + std::string(field.key), value.present() ? shown(value).dump() : fallback, value);
  }

  void add_map(const std::string& section, const Shape& shape, const View& map,
               std::string_view unset) {
    if (!unset.empty() && !map.member("default").present())
      add(section + ".default", std::string(unset), View());
    map.for_each_member([&](std::string_view key, View value) {
      if (is_ignored_map_key(key, shape, value.is(NodeKind::string))) return;
      add(section + "." + std::string(key),
          section == "connections" ? shown_connection(value, operators_) : shown(value).dump(),
          value);
    });
  }

  /// Texts under names that sound secret are hidden: what doctor prints is sent to others.
  Json shown(const View& value) const {
    Json out = document_.to_json(value.node());
    if (out.is_structured()) hide_secrets(out);
    return out;
  }

  static void hide_secrets(Json& value) {
    for (auto& [key, inner] : value.items()) {
      if (inner.is_structured()) {
        hide_secrets(inner);
      } else if (inner.is_string() && sounds_secret(key) &&
                 inner.get_ref<const std::string&>().find("{{") == std::string::npos) {
        inner = "***";
      }
    }
  }

  const Document& document_;
  View root_;
  const OperatorCatalog* operators_;
  std::vector<SettingValue> values_;
};

}  // namespace

std::optional<std::int64_t> Settings::default_slots() const {
  const auto found = pools.find("default");
  if (found == pools.end()) return std::nullopt;
  return found->second.slots;
}

ParsedSettings parse_settings(std::string_view text, const ParseOptions& options) {
  ParsedSettings parsed;
  Document document;
  const bool is_json = document.parse(text, limits::kSettingsFileBytesMax);
  Diagnostics diagnostics(document);
  for (const SyntaxError& error : document.errors()) {
    diagnostics.error_at(error.offset, error.node, error.message);
  }
  if (is_json) {
    check_structure(document, document.root(), settings_shape(), options, diagnostics);
    if (document.is(document.root(), NodeKind::object)) {
      parsed.settings = SettingsReader(document, options, diagnostics).read();
      parsed.values = SettingsLister(document, options.operators).list();
    }
  }
  parsed.ok = !diagnostics.has_errors();
  parsed.diagnostics = diagnostics.take();
  return parsed;
}

void apply(const Settings& settings, ParseOptions& options) {
  options.known_pools = {{"default", settings.default_slots()}};
  for (const auto& [name, pool] : settings.pools) options.known_pools[name] = pool.slots;
  options.job_defaults = settings.job_defaults;
  options.connections = settings.connections;
}

}  // namespace pawl
