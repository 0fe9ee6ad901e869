#pragma once

// From a structurally checked document to a JobSpec: merges defaults, fills in what is not set,
// and checks what needs more than one value.

#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/parse.h"

namespace pawl {

/// Reads the whole job. Tolerant: what the structural check has reported is passed over, so that
/// one call finds everything else as well.
JobSpec read_job(const Document& document, const ParseOptions& options, Diagnostics& diagnostics);

}  // namespace pawl
