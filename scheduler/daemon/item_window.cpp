#include "scheduler/daemon/item_window.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "scheduler/base/limits.h"

namespace pawl {

ItemWindow::Taken ItemWindow::take(PendingStart& pending) {
  const std::int64_t item = pending.start.key.item.value;
  Chunk* chunk = find(item);
  if (chunk == nullptr) {
    waiting_[item].push_back(std::move(pending));
    if (!may_come(item)) ask(item);
    return {Taken::Kind::awaited, {}};
  }
  chunk->used = ++clock_;
  const auto place = static_cast<std::size_t>(item - chunk->row->first);
  if (place >= chunk->items.size()) return {Taken::Kind::missing, {}};
  ask_ahead(*chunk->row, item);
  return {Taken::Kind::here, chunk->items[place]};
}

ItemWindow::Arrived ItemWindow::arrived(std::int64_t asked,
                                        std::shared_ptr<const ItemChunkRow> chunk) {
  asked_.erase(asked);
  const bool was_early = asked_early_.erase(asked) > 0;
  const bool says_lost = chunk == nullptr && !was_early;
  if (chunk != nullptr) keep(std::move(chunk));
  Arrived out;
  for (auto w = waiting_.begin(); w != waiting_.end();) {
    const bool is_here = find(w->first) != nullptr;
    if (!is_here && !(says_lost && w->first == asked)) {
      ++w;
      continue;
    }
    auto& into = is_here ? out.ready : out.lost;
    std::move(w->second.begin(), w->second.end(), std::back_inserter(into));
    w = waiting_.erase(w);
  }
  for (const auto& [item, starts] : waiting_) {
    if (!may_come(item)) ask(item);
  }
  return out;
}

std::vector<std::int64_t> ItemWindow::take_questions() { return std::exchange(questions_, {}); }

void ItemWindow::forget_chunks() {
  chunks_.clear();
  ahead_.reset();
}

ItemWindow::Chunk* ItemWindow::find(std::int64_t item) {
  auto it = chunks_.upper_bound(item);
  if (it == chunks_.begin()) return nullptr;
  --it;
  return item < it->first + it->second.row->count ? &it->second : nullptr;
}

/// Whether a chunk is on its way that may hold the item.
bool ItemWindow::may_come(std::int64_t item) const {
  auto it = asked_.upper_bound(item);
  return it != asked_.begin() &&
         item - *std::prev(it) < static_cast<std::int64_t>(limits::kItemsPerChunk);
}

void ItemWindow::ask(std::int64_t item) {
  asked_.insert(item);
  questions_.push_back(item);
}

void ItemWindow::ask_ahead(const ItemChunkRow& current, std::int64_t item) {
  const std::int64_t next = current.first + current.count;
  if (item - current.first < current.count / 2 || ahead_ >= next) return;
  if (find(next) != nullptr) return;
  ahead_ = next;
  if (may_come(next)) return;
  asked_early_.insert(next);
  ask(next);
}

void ItemWindow::keep(std::shared_ptr<const ItemChunkRow> row) {
  auto items = read_item_chunk(row->bytes);
  Chunk& chunk = chunks_[row->first];
  chunk.items = items ? std::move(*items) : std::vector<ItemView>{};
  chunk.row = std::move(row);
  chunk.used = ++clock_;
  while (chunks_.size() > kChunksMax) {
    chunks_.erase(std::min_element(
        chunks_.begin(), chunks_.end(),
        [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  }
}

}  // namespace pawl
