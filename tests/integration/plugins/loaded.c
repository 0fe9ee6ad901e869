/* A library that does something of its own when it is loaded, or at its end, one of these: */
#define _GNU_SOURCE
#define HANGS 1
#define CRASHES 2
#define PRINTS 3
#define LEAVES 4
#define EXITS 5
#define CRASHES_LAST 6
#define CRASHES_IN_HOSTS 7

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/plugins/deaf_operator.h"

/* A line in the file that the environment names, so that loads can be counted. */
static void note(void) {
  const char* path = getenv("LOADS_OF_TEST");
  const int file = path == NULL ? -1 : open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return;
  if (write(file, "loaded\n", 7) != 7) abort();
  close(file);
}

#if DEED == CRASHES_IN_HOSTS
static int is_in_host(void) {
  char words[4096];
  const int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  const ssize_t size = read(file, words, sizeof(words));
  close(file);
  return size > 0 && memmem(words, (size_t)size, "--class", 7) != NULL;
}
#endif

__attribute__((constructor)) static void on_load(void) {
  note();
#if DEED == HANGS
  for (;;) pause();
#elif DEED == CRASHES
  abort();
#elif DEED == PRINTS
  printf("[]\nthis library talks\n");
#elif DEED == LEAVES
  /* It holds all that its parent had open. */
  if (fork() == 0) {
    sleep(20);
    _exit(0);
  }
#elif DEED == EXITS
  exit(0);
#elif DEED == CRASHES_IN_HOSTS
  if (is_in_host()) {
    fprintf(stderr, "no licence\n");
    abort();
  }
#endif
}

__attribute__((destructor)) static void at_the_end(void) {
  if (DEED == CRASHES_LAST) abort();
}

static void start(void* self, pawl_attempt* attempt, const pawl_request* request) {
  (void)self;
  (void)request;
  const pawl_result result = {.size = sizeof(result), .outcome = PAWL_SUCCEEDED};
  host->finish(attempt, &result);
}

static const pawl_operator only = {.size = sizeof(only),
                                   .name = TEXT("loaded"),
                                   .summary = TEXT("is there"),
                                   .schema = TEXT("{\"type\": \"object\"}"),
                                   .open = open_it,
                                   .start = start,
                                   .cancel = cancel};
static const pawl_operator* const all[] = {&only};
static const pawl_plugin plugin = {.abi_version = PAWL_ABI_VERSION,
                                   .size = sizeof(plugin),
                                   .version = TEXT("1"),
                                   .operators = all,
                                   .operator_count = 1};

const pawl_plugin* pawl_plugin_v1(void) { return &plugin; }
