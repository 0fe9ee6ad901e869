#include "scheduler/spec/graph.h"

#include <algorithm>

namespace pawl {
namespace {

std::string state_of(std::span<const std::string> states, TaskIndex task) {
  return task.value < states.size() ? states[task.value] : std::string();
}

/// What a reader of the graph should know besides the arrows.
std::string marks(const TaskSpec& task) {
  std::string out;
  if (task.map) out += ", mapped";
  if (!task.depends_on.empty() && task.trigger_rule != TriggerRule::all_success) {
    out += ", " + std::string(to_string(task.trigger_rule));
  }
  if (!task.when.empty()) out += ", when";
  if (task.allow_failure) out += ", may fail";
  return out;
}

std::string render_text(const JobSpec& job, std::span<const std::string> states) {
  std::size_t id_width = 0;
  std::size_t state_width = 0;
  for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
    id_width = std::max(id_width, job.tasks[i].id.size());
    state_width = std::max(state_width, state_of(states, TaskIndex(i)).size());
  }
  std::string out;
  for (const TaskIndex index : topological_order(job)) {
    const TaskSpec& task = job.tasks[index.value];
    std::string line = task.id + std::string(id_width - task.id.size(), ' ');
    if (state_width > 0) {
      const std::string state = state_of(states, index);
      line += "  " + state + std::string(state_width - state.size(), ' ');
    }
    std::string rest;
    for (const Dependency& d : task.depends_on) {
      rest +=
          (rest.empty() ? "after " : ", ") + job.tasks[d.task.value].id + (d.each ? " each" : "");
    }
    const std::string more = marks(task);
    if (!more.empty()) rest += rest.empty() ? more.substr(2) : more;
    if (!rest.empty()) line += "  " + rest;
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  for (std::size_t i = 0; i < job.hooks.size(); ++i) {
    const HookSpec& hook = job.hooks[i];
    const auto index = TaskIndex(static_cast<std::uint32_t>(job.tasks.size() + i));
    const std::string state = state_of(states, index);
    out += hook.task.id + (state.empty() ? "" : "  " + state) + "  when the run " +
           (hook.kind == HookKind::on_success   ? "succeeded"
            : hook.kind == HookKind::on_failure ? "failed"
                                                : "ended") +
           "\n";
  }
  return out;
}

std::string label(const JobSpec& job, TaskIndex index, std::span<const std::string> states,
                  std::string_view line_break) {
  const TaskSpec& task = job.tasks[index.value];
  std::string out = task.id;
  const std::string state = state_of(states, index);
  if (!state.empty()) out += std::string(line_break) + state;
  const std::string more = marks(task);
  if (!more.empty()) out += std::string(line_break) + more.substr(2);
  return out;
}

// Ids, names and state words have no quotes or backslashes, so nothing needs escaping.

std::string render_dot(const JobSpec& job, std::span<const std::string> states) {
  std::string out = "digraph \"" + job.name + "\" {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const TaskIndex index : topological_order(job)) {
    const TaskSpec& task = job.tasks[index.value];
    out += "  \"" + task.id + "\" [label=\"" + label(job, index, states, "\\n") + "\"];\n";
    for (const Dependency& d : task.depends_on) {
      out += "  \"" + job.tasks[d.task.value].id + "\" -> \"" + task.id + "\"" +
             (d.each ? " [label=\"each\"]" : "") + ";\n";
    }
  }
  return out + "}\n";
}

/// Nodes are numbered: an id such as `end` would be a word of the language.
std::string render_mermaid(const JobSpec& job, std::span<const std::string> states) {
  std::string out = "flowchart LR\n";
  for (const TaskIndex index : topological_order(job)) {
    const std::string node = "t" + std::to_string(index.value);
    out += "  " + node + "[\"" + label(job, index, states, "<br/>") + "\"]\n";
    for (const Dependency& d : job.tasks[index.value].depends_on) {
      out +=
          "  t" + std::to_string(d.task.value) + (d.each ? " -->|each| " : " --> ") + node + "\n";
    }
  }
  return out;
}

}  // namespace

std::string render_graph(const JobSpec& job, GraphFormat format,
                         std::span<const std::string> states) {
  switch (format) {
    case GraphFormat::text: return render_text(job, states);
    case GraphFormat::dot: return render_dot(job, states);
    case GraphFormat::mermaid: return render_mermaid(job, states);
  }
  return "";
}

}  // namespace pawl
