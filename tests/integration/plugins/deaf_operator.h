/* What plugins in C have alike: a host that their operator knows, and no ear for a cancellation. */
#pragma once

#include <pawl/operator.h>

#define TEXT(text) \
  { text, sizeof(text) - 1 }

static const pawl_host* host;

static int open_it(const pawl_host* its_host, void** self, pawl_bytes* message) {
  (void)self;
  (void)message;
  host = its_host;
  return 0;
}

static void cancel(void* self, pawl_attempt* attempt) {
  (void)self;
  (void)attempt;
}
