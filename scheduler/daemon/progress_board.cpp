#include "scheduler/daemon/progress_board.h"

#include <algorithm>
#include <utility>

#include "scheduler/base/text.h"
#include "scheduler/base/words.h"

namespace pawl {

void ProgressBoard::tell(frame::Progress&& progress, WallTime now) {
  words_[progress.attempt] = {progress.fraction, std::move(progress.text), now};
  if (words_.size() > kAttemptsMax) words_.erase(words_.begin());
}

void ProgressBoard::erase(AttemptId attempt) { words_.erase(attempt); }

nlohmann::json ProgressBoard::of(std::string_view attempts) const {
  nlohmann::json out = nlohmann::json::array();
  while (!attempts.empty()) {
    const std::string_view word = attempts.substr(0, attempts.find(','));
    attempts.remove_prefix(std::min(attempts.size(), word.size() + 1));
    const auto number = whole_number<std::int64_t>(word);
    const auto found = number ? words_.find(AttemptId(*number)) : words_.end();
    if (found == words_.end()) continue;
    out.push_back({{"attempt_id", *number},
                   {"fraction", found->second.fraction},
                   {"text", found->second.text},
                   {"at", format_utc(found->second.at)}});
  }
  return out;
}

}  // namespace pawl
