#pragma once

// The graph of a job as text, for Graphviz and for Mermaid.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "scheduler/spec/job.h"

namespace pawl {

enum class GraphFormat : std::uint8_t { text, dot, mermaid };

/// The graph, tasks in topological order. `states` has a word per task in the order of the file
/// and is shown beside it; it may be empty. The job was checked; the text ends with a line break.
std::string render_graph(const JobSpec& job, GraphFormat format,
                         std::span<const std::string> states = {});

}  // namespace pawl
