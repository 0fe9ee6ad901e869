#pragma once

// A message and who gets it, as `with` of the operator `mail` describes them. Nothing that a user
// or a template puts into a header can end its line and begin another: line breaks are refused, and
// what is not ASCII is encoded.

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "pawl/operator.hpp"
#include "scheduler/base/result.h"

namespace pawl::operators {

inline constexpr std::size_t kRecipientsMax = 100;
inline constexpr std::size_t kAttachmentsMax = 50;
inline constexpr std::uintmax_t kAttachmentBytesMax = 25u << 20;  ///< of all; servers take no more

/// `Ops <ops@example.org>` or `ops@example.org`.
struct MailAddress {
  std::string name;  ///< UTF-8; may be empty
  std::string address;
};

struct MailAttachment {
  std::string path;  ///< absolute
  std::string name;
};

struct MailMessage {
  MailAddress from;
  std::vector<MailAddress> to;
  std::vector<MailAddress> cc;
  std::vector<MailAddress> bcc;  ///< get it without being named in it
  std::vector<MailAddress> reply_to;
  std::string subject;
  std::string text;
  std::string html;
  std::vector<MailAttachment> attachments;
  std::string
      id;  ///< the same over all attempts of a piece of work, so that a second copy is known

  std::vector<std::string> recipients() const;
};

/// Errors: invalid; no message holds the value of a property that may be a secret.
Result<MailMessage> read_message(const nlohmann::json& with, const plugin::Request& request);

/// Errors: invalid, for what is no address, or has what cannot stand in a header.
Result<MailAddress> parse_address(std::string_view text);

/// The lines of the header, without line ends, but for folds. `date` in seconds since 1970.
std::vector<std::string> header_lines(const MailMessage& message, std::int64_t date);

/// Text of a header: as it is when it is ASCII, else in encoded words (RFC 2047), folded.
std::string encode_words(std::string_view text);

/// `Fri, 20 Nov 2026 22:58:01 +0000`.
std::string mail_date(std::int64_t seconds);

/// Line ends as mail has them, whatever they were.
std::string with_crlf(std::string_view text);

}  // namespace pawl::operators
