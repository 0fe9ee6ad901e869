#include "plugins/operators/mail/message.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

#include "scheduler/base/cut.h"
#include "scheduler/base/text.h"

namespace pawl::operators {

using nlohmann::json;

namespace {

namespace fs = std::filesystem;

// An encoded word: 39 bytes are 52 in base64, 64 with its frame, and a line of at most 78 with the
// header's name.
constexpr std::size_t kWordBytesMax = 39;

Error invalid(std::string message) { return {ErrorKind::invalid, std::move(message)}; }

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

std::string_view trim(std::string_view text) {
  const std::size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view three = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < three.size() ? static_cast<unsigned char>(three[k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= three.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

/// A text, or a list of lines.
std::string read_text(const json& with, const char* name) {
  const auto found = with.find(name);
  if (found == with.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  std::string out;
  for (const json& line : *found) out += line.get<std::string>() + '\n';
  return out;
}

Result<std::vector<MailAddress>> read_addresses(const json& with, const char* name) {
  std::vector<MailAddress> out;
  const auto found = with.find(name);
  if (found == with.end()) return out;
  const json list = found->is_array() ? *found : json::array({*found});
  for (const json& entry : list) {
    auto address = parse_address(entry.get_ref<const std::string&>());
    if (!address) return invalid('`' + std::string(name) + "`: " + address.error().message);
    out.push_back(std::move(*address));
  }
  return out;
}

Result<std::vector<MailAttachment>> read_attachments(const json& with,
                                                     const plugin::Request& request) {
  std::vector<MailAttachment> out;
  std::uintmax_t bytes = 0;
  for (const json& entry : with.value("attachments", json::array())) {
    const fs::path path = fs::path(request.working_dir()) / entry.get<std::string>();
    std::error_code error;
    if (!fs::is_regular_file(path, error)) {
      return invalid("`attachments`: " + path.string() + " is not a file that can be read");
    }
    bytes += fs::file_size(path, error);
    if (error || bytes > kAttachmentBytesMax) {
      return invalid("`attachments` are over 25 MiB together");
    }
    const std::string name = path.filename().string();
    if (has_control(name) || !is_utf8(name)) {
      return invalid("`attachments`: a name of a file cannot stand in a header");
    }
    out.push_back({path.string(), name});
  }
  return out;
}

/// Letters, digits and a few marks stay; the rest becomes hex. Part of a message's id.
std::string as_word(std::string_view key) {
  std::string out;
  for (const char c : key.substr(0, 200)) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_';
    std::array<char, 4> hex{};
    std::snprintf(hex.data(), hex.size(), "=%02x", static_cast<unsigned>(c & 0xff));
    out += plain ? std::string(1, c) : std::string(hex.data());
  }
  return out;
}

/// Of the header: a name in quotes where it needs them.
std::string shown(const MailAddress& address) {
  if (address.name.empty()) return address.address;
  std::string name;
  if (is_printable_ascii(address.name)) {
    for (const char c : address.name) {
      if (c == '"' || c == '\\') name += '\\';
      name += c;
    }
    name = '"' + name + '"';
  } else {
    name = encode_words(address.name);
  }
  return name + " <" + address.address + '>';
}

void add_addresses(std::vector<std::string>& lines, const char* name,
                   const std::vector<MailAddress>& addresses) {
  if (addresses.empty()) return;
  std::string line = std::string(name) + ": ";
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    line += (i == 0 ? "" : ",\r\n ") + shown(addresses[i]);
  }
  lines.push_back(std::move(line));
}

}  // namespace

std::vector<std::string> MailMessage::recipients() const {
  std::vector<std::string> out;
  for (const auto* list : {&to, &cc, &bcc}) {
    for (const MailAddress& one : *list) out.push_back(one.address);
  }
  return out;
}

Result<MailMessage> read_message(const json& with, const plugin::Request& request) {
  MailMessage out;
  auto from = parse_address(with.at("from").get_ref<const std::string&>());
  if (!from) return invalid("`from`: " + from.error().message);
  out.from = std::move(*from);
  for (const auto& [name, list] :
       {std::pair("to", &out.to), std::pair("cc", &out.cc), std::pair("bcc", &out.bcc),
        std::pair("reply_to", &out.reply_to)}) {
    auto read = read_addresses(with, name);
    if (!read) return read.error();
    *list = std::move(*read);
  }
  const std::size_t recipients = out.recipients().size();
  if (recipients == 0) return invalid("nobody is named in `to`, `cc` or `bcc`");
  if (recipients > kRecipientsMax) return invalid("more than 100 recipients");
  out.subject = with.value("subject", "");
  if (has_control(out.subject)) return invalid("`subject` holds a line break or another control");
  out.text = read_text(with, "text");
  out.html = read_text(with, "html");
  auto attachments = read_attachments(with, request);
  if (!attachments) return attachments.error();
  out.attachments = std::move(*attachments);
  const std::string& sender = out.from.address;
  out.id = '<' + as_word(request.idempotency_key()) + sender.substr(sender.find('@')) + '>';
  return out;
}

Result<MailAddress> parse_address(std::string_view text) {
  if (has_control(text) || !is_utf8(text)) {
    return invalid("an address holds a line break or another control");
  }
  MailAddress out;
  std::string_view address = trim(text);
  if (address.ends_with('>')) {
    const std::size_t open = address.find('<');
    if (open == std::string_view::npos) return invalid("an address ends with > but has no <");
    std::string_view name = trim(address.substr(0, open));
    if (name.size() >= 2 && name.starts_with('"') && name.ends_with('"')) {
      name = name.substr(1, name.size() - 2);
    }
    out.name = name;
    address = address.substr(open + 1, address.size() - open - 2);
  }
  const std::size_t at = address.rfind('@');
  const bool has_both = at != std::string_view::npos && at > 0 && at + 1 < address.size();
  const bool is_plain =
      is_printable_ascii(address) && address.find_first_of(" <>,;\"()\\") == std::string_view::npos;
  if (!has_both || !is_plain || address.size() > 254) {
    return invalid(escape_for_terminal(text) + " is not an address such as ops@example.org");
  }
  out.address = address;
  return out;
}

std::vector<std::string> header_lines(const MailMessage& message, std::int64_t date) {
  std::vector<std::string> out;
  out.push_back("Date: " + mail_date(date));
  add_addresses(out, "From", {message.from});
  add_addresses(out, "To", message.to);
  add_addresses(out, "Cc", message.cc);
  add_addresses(out, "Reply-To", message.reply_to);
  out.push_back("Subject: " + encode_words(message.subject));
  out.push_back("Message-ID: " + message.id);
  // So that no answering machine answers a machine (RFC 3834).
  out.emplace_back("Auto-Submitted: auto-generated");
  return out;
}

std::string encode_words(std::string_view text) {
  if (is_printable_ascii(text) && text.find("=?") == std::string_view::npos) {
    return std::string(text);
  }
  std::string out;
  while (!text.empty()) {
    const std::string_view word = cut_utf8(text, kWordBytesMax);
    out += (out.empty() ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?") + base64(word) + "?=";
    text.remove_prefix(word.size());
  }
  return out;
}

std::string mail_date(std::int64_t seconds) {
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                       "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t time = seconds;
  tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 64> out{};
  // Names of our own: those of strftime follow the locale.
  std::snprintf(out.data(), out.size(), "%s, %02d %s %04d %02d:%02d:%02d +0000",
                kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                parts.tm_hour, parts.tm_min, parts.tm_sec);
  return out.data();
}

std::string with_crlf(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 32);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') {
      if (i + 1 < text.size() && text[i + 1] == '\n') continue;
      out += "\r\n";
    } else if (text[i] == '\n') {
      out += "\r\n";
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace pawl::operators
