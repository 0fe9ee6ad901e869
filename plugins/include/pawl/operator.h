/* The C interface between pawl and its operators, version 1.
 *
 * An operator does the work of an attempt. It lives in a shared library that exports one symbol:
 *
 *     const pawl_plugin *pawl_plugin_v1(void);
 *
 * The library is loaded by a worker process called a host, never by the scheduler. A host runs
 * thousands of attempts at once; when an operator crashes, only the attempts of its host are lost,
 * and `on_interrupt` of their tasks decides what follows.
 *
 * Sizes. Every table begins with its size in bytes as its author knew it. A table may grow at its
 * end in later releases of this version: fields beyond `size` do not exist and are never read.
 *
 * Bytes. Text and data are pointer and length, UTF-8 where it is text, never NUL-terminated. What a
 * function is given belongs to the caller and is good until the function returns, unless it says
 * otherwise; whoever needs it longer copies it. Nothing is freed by the other side.
 *
 * Threads. A host has one loop thread. Each function says which thread calls it or may call it:
 *   [loop]    on the loop thread; must not block: a blocked loop stops every attempt of the host.
 *   [pool]    on a thread of the host's pool that belongs to one attempt; may block.
 *   [any]     on any thread, from the start of the attempt until `finish` was called for it. What
 *             threads say faster than the loop hears it waits in 16 MiB; when these are full the
 *             call waits too, except on the loop thread.
 *
 * The life of an attempt. `start` or `run` begins it; exactly one call of `finish` ends it. After
 * `finish` the pointer to the attempt means nothing any more. What comes too late, a second
 * `finish` too, and a wrong value are ignored. The log of the worker has the first of them of each
 * attempt, but of an operator no more than a hundred, and nothing that came too late for an attempt
 * that was cancelled or ended long ago, or that changes nothing (`secret`, `is_cancelled`, which
 * says 1). No C++ exception may leave a function of this interface.
 */
#ifndef PAWL_OPERATOR_H
#define PAWL_OPERATOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(modernize-use-using, readability-identifier-naming): this is C. */

/* The version of this interface. A library with another one is not loaded. */
#define PAWL_ABI_VERSION 1u

typedef struct pawl_bytes {
  const char* data; /* may be null when size is 0 */
  size_t size;
} pawl_bytes;

/* An attempt, as the host knows it. Opaque. */
typedef struct pawl_attempt pawl_attempt;

typedef enum pawl_outcome {
  PAWL_SUCCEEDED = 0,
  PAWL_FAILED = 1,          /* reason `error`: retried as the task says */
  PAWL_FAILED_FOR_GOOD = 2, /* reason `permanent`: not retried unless the task names it */
  PAWL_SKIPPED = 3,         /* there is nothing to do: followers see a skipped task */
  PAWL_DEFERRED = 4         /* look again later; the attempt gives up its slot until then */
} pawl_outcome;

/* How an attempt ends. Fields that the outcome does not name are not looked at. */
typedef struct pawl_result {
  size_t size;
  pawl_outcome outcome;
  pawl_bytes output;      /* SUCCEEDED: the value, in the format the task declares (`output`): JSON
                             text, or plain text; at most 1 MiB, a larger one fails with `output` */
  pawl_bytes error_class; /* FAILED: the kind of error, `ConnectionRefused`; may be empty */
  pawl_bytes message;     /* FAILED, SKIPPED: one sentence for people; cut at 4 KiB */
  pawl_bytes trace;       /* FAILED: more lines for people; of a long one both ends, 8 KiB */
  int64_t after_ms;       /* DEFERRED: start again after so many milliseconds, 0 to 366 days */
  pawl_bytes state;       /* DEFERRED: given back at the next start; at most 64 KiB */
} pawl_result;

/* What an attempt is to do. Good until `finish`. */
typedef struct pawl_request {
  size_t size;
  pawl_bytes parameters;     /* `with`, templates and secrets filled in: JSON text of an object that
                                fits the operator's schema */
  pawl_bytes job, run, task; /* names */
  pawl_bytes item;           /* JSON text; empty when the task is not mapped */
  pawl_bytes key;            /* the item's key; may be empty */
  int64_t index;             /* of the item, from 0; -1 when the task is not mapped */
  int64_t number;            /* of the attempt, from 1 */
  pawl_bytes idempotency_key; /* the same over all attempts of this piece of work */
  int64_t deadline_ms;        /* when the host will cancel it, milliseconds since 1970; 0: never */
  pawl_bytes working_dir;     /* absolute; the process's own folder is `/` */
  pawl_bytes output_format;   /* `none`, `text`, `json` or `jsonl` */
  pawl_bytes scratch;         /* path of an own folder: whoever wants it makes it; it is removed
                                 after the attempt with all that is in it */
  pawl_bytes handle;          /* what an attempt of this work before it set by `set_handle` and did
                                 not finish: something that may still run elsewhere. Else empty */
  pawl_bytes state;           /* of the deferral that ended now; else empty */
} pawl_request;

/* A descriptor or a timer that the loop watches for an operator. Opaque. */
typedef struct pawl_watch pawl_watch;

enum { PAWL_READABLE = 1, PAWL_WRITABLE = 2 };
enum { PAWL_STDOUT = 0, PAWL_STDERR = 1 };

/* What the host does for operators. Good as long as the operator lives. */
typedef struct pawl_host {
  size_t size;
  uint32_t abi_version;

  /* [any] Appends text to the attempt's log; lines end with '\n'. Secrets are masked. Counts as a
   * heartbeat. */
  void (*log)(pawl_attempt* attempt, int stream, pawl_bytes text);
  /* [any] The attempt is alive: `stall_timeout` counts from now. */
  void (*heartbeat)(pawl_attempt* attempt);
  /* [any] How far it is, 0 to 1, and in words; shown by `pawl show`. A heartbeat. */
  void (*progress)(pawl_attempt* attempt, double fraction, pawl_bytes text);
  /* [any] 1 once the attempt is to end: cancelled, or a time-out. */
  int (*is_cancelled)(const pawl_attempt* attempt);
  /* [any] The value of a secret that the task names. 0 when there is none of that name. The bytes
   * are good until `finish`. */
  int (*secret)(const pawl_attempt* attempt, pawl_bytes name, pawl_bytes* value);
  /* [any] What a program of this task would have as environment: `*entries` is an array of
   * `NAME=value`, each name once, good until `finish`; returns how many. */
  size_t (*environment)(pawl_attempt* attempt, const pawl_bytes** entries);
  /* [any] The value of one variable of it, without making the others. 0 when it is not set. The
   * bytes are good until `finish`. */
  int (*variable)(pawl_attempt* attempt, pawl_bytes name, pawl_bytes* value);
  /* [any] Names something that lives outside, at most 4 KiB: a remote job's id. Kept over the death
   * of this process once the call has returned, over a loss of power a moment later. A later
   * attempt of the same work gets it as `handle`. 0 when it could not be kept. An empty handle
   * takes the name back. */
  int (*set_handle)(pawl_attempt* attempt, pawl_bytes handle);
  /* [any] Ends the attempt, once. Everything is copied before it returns. Without a result it has
   * failed for good. */
  void (*finish)(pawl_attempt* attempt, const pawl_result* result);

  /* [any] The operator's own pointer for an attempt; null at first. Not synchronised. */
  void (*set_data)(pawl_attempt* attempt, void* data);
  void* (*data)(const pawl_attempt* attempt);

  /* [loop] Calls `on_ready` when the descriptor is ready for one of `events`, until `unwatch`. The
   * descriptor stays the operator's; it must be open until then. Null: it cannot be watched. */
  pawl_watch* (*watch_fd)(const struct pawl_host* host, int fd, int events,
                          void (*on_ready)(void* data, int events), void* data);
  /* [loop] Changes what is watched for. */
  void (*change_fd)(pawl_watch* watch, int events);
  /* [loop] Calls `on_time` once after so many milliseconds, 0 to 366 days, unless it is unwatched
   * before. Null: there is no such time, or no memory. */
  pawl_watch* (*watch_time)(const struct pawl_host* host, int64_t after_ms,
                            void (*on_time)(void* data), void* data);
  /* [loop] Nothing is called for it any more. Also for a timer that has fired. Null is allowed. */
  void (*unwatch)(pawl_watch* watch);
  /* Any thread, at any time: calls `function` on the loop soon. */
  void (*post)(const struct pawl_host* host, void (*function)(void* data), void* data);

  /* [any] Hides the task's secrets in a text, in place, in all forms in which `log` and `finish`
   * find them; returns the new size, which is never larger. For who shows a part of a text, or
   * another form of it: a part of a secret is not found any more once it is cut or written
   * otherwise. With `is_cut` the text goes on behind its end: what may be the beginning of a secret
   * there is taken off. */
  size_t (*hide)(const pawl_attempt* attempt, char* text, size_t size, int is_cut);
} pawl_host;

/* An operator. All pointers stay good as long as the library is loaded. */
typedef struct pawl_operator {
  size_t size;
  pawl_bytes name;    /* as in `"operator": …`; [a-z][a-z0-9_]{0,63} */
  pawl_bytes summary; /* one sentence */
  /* JSON Schema (2020-12) of `with`, an object. Checked when a job file is checked, on what is not
   * a template, and again by the host on what was rendered. A property with `"x-pawl-secret": true`
   * may use secrets in its templates, all others are refused them. */
  pawl_bytes schema;

  /* [loop] Once, before the first attempt: what all attempts share. `*self` is handed to all other
   * functions. Not 0: it cannot work, `message` may be set to static text that says why, and every
   * attempt fails with it. May be null. */
  int (*open)(const pawl_host* host, void** self, pawl_bytes* message);
  /* [loop] Once, when the host ends; no attempt is open then. May be null. A host that has not
   * ended within 15 seconds, with all that its libraries do then, is killed. */
  void (*close)(void* self);

  /* Exactly one of these two is set. */
  /* [pool] Does the work and calls `finish` before it returns. */
  void (*run)(void* self, pawl_attempt* attempt, const pawl_request* request);
  /* [loop] Begins the work; `finish` may come at once or later. */
  void (*start)(void* self, pawl_attempt* attempt, const pawl_request* request);

  /* [loop] The attempt is to end: it was cancelled or has timed out. Called at most once, between
   * start and finish; the operator ends what it began elsewhere and finishes soon, with whatever
   * result: what is recorded is the cancellation. Whoever does not finish within `kill_grace` takes
   * the host down with it. For `run` this may wake its thread; null: the thread asks
   * `is_cancelled`. */
  void (*cancel)(void* self, pawl_attempt* attempt);
} pawl_operator;

typedef struct pawl_plugin {
  uint32_t abi_version; /* PAWL_ABI_VERSION */
  size_t size;
  pawl_bytes version; /* of the plugin, for people */
  const pawl_operator* const* operators;
  size_t operator_count;
} pawl_plugin;

/* The one symbol that a plugin exports. Called once, on the loop thread, before anything else. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const pawl_plugin*
pawl_plugin_v1(void);

/* NOLINTEND(modernize-use-using, readability-identifier-naming) */

#ifdef __cplusplus
}
#endif

#endif /* PAWL_OPERATOR_H */
