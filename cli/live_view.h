#pragma once

// Shows the progress of one run on standard error: on a terminal redrawn in place, elsewhere one
// line per change of a task's state; of a run with very many tasks, how many are done and which
// went wrong.

#include <map>
#include <string>
#include <vector>

#include "cli/progress.h"
#include "cli/terminal.h"

namespace pawl {

class LiveView {
 public:
  explicit LiveView(const Terminal& terminal) : terminal_(terminal) {}

  /// Shows what is new. Elsewhere than on a terminal, at most kLinesPerUpdate lines at a time, and
  /// of a mapped task, or a very large run, that only counts on, one each kCountsEvery.
  void update(const RunProgress& run, const Here& here);

  /// A line of its own, above the view.
  void say(const std::string& line);

  /// Leaves the last picture where it is.
  void finish() { drawn_ = 0; }

 private:
  void redraw(const RunProgress& run, const Here& here);
  void print_changes(const RunProgress& run, const Here& here);
  void print_total(const RunProgress& run, const Here& here);
  void erase();

  struct Seen {
    TaskState state = TaskState::waiting;
    WallTime counted_at;
    std::int64_t finished = 0;
  };

  Terminal terminal_;
  int drawn_ = 0;  ///< lines of the picture on the terminal
  std::map<std::string, Seen, std::less<>> seen_;
  WallTime total_at_;
};

}  // namespace pawl
