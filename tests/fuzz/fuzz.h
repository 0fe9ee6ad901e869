#pragma once

// Any bytes into a function that promises to take any bytes. A target is replayed over its corpus
// (tests/fuzz/corpus/NAME) and over seeds that the test makes, then over mutations of both: a fixed
// number from a fixed seed, or, with PAWL_FUZZ_SECONDS, for so long from a random one.
//
// Before each try the input is put into NAME.input in the working folder. What a crash or a hang
// leaves there goes into the corpus as a file of its own, and is replayed for ever.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::test {

/// `one` throws nothing, crashes on nothing and checks what must hold of its input. Mutations also
/// put `words` in. `rounds`: mutations when no time is given.
void fuzz(const std::string& name, const std::vector<std::string>& seeds,
          const std::vector<std::string>& words, int rounds,
          const std::function<void(std::string_view)>& one);

}  // namespace pawl::test
