#include "scheduler/daemon/request_body.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "scheduler/base/text.h"

namespace pawl {
namespace {

using nlohmann::json;

enum class Holds { text, file, flag, number, object, list, anything };

struct Member {
  std::string_view name;
  Holds holds;
};

constexpr std::size_t kTextBytesMax =
    4'096;  // names, paths, notes; the text of a file has no limit

constexpr std::array kRun = {
    Member{"text", Holds::file},       Member{"file", Holds::text},
    Member{"folder", Holds::text},     Member{"params", Holds::object},
    Member{"request_id", Holds::text}, Member{"concurrency", Holds::number}};
constexpr std::array kTrigger = {
    Member{"job", Holds::text},           Member{"params", Holds::object},
    Member{"param_texts", Holds::object}, Member{"request_id", Holds::text},
    Member{"for", Holds::text},           Member{"at", Holds::text},
    Member{"force", Holds::flag}};
constexpr std::array kBackfill = {
    Member{"job", Holds::text},       Member{"from", Holds::text},
    Member{"to", Holds::text},        Member{"max_active", Holds::number},
    Member{"reprocess", Holds::text}, Member{"reverse", Holds::flag},
    Member{"dry_run", Holds::flag},   Member{"request_id", Holds::text}};
constexpr std::array kCommand = {Member{"verb", Holds::text}, Member{"targets", Holds::list},
                                 Member{"options", Holds::object}, Member{"dry_run", Holds::flag},
                                 Member{"request_id", Holds::text}};
constexpr std::array kTarget = {Member{"run", Holds::text}, Member{"task", Holds::text},
                                Member{"index", Holds::number}, Member{"itself", Holds::flag}};
constexpr std::array kOptions = {Member{"force", Holds::flag},
                                 Member{"from", Holds::flag},
                                 Member{"only", Holds::flag},
                                 Member{"downstream", Holds::flag},
                                 Member{"definition", Holds::anything},
                                 Member{"state", Holds::text},
                                 Member{"note", Holds::text}};
constexpr std::array kPrune = {Member{"ended_before_ms", Holds::number},
                               Member{"runs", Holds::list}};
constexpr std::array kPause = {Member{"note", Holds::text}};

const char* words_of(Holds holds) {
  switch (holds) {
    case Holds::text: return "a text of at most 4 KiB";
    case Holds::file: return "a text";
    case Holds::flag: return "true or false";
    case Holds::number: return "a whole number";
    case Holds::object: return "an object";
    case Holds::list: return "a list";
    case Holds::anything: return "anything";
  }
  return "";
}

bool fits(Holds holds, const json& value) {
  switch (holds) {
    case Holds::text:
      return value.is_string() && value.get_ref<const std::string&>().size() <= kTextBytesMax;
    case Holds::file: return value.is_string();
    case Holds::flag: return value.is_boolean();
    case Holds::number: return value.is_number_integer();
    case Holds::object: return value.is_object();
    case Holds::list: return value.is_array();
    case Holds::anything: return true;
  }
  return false;
}

Result<void> check(std::string_view what, const json& object, std::span<const Member> members) {
  for (const auto& item : object.items()) {
    const std::string& name = item.key();
    const json& value = item.value();
    const auto member = std::find_if(members.begin(), members.end(),
                                     [&](const Member& one) { return one.name == name; });
    if (member == members.end()) {
      std::vector<std::string_view> known;
      for (const Member& one : members) known.push_back(one.name);
      const std::string_view near = nearest_word(name, known);
      return Error{ErrorKind::invalid,
                   std::string(what) + " has no '" + name + "'" +
                       (near.empty() ? "" : ". Did you mean '" + std::string(near) + "'?")};
    }
    if (value.is_null() || fits(member->holds, value)) continue;
    return Error{ErrorKind::invalid,
                 "'" + name + "' of " + std::string(what) + " is not " + words_of(member->holds)};
  }
  return {};
}

Result<void> check_command(const json& body) {
  if (auto known = check("a command", body, kCommand); !known) return known;
  if (const auto options = body.find("options"); options != body.end() && options->is_object()) {
    if (auto known = check("'options'", *options, kOptions); !known) return known;
  }
  const auto targets = body.find("targets");
  if (targets == body.end() || !targets->is_array()) return {};
  for (const json& target : *targets) {
    if (!target.is_object()) return Error{ErrorKind::invalid, "a target is not an object"};
    if (auto known = check("a target", target, kTarget); !known) return known;
  }
  return {};
}

}  // namespace

Result<void> check_body(std::string_view path, const json& body) {
  if (path == "/v1/runs") return check("a run of a file", body, kRun);
  if (path == "/v1/trigger") return check("a trigger", body, kTrigger);
  if (path == "/v1/backfill") return check("a backfill", body, kBackfill);
  if (path == "/v1/commands") return check_command(body);
  if (path == "/v1/prune") return check("a prune", body, kPrune);
  if (path.starts_with("/v1/jobs/")) return check("a pause", body, kPause);
  if (path == "/v1/reload" || path == "/v1/hand_over") return check("this command", body, {});
  return {};
}

}  // namespace pawl
