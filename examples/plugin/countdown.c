/* `countdown`: counts to zero, a step each 100 ms. It lives on the loop of its host: ten thousand of
 * them need no thread. In plain C. */

#include <stdio.h>
#include <stdlib.h>

#include <pawl/operator.h>

#define TEXT(literal) {(literal), sizeof(literal) - 1}

enum { STEPS = 3, STEP_MS = 100 };

struct countdown {
  const pawl_host* host;
  pawl_attempt* attempt;
  pawl_watch* timer;
  int left;
};

static void finish(struct countdown* count, pawl_outcome outcome) {
  pawl_result result = {.size = sizeof(result), .outcome = outcome};
  count->host->unwatch(count->timer);
  count->host->finish(count->attempt, &result);
  free(count);
}

static void on_time(void* data) {
  struct countdown* count = data;
  char line[16];
  pawl_bytes text = {line, 0};
  pawl_bytes words = {NULL, 0};
  if (count->left == 0) {
    finish(count, PAWL_SUCCEEDED);
    return;
  }
  text.size = (size_t)snprintf(line, sizeof(line), "%d\n", count->left--);
  count->host->log(count->attempt, PAWL_STDOUT, text);
  count->host->progress(count->attempt, 1 - (double)count->left / STEPS, words);
  count->host->unwatch(count->timer);
  count->timer = count->host->watch_time(count->host, STEP_MS, on_time, count);
}

/* What all attempts share is the host. */
static int open_countdown(const pawl_host* host, void** self, pawl_bytes* message) {
  (void)message;
  *self = (void*)host;
  return 0;
}

static void start(void* self, pawl_attempt* attempt, const pawl_request* request) {
  const pawl_host* host = self;
  struct countdown* count = calloc(1, sizeof(*count));
  (void)request;
  if (count == NULL) {
    pawl_result result = {.size = sizeof(result), .outcome = PAWL_FAILED};
    host->finish(attempt, &result);
    return;
  }
  count->host = host;
  count->attempt = attempt;
  count->left = STEPS;
  host->set_data(attempt, count);
  on_time(count);
}

static void cancel(void* self, pawl_attempt* attempt) {
  finish(((const pawl_host*)self)->data(attempt), PAWL_FAILED);
}

static const pawl_operator countdown = {
    .size = sizeof(pawl_operator),
    .name = TEXT("countdown"),
    .summary = TEXT("counts to zero"),
    .schema = TEXT("{\"type\": \"object\", \"additionalProperties\": false}"),
    .open = open_countdown,
    .start = start,
    .cancel = cancel,
};

static const pawl_operator* const operators[] = {&countdown};

const pawl_plugin* pawl_plugin_v1(void) {
  static const pawl_plugin plugin = {
      .abi_version = PAWL_ABI_VERSION,
      .size = sizeof(pawl_plugin),
      .version = TEXT("1.0"),
      .operators = operators,
      .operator_count = sizeof(operators) / sizeof(operators[0]),
  };
  return &plugin;
}
