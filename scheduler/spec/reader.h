#pragma once

// From a structurally checked document to a JobSpec: merges defaults, fills in what is not set,
// and checks what needs more than one value.

#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/parse.h"
#include "scheduler/spec/view.h"

namespace pawl {

/// Reads the whole job. Tolerant: what the structural check has reported is passed over, so that
/// one call finds everything else as well.
JobSpec read_job(const Document& document, const ParseOptions& options, Diagnostics& diagnostics);

/// Reads a pool's slots and rate, of a job or of the settings.
PoolSpec read_pool_spec(View pool);

}  // namespace pawl
