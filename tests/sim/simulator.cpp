#include "tests/sim/simulator.h"

#include "tests/sim/life.h"

namespace pawl::sim {

Tale simulate(std::uint64_t seed, Planted planted) { return Life(seed, planted, false).live(); }

Tale simulate_on_disk(std::uint64_t seed, Planted planted) {
  return Life(seed, planted, true).live();
}

Tale play(const Scenario& scenario, std::int64_t cut_at, Remains remains, Planted planted) {
  return Life(1, planted, true).live(scenario, cut_at, remains);
}

}  // namespace pawl::sim
