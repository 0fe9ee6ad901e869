#include "cli/signals.h"

#include <array>
#include <csignal>

namespace pawl {

namespace {

volatile std::sig_atomic_t interrupt_count = 0;
volatile std::sig_atomic_t leave_signal = 0;

constexpr std::array kWatched = {SIGINT, SIGTERM, SIGHUP};
std::array<struct sigaction, kWatched.size()> before;

void on_signal(int number) {
  if (number == SIGINT) {
    interrupt_count = interrupt_count + 1;
  } else {
    leave_signal = number;
  }
}

}  // namespace

SignalWatch::SignalWatch() {
  interrupt_count = 0;
  leave_signal = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kWatched.size(); ++i) {
    sigaction(kWatched[i], nullptr, &before[i]);
    // What is ignored (nohup) stays ignored.
    if (before[i].sa_handler != SIG_IGN) sigaction(kWatched[i], &action, nullptr);
  }
}

SignalWatch::~SignalWatch() {
  for (std::size_t i = 0; i < kWatched.size(); ++i) sigaction(kWatched[i], &before[i], nullptr);
}

int SignalWatch::interrupts() const { return interrupt_count; }
int SignalWatch::leave() const { return leave_signal; }

}  // namespace pawl
