// Wrong on purpose, in a child whose exit code nobody looks at, as it is with workers.

#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstddef>
#include <string_view>
#include <thread>

namespace {

int beyond_its_end() {
  volatile std::size_t size = 4;
  const volatile char* bytes = new char[size];
  return bytes[size];
}

int more_than_fits() {
  volatile int number = INT_MAX;
  number = number + 1;
  return number;
}

int at_the_same_time() {
  static int count = 0;
  std::thread other([] { ++count; });
  ++count;
  other.join();
  return count;
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) return 2;
  const std::string_view what = words[1];
  if (::fork() == 0) {
    if (what == "address") return beyond_its_end();
    if (what == "undefined") return more_than_fits();
    return at_the_same_time();
  }
  ::wait(nullptr);
  return 0;
}
