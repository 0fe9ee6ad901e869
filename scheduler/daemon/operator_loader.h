#pragma once

// Finds the operators of this machine: those that came with pawl, and those of `<home>/plugins`.
// Nothing of a plugin runs in this process: a short-lived child asks it what it is.

#include <functional>
#include <string>

#include "scheduler/spec/operator_catalog.h"

namespace pawl {

/// `program`: absolute path of pawl. `home`: its plugins are looked at too; empty: none. A plugin
/// that cannot be used is told to `problem` and left out. Blocks until all have answered, at most
/// half a minute.
OperatorCatalog load_operators(const std::string& program, const std::string& home,
                               const std::function<void(std::string)>& problem);

}  // namespace pawl
