#include "scheduler/spec/connections.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/fields.h"
#include "scheduler/spec/json_merge.h"
#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/view.h"

namespace pawl {
namespace {

constexpr std::string_view kHidden = "***";

/// Where a secret comes from, when that is all the object says.
std::optional<SecretSource> secret_source(const Document& document, NodeId node) {
  if (!document.is(node, NodeKind::object) || document.child_count(node) != 1) return {};
  const NodeId only = document.first_child(node);
  const std::string_view key = document.key(only);
  if ((key != "env" && key != "file") || !document.is(only, NodeKind::string)) return {};
  return SecretSource{key == "file", std::string(document.string(only))};
}

constexpr std::string_view kOfConnection = " of connection ";

/// `headers.Authorization of connection warehouse`: people read it, and no job can declare it.
std::string secret_name(std::string_view connection, std::string_view pointer) {
  std::string name(pointer.empty() ? "with" : pointer.substr(1));
  std::replace(name.begin(), name.end(), '/', '.');
  return name.append(kOfConnection).append(connection);
}

/// What stands in the parameters for that secret.
std::string secret_template(const std::string& name) {
  return "{{ secrets[" + Json(name).dump() + "] }}";
}

/// The schema of a part of the parameters: the task says the rest.
Json of_a_part(Json schema) {
  if (!schema.is_object()) return schema;
  for (const char* demand : {"required", "anyOf", "oneOf", "allOf", "not", "if", "then", "else",
                             "dependentRequired", "dependentSchemas", "minProperties"}) {
    schema.erase(demand);
  }
  return schema;
}

class ConnectionReader {
 public:
  ConnectionReader(const std::string& name, const Document& document, const OperatorInfo* info,
                   Diagnostics& out)
      : name_(name), document_(document), info_(info), out_(out) {}

  Connection read(NodeId with) {
    const Json parameters = read_value(with, "");
    if (info_ != nullptr) check(with, parameters);
    connection_.with = parameters.dump();
    return std::move(connection_);
  }

 private:
  bool may_be_secret(const std::string& pointer) const {
    return info_ == nullptr || may_use_secrets(info_->schema, Json::json_pointer(pointer));
  }

  Json read_value(NodeId node, const std::string& pointer) {
    switch (document_.kind(node)) {
      case NodeKind::object: {
        const auto source = secret_source(document_, node);
        if (source && may_be_secret(pointer)) return read_secret(node, *source, pointer);
        Json object = Json::object();
        for (NodeId m = document_.first_child(node); m != kNoNode; m = document_.next(m)) {
          const std::string_view key = document_.key(m);
          object[std::string(key)] = read_value(m, pointer + "/" + escape_pointer(key));
        }
        return object;
      }
      case NodeKind::array: {
        Json list = Json::array();
        for (NodeId c = document_.first_child(node); c != kNoNode; c = document_.next(c))
          list.push_back(read_value(c, pointer + "/" + std::to_string(list.size())));
        return list;
      }
      case NodeKind::string: read_text(node, pointer); return document_.to_json(node);
      case NodeKind::null:
      case NodeKind::boolean:
      case NodeKind::integer:
      case NodeKind::real: return document_.to_json(node);
    }
    return {};
  }

  Json read_secret(NodeId node, SecretSource source, const std::string& pointer) {
    const NodeId named = document_.first_child(node);
    if (source.from_file && !source.name.starts_with('/')) {
      out_.error(named,
                 "the file of a secret needs an absolute path here: settings belong to no "
                 "folder");
    }
    const std::string_view rule =
        source.from_file ? std::string_view() : name_rule(Check::variable, source.name);
    if (!rule.empty())
      out_.error(named, quote(source.name) + " is not allowed: " + std::string(rule));
    std::string name = secret_name(name_, pointer);
    while (connection_.secrets.contains(name)) name += '_';
    std::string text = secret_template(name);
    connection_.secrets.emplace(std::move(name), std::move(source));
    return text;
  }

  void read_text(NodeId node, const std::string& pointer) {
    const std::string_view text = document_.string(node);
    if (text.find("{{") != std::string_view::npos) {
      out_.error(node,
                 "a connection takes no templates: what differs from task to task belongs "
                 "to the task's own \"with\"");
    }
    const bool is_literal_secret = info_ != nullptr && !text.empty() && may_be_secret(pointer) &&
                                   sounds_secret(pointer.substr(pointer.rfind('/') + 1));
    if (is_literal_secret) {
      out_.warn(node,
                "a secret stands here in plain text: {\"env\": \"NAME\"} or {\"file\": "
                "\"/path\"} says where it comes from, and hides it in logs");
    }
  }

  void check(NodeId with, const Json& parameters) {
    for (const ParameterError& wrong : check_parameters(of_a_part(info_->schema), parameters)) {
      const NodeId place = document_.deepest(with, wrong.pointer);
      const bool is_secret = secret_source(document_, place).has_value();
      out_.error(place,
                 "operator " + quote(info_->name) + ": " +
                     (is_secret ? "it takes no secrets here, as it may show" : wrong.message));
    }
  }

  const std::string& name_;
  const Document& document_;
  const OperatorInfo* info_;
  Diagnostics& out_;
  Connection connection_;
};

Json shown(const Document& document, NodeId node, const OperatorInfo* info,
           const std::string& pointer) {
  if (secret_source(document, node)) return document.to_json(node);
  const bool is_open =
      info != nullptr && !may_use_secrets(info->schema, Json::json_pointer(pointer));
  if (!document.is(node, NodeKind::object))
    return is_open || pointer.empty() ? document.to_json(node) : Json(kHidden);
  Json object = Json::object();
  for (NodeId m = document.first_child(node); m != kNoNode; m = document.next(m)) {
    const std::string key(document.key(m));
    object[key] = shown(document, m, info, pointer + "/" + escape_pointer(key));
  }
  return object;
}

/// What members of `schema` replace, and members of those.
void add_replaced(const Json& schema, const std::string& pointer,
                  std::vector<std::pair<std::string, std::string>>& out) {
  const auto members = schema.is_object() ? schema.find("properties") : schema.end();
  if (members == schema.end()) return;
  for (const auto& [name, member] : members->items()) {
    if (!member.is_object()) continue;
    const std::string own = pointer + "/" + escape_pointer(name);
    for (const Json& other : member.value("x-pawl-replaces", Json::array()))
      out.emplace_back(own, pointer + "/" + escape_pointer(other.get<std::string>()));
    add_replaced(member, own, out);
  }
}

void erase_at(Json& from, const Json::json_pointer& place) {
  if (from.contains(place)) from[place.parent_pointer()].erase(place.back());
}

const OperatorInfo* operator_of(const View& connection, const OperatorCatalog* operators) {
  const View name = connection.member("operator");
  return operators == nullptr || !name.is(NodeKind::string) ? nullptr
                                                            : operators->find(name.string());
}

}  // namespace

Connection read_connection(const std::string& name, const View& value,
                           const OperatorCatalog* operators, Diagnostics& diagnostics) {
  const View of = value.member("operator");
  const OperatorInfo* info = operator_of(value, operators);
  const bool is_named = of.is(NodeKind::string) && may_name_operator(of.string());
  if (operators != nullptr && info == nullptr && is_named) {
    std::vector<std::string> names = operators->names();
    std::erase(names, "process");
    const std::vector<std::string_view> known(names.begin(), names.end());
    diagnostics.error(of.node(), "there is no operator " + quote(of.string()) +
                                     did_you_mean(of.string(), known) + "; there are " +
                                     list_words(known, "and") + " (pawl operators)");
  }
  Connection connection;
  if (const View with = value.member("with"); with.is(NodeKind::object)) {
    connection = ConnectionReader(name, with.document(), info, diagnostics).read(with.node());
  }
  connection.operator_name = of.string();
  if (info != nullptr) add_replaced(info->schema, "", connection.replaced);
  return connection;
}

std::string told_secret(const std::string& name) {
  return name.find(kOfConnection) == std::string::npos ? "secrets." + name : name;
}

std::string shown_connection(const View& value, const OperatorCatalog* operators) {
  Json out = {{"operator", std::string(value.member("operator").string())}};
  const View with = value.member("with");
  if (with.is(NodeKind::object))
    out["with"] = shown(with.document(), with.node(), operator_of(value, operators), "");
  return out.dump();
}

bool names_connection(const std::string& with) {
  // Most tasks name none, and theirs need not be read for it.
  if (with.find("\"connection\"") == std::string::npos) return false;
  const Json own = Json::parse(with, nullptr, false);
  return own.is_object() && own.contains("connection");
}

std::string connection_name(const std::string& with) {
  if (!names_connection(with)) return {};
  const Json named = Json::parse(with)["connection"];
  return named.is_string() ? named.get<std::string>() : std::string();
}

Result<std::string> with_connection(const std::string& with, const std::string& operator_name,
                                    const Connections& connections) {
  if (!names_connection(with)) return with;
  const std::string name = connection_name(with);
  if (name.empty()) {
    return Error{ErrorKind::invalid,
                 "\"connection\" is the name of a connection of the settings, "
                 "a text"};
  }
  const auto found = connections.find(name);
  if (found == connections.end()) {
    std::vector<std::string_view> known;
    for (const auto& [other, connection] : connections) {
      if (connection.operator_name == operator_name) known.push_back(other);
    }
    return Error{
        ErrorKind::invalid,
        "there is no connection " + quote(name) + did_you_mean(name, known) +
            (known.empty() ? "; the settings have none for operator " + quote(operator_name)
                           : "; there are " + list_words(known, "and"))};
  }
  if (found->second.operator_name != operator_name) {
    return Error{ErrorKind::invalid, "connection " + quote(name) + " is for operator " +
                                         quote(found->second.operator_name) + ", not for " +
                                         quote(operator_name)};
  }
  Json own = Json::parse(with, nullptr, false);
  own.erase("connection");
  Json shared = Json::parse(found->second.with, nullptr, false);
  for (const auto& [by, what] : found->second.replaced) {
    if (own.contains(Json::json_pointer(by))) erase_at(shared, Json::json_pointer(what));
  }
  return merged(shared, std::move(own)).dump();
}

std::map<std::string, SecretSource> secrets_in(const std::string& with,
                                               const Connection& connection) {
  std::map<std::string, SecretSource> used;
  for (const auto& [name, source] : connection.secrets) {
    if (with.find(Json(secret_template(name)).dump()) != std::string::npos)
      used.emplace(name, source);
  }
  return used;
}

}  // namespace pawl
