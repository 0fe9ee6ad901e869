#pragma once

// Which operators there are, and whether parameters fit one: on what is no template yet.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {

struct OperatorInfo {
  std::string name;
  std::string summary;
  Json schema;         ///< JSON Schema of `with`
  std::string plugin;  ///< absolute path of what a host loads for it; empty: pawl itself
};

/// False of what the structural check refuses as a name of an operator: it has told why.
bool may_name_operator(std::string_view text);

/// Something in `with` that does not fit; `pointer` leads to it from `with`.
struct ParameterError {
  std::string pointer;
  std::string message;
};

class OperatorCatalog {
 public:
  /// A later one of the same name is refused: false.
  bool add(OperatorInfo info);
  /// Null when there is none of that name.
  const OperatorInfo* find(std::string_view name) const;
  const std::map<std::string, OperatorInfo, std::less<>>& all() const { return operators_; }
  std::vector<std::string> names() const;

  /// What makes of this one a catalog that knows what came later: a sentence for whoever misses an
  /// operator here. Empty: nothing does.
  const std::string& renewal() const { return renewal_; }
  void set_renewal(std::string sentence) { renewal_ = std::move(sentence); }

  /// Reads what `write_catalog` wrote. `folder`: where the plugins named in it lie. Errors:
  /// invalid.
  static Result<std::vector<OperatorInfo>> read(std::string_view json, const std::string& folder);

 private:
  std::map<std::string, OperatorInfo, std::less<>> operators_;
  std::string renewal_;
};

/// Operators as JSON text; plugins by the last part of their path.
std::string write_catalog(const std::vector<OperatorInfo>& operators);

/// Checks the parameters of task after task: what is made of a schema, or of a part of one, serves
/// the next. Schemas stay where they are as long as it lives.
class ParameterCheck {
 public:
  /// Checks `with`, whose strings may be templates: of these only that the schema allows a text, or
  /// with a template as the whole string anything. Everything else as the schema says.
  std::vector<ParameterError> check(const Json& schema, const Json& with);

 private:
  class Walk;
  const CompiledSchema& compiled(const Json& schema);

  std::unordered_map<const Json*, CompiledSchema> compiled_;
};

/// The same of parameters that are checked once.
std::vector<ParameterError> check_parameters(const Json& schema, const Json& with);

}  // namespace pawl
