/* A plugin that breaks one rule of the interface, which FLAW names when it is compiled. */

#include "tests/integration/plugins/deaf_operator.h"

enum flaw {
  NULL_PLUGIN,
  OTHER_VERSION,
  SHORT_PLUGIN,
  NO_OPERATORS,
  NULL_OPERATOR,
  SHORT_OPERATOR,
  RUN_AND_START,
  NEITHER,
  NO_CANCEL,
  DIGIT_FIRST,
  HYPHEN,
  NO_SCHEMA,
  WRONG_SCHEMA,
  RESERVED,
  NO_RESULT,
  SHORT_RESULT
};

/* Of a table: its size, and the size of one that ends before `last`. */
#define SIZE(type, is_short, last) \
  ((is_short) ? offsetof(type, last) : sizeof(type))

#define SCHEMA_WITHOUT_OUT "{\"type\": \"object\", \"x-pawl-output\": \"out\"}"
#define RESERVED_SCHEMA "{\"type\": \"object\", \"properties\": {\"connection\": {}}}"

static void begin(void* self, pawl_attempt* attempt, const pawl_request* request) {
  (void)self;
  (void)request;
  const pawl_result result = {.size = SIZE(pawl_result, FLAW == SHORT_RESULT, state)};
  host->finish(attempt, FLAW == NO_RESULT ? NULL : &result);
}

static const pawl_operator the_operator = {
    .size = SIZE(pawl_operator, FLAW == SHORT_OPERATOR, cancel),
    .name = {FLAW == DIGIT_FIRST ? "1lawed"
             : FLAW == HYPHEN    ? "flaw-d"
                                 : "flawed",
             6},
    .summary = TEXT("breaks the contract"),
    .schema = {FLAW == NO_SCHEMA      ? "[\"type\", \"object\"]"
               : FLAW == WRONG_SCHEMA ? SCHEMA_WITHOUT_OUT
               : FLAW == RESERVED     ? RESERVED_SCHEMA
                                      : "{\"type\": \"object\"}",
               FLAW == WRONG_SCHEMA ? sizeof(SCHEMA_WITHOUT_OUT) - 1
               : FLAW == RESERVED   ? sizeof(RESERVED_SCHEMA) - 1
                                    : 18},
    .open = open_it,
    .run = FLAW == RUN_AND_START ? begin : NULL,
    .start = FLAW == NEITHER ? NULL : begin,
    .cancel = FLAW == NO_CANCEL ? NULL : cancel,
};
static const pawl_operator* const operators[] = {FLAW == NULL_OPERATOR ? NULL : &the_operator};
static const pawl_plugin plugin = {
    .abi_version = PAWL_ABI_VERSION + (FLAW == OTHER_VERSION ? 1 : 0),
    .size = SIZE(pawl_plugin, FLAW == SHORT_PLUGIN, operator_count),
    .version = TEXT("1"),
    .operators = operators,
    .operator_count = FLAW == NO_OPERATORS ? 0 : 1,
};

const pawl_plugin* pawl_plugin_v1(void) { return FLAW == NULL_PLUGIN ? NULL : &plugin; }
