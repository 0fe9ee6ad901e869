#pragma once

// The field table of the settings file; values that jobs have too are those of the job's table.

#include "scheduler/spec/fields.h"

namespace pawl {

const Shape& settings_shape();

}  // namespace pawl
