#pragma once

// What standard output and standard error are connected to, and how wide text is on it.

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cli/outlet.h"

namespace pawl {

/// A stream for people or for programs. Colour and width exist only on a terminal.
struct Terminal {
  std::FILE* stream = stdout;
  bool is_terminal = false;
  bool colour = false;       ///< a terminal that is not dumb, and NO_COLOR is not set
  bool moves = false;        ///< the cursor can be moved: a terminal that is not dumb
  int width = 0;             ///< columns; 0: not a terminal, nothing is cut
  Outlet* outlet = nullptr;  ///< by which text goes to `stream`; null: at once

  /// Looks at `stream` and the environment (NO_COLOR, TERM, COLUMNS).
  static Terminal detect(std::FILE* stream, Outlet& outlet);

  /// Writes text as it is.
  void print(std::string_view text) const;
  /// Writes text and an end of line.
  void line(std::string_view text) const;
  /// Hands on what was printed so far.
  void flush() const;
  /// Bytes that the reader has yet to take; 0 where printing waits for it.
  std::size_t unread() const { return outlet != nullptr ? outlet->unread() : 0; }
};

enum class Style { plain, bold, dim, red, green, yellow, cyan };

/// `text` between the terminal's codes for `style`; as it is where there is no colour.
std::string styled(const Terminal& terminal, Style style, std::string_view text);

/// Columns that UTF-8 text takes: wide characters two, combining ones none.
int display_width(std::string_view text);

/// At most `columns` columns of `text`, the last one `…` when something was cut.
std::string cut_to_width(std::string_view text, int columns);

/// `text` in lines of at most `columns` columns, at least one: broken between words, and within one
/// that is longer than a line.
std::vector<std::string> wrap_to_width(std::string_view text, int columns);

/// `text` with blanks after it (or before it) up to `columns` columns.
std::string pad(std::string_view text, int columns, bool right = false);

}  // namespace pawl
