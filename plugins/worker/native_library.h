#pragma once

// Shared libraries with operators (pawl/operator.h). The home of dlopen.

#include <string>
#include <vector>

#include "pawl/operator.h"
#include "scheduler/base/result.h"

namespace pawl {

/// What a library says of one of its operators.
struct OperatorDescription {
  std::string name;
  std::string summary;
  std::string schema;  ///< JSON Schema of `with`, as text
};

/// A loaded library. It is never unloaded: threads of it may still run.
class NativeLibrary {
 public:
  /// Errors (`invalid`, with the file): it cannot be loaded, has not the symbol, another version,
  /// or a table that breaks the contract.
  static Result<NativeLibrary> load(const std::string& path);

  const std::vector<const pawl_operator*>& operators() const { return operators_; }
  std::vector<OperatorDescription> describe() const;
  const std::string& version() const { return version_; }

 private:
  std::vector<const pawl_operator*> operators_;
  std::string version_;
};

}  // namespace pawl
