#include "cli/terminal.h"

#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cwchar>

#include "scheduler/base/words.h"

namespace pawl {

namespace {

constexpr int kWidthUnknown = 80;
constexpr int kWidthMin = 40;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::string_view(value) : std::string_view();
}

int terminal_width(int descriptor) {
  int columns = whole_number<int>(environment("COLUMNS")).value_or(0);
  if (columns <= 0) {
    winsize size{};
    if (ioctl(descriptor, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  }
  if (columns <= 0) return kWidthUnknown;
  return columns < kWidthMin ? kWidthMin : columns;
}

/// The character at `at` and how many bytes it takes. Bytes that are no UTF-8 count one each.
struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
};

Character character_at(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t bytes = lead < 0x80    ? 1
                            : lead >= 0xF0 ? 4
                            : lead >= 0xE0 ? 3
                            : lead >= 0xC0 ? 2
                                           : 1;
  if (bytes == 1 || at + bytes > text.size()) return {lead, 1};
  char32_t code = lead & (0xFFU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    code = (code << 6U) | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
  }
  return {code, bytes};
}

/// Widths come from the C library's UTF-8 tables, whatever locale the user has set.
int character_width(char32_t code) {
  if (code >= 0x20 && code < 0x7F) return 1;
  static const locale_t kUtf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (kUtf8 == nullptr) return 1;
  const locale_t before = uselocale(kUtf8);
  const int width = wcwidth(static_cast<wchar_t>(code));
  uselocale(before);
  return width < 0 ? 1 : width;
}

/// Bytes at the beginning of `text` that take at most `columns` columns, whole characters.
std::size_t bytes_within(std::string_view text, int columns) {
  int width = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const Character c = character_at(text, at);
    width += character_width(c.code);
    if (width > columns) break;
    at += c.bytes;
  }
  return at;
}

const char* code_of(Style style) {
  switch (style) {
    case Style::plain: return "";
    case Style::bold: return "\x1b[1m";
    case Style::dim: return "\x1b[2m";
    case Style::red: return "\x1b[31m";
    case Style::green: return "\x1b[32m";
    case Style::yellow: return "\x1b[33m";
    case Style::cyan: return "\x1b[36m";
  }
  return "";
}

}  // namespace

Terminal Terminal::detect(std::FILE* stream, Outlet& outlet) {
  Terminal terminal;
  terminal.stream = stream;
  terminal.outlet = &outlet;
  const int descriptor = fileno(stream);
  terminal.is_terminal = isatty(descriptor) == 1;
  if (!terminal.is_terminal) return terminal;
  terminal.width = terminal_width(descriptor);
  terminal.moves = environment("TERM") != "dumb";
  terminal.colour = environment("NO_COLOR").empty() && terminal.moves;
  return terminal;
}

void Terminal::print(std::string_view text) const {
  if (outlet != nullptr) return outlet->write(stream, text);
  std::fwrite(text.data(), 1, text.size(), stream);
}

void Terminal::line(std::string_view text) const { print(std::string(text) + '\n'); }

void Terminal::flush() const {
  if (outlet != nullptr) return outlet->flush(stream);
  std::fflush(stream);
}

std::string styled(const Terminal& terminal, Style style, std::string_view text) {
  if (!terminal.colour || style == Style::plain || text.empty()) return std::string(text);
  return std::string(code_of(style)).append(text).append("\x1b[0m");
}

int display_width(std::string_view text) {
  int width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    width += character_width(c.code);
    at += c.bytes;
  }
  return width;
}

std::string cut_to_width(std::string_view text, int columns) {
  if (columns <= 0) return {};
  if (display_width(text) <= columns) return std::string(text);
  return std::string(text.substr(0, bytes_within(text, columns - 1))) + "…";
}

std::vector<std::string> wrap_to_width(std::string_view text, int columns) {
  std::vector<std::string> lines(1);
  int width = 0;
  const auto next_line = [&] {
    lines.emplace_back();
    width = 0;
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    std::string_view word = text.substr(0, end);
    if (width > 0 && width + 1 + display_width(word) > columns) next_line();
    if (width > 0) {
      lines.back() += ' ';
      ++width;
    }
    while (display_width(word) > columns) {
      const std::size_t bytes = std::max(bytes_within(word, columns), character_at(word, 0).bytes);
      if (bytes == word.size()) break;
      lines.back() += word.substr(0, bytes);
      word.remove_prefix(bytes);
      next_line();
    }
    lines.back() += word;
    width += display_width(word);
    if (end < text.size() && text[end] == '\n') next_line();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string pad(std::string_view text, int columns, bool right) {
  const int missing = columns - display_width(text);
  const std::string blanks(missing > 0 ? static_cast<std::size_t>(missing) : 0, ' ');
  return right ? blanks + std::string(text) : std::string(text) + blanks;
}

}  // namespace pawl
