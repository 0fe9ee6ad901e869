#pragma once

// What any Store must do, whatever it is made of.

#include <functional>
#include <memory>

#include "storage/store.h"

namespace pawl::test {

/// Opens the store of this test, again after it was closed.
using OpenStore = std::function<std::unique_ptr<Store>()>;

/// Sections of a Catch2 test case.
void store_conformance(const OpenStore& open);

}  // namespace pawl::test
