#include "plugins/worker/output_keeping.h"

#include <utility>

namespace pawl {

void OutputKeeping::start(Loop& loop, OutputSource source,
                          std::function<void(OutputResult&&)> kept) {
  if (!is_slow(source)) return kept(finish_output(source));
  auto result = std::make_shared<OutputResult>();
  work_ = std::make_unique<Work>(loop);
  work_->start([result, source = std::move(source)] { *result = finish_output(source); },
               [result, kept = std::move(kept)] { kept(std::move(*result)); });
}

}  // namespace pawl
