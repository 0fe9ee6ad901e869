#include "cli/run_events.h"

#include <algorithm>

#include "cli/view.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

constexpr std::size_t kEventsRead = 1'000;

bool is_about(const EventRow& event, const Named& named) {
  if (!named.task) return true;
  if (!event.task || event.task->task != *named.task) return false;
  return named.item == kWhole || event.task->item == named.item;
}

}  // namespace

Result<std::vector<EventRow>> events_of(HistoryAccess& access, const Named& named) {
  Selector selector;
  ObjectName name;
  name.run = named.run.name;
  selector.names.push_back(std::move(name));
  Result<std::vector<EventRow>> events = access.history().events(selector).next(kEventsRead);
  if (!events) return events;
  std::erase_if(*events, [&](const EventRow& event) { return !is_about(event, named); });
  std::reverse(events->begin(), events->end());
  return events;
}

OrderedJson event_object(const EventRow& event, const std::string& task) {
  const bool of_item = event.task && event.task->item != kWhole;
  return {{"at", format_utc(event.at)},
          {"actor", event.actor},
          {"verb", event.verb},
          {"task", event.task ? OrderedJson(task) : OrderedJson(nullptr)},
          {"index", of_item ? OrderedJson(event.task->item.value) : OrderedJson(nullptr)},
          {"text", text_or_null(event.text)}};
}

std::string event_text(const EventRow& event, const std::string& task, const Here& here) {
  std::string text = event.verb;
  if (event.task) text += " " + task_name(task, event.task->item);
  text += ", " + format_when(event.at, here);
  return event.text.empty() ? text : text + ": " + event.text;
}

bool is_making(const EventRow& event) {
  return std::find(kTriggerWords.begin(), kTriggerWords.end(), event.verb) != kTriggerWords.end();
}

}  // namespace pawl
