/* rule - which fault is made to which frames: what a test switches on and off while everything runs, and the count of what came of it.
 *
 * A rule names a kind of fault, clients (by their client.id), brokers, APIs, a direction and a probability; every frame that fits draws, from a
 * generator that belongs to the rule and is seeded by the run's seed and the rule's number. Several rules can hit one frame. A fault is
 * counted when it took effect, not when it was drawn: a request that was to be reset, and whose connection had gone by then, is not. */
#ifndef BERTH_TESTS_FAULTS_PROXY_RULE_H
#define BERTH_TESTS_FAULTS_PROXY_RULE_H

#include "tests/faults/proxy/frame.h"

#include <jansson.h>

#define NAMES_MAX 32 /* clients, and brokers; a name is a bit in a rule's mask */
#define NAME_SIZE 64
#define RULES_MAX 64
#define RULE_MS_MAX 600000
#define LATE_UNTIL_TOLD (-1)

typedef enum fault_kind {
    FAULT_DELAY,       /* ms and up to jitter_ms more; order within a connection stays, as TCP keeps it */
    FAULT_THROTTLE,    /* bytes_per_s, for each connection and direction */
    FAULT_SLICE,       /* the first slice_bytes of the frame go one by one, gap_us apart */
    FAULT_RESET,       /* half of the frame, then RST to both sides */
    FAULT_LOSE_ANSWER, /* the broker does what was asked; its answer is swallowed, and the connection is reset (then: close) or left (hang) */
    FAULT_DUPLICATE,   /* to the broker: the request twice, the second answer swallowed; to the client: the answer twice */
    FAULT_REORDER,     /* the frame waits, ms at most, until overtakers frames like it, of other connections to its broker, were before it */
    FAULT_STRAY,       /* a Produce is not forwarded, but sent later on a connection of the proxy's own; the client's one is reset or hangs */
    FAULT_REPLAY,      /* a Produce is forwarded, and sent once more later on a connection of the proxy's own */
    FAULT_NAMELESS,    /* a Produce goes on without its producer's id: appended and acknowledged, and then missing in that producer's sequence */
    FAULT_BLACK_HOLE,  /* frames stay in the proxy until the rule is cleared; then they arrive (then: deliver) or die with a reset (drop) */
    FAULT_COUNT
} fault_kind;

typedef enum direction { TO_BROKER, TO_CLIENT, DIRECTION_COUNT } direction;

typedef enum aftermath { THEN_CLOSE, THEN_HANG, THEN_DELIVER, THEN_DROP, AFTERMATH_COUNT } aftermath;

/* A growing table of names: the bit of a client's or broker's name. */
typedef struct names {
    char at[NAMES_MAX][NAME_SIZE];
    size_t count;
} names;
/* Found or added; when the table is full, the last place, which is then called "(others)". */
size_t name_number(names *known, bt_str name);

typedef struct rule {
    int64_t number;
    fault_kind kind;
    uint64_t clients, brokers; /* masks; all ones: also those that come later */
    bool apis[API_COUNT], directions[DIRECTION_COUNT];
    double probability; /* black_hole and throttle take none, and no limit: they are states and not events */
    int64_t ms, jitter_ms; /* ms of stray and replay: LATE_UNTIL_TOLD waits for the order to release */
    int64_t bytes_per_s, gap_us, slice_bytes, overtakers;
    int64_t limit, drawn; /* it hits limit frames and no more */
    aftermath then;
    bool anonymous; /* stray, replay: without the producer's id, so that the broker cannot recognise the duplicate */
    uint64_t random;
} rule;

typedef struct rules {
    rule at[RULES_MAX];
    size_t count;
    int64_t next_number;
    uint64_t seed;
    names clients, brokers;
    uint64_t effects[FAULT_COUNT][NAMES_MAX][NAMES_MAX][API_COUNT]; /* by client and broker */
} rules;

/* Whom a frame belongs to. */
typedef struct flow_kind {
    size_t client, broker;
    direction direction;
} flow_kind;

const char *fault_name(fault_kind kind);
/* Reads an order: {"fault": "delay", "clients": ["node1"], ...}. A word that is unknown, or does not go with the fault, is refused by name. */
rule *rule_add(rules *all, const json_t *order, bt_err *err) BT_MUST_CHECK;
/* Takes one away and says which it was; false if there is none of that number. */
bool rule_remove(rules *all, int64_t number, rule *ret_removed) BT_MUST_CHECK;
bool rule_fits(const rule *r, const flow_kind *flow, int api);
/* Fits, and the draw hits. */
bool rule_hits(rule *r, const flow_kind *flow, int api);
int64_t rule_random_below(rule *r, int64_t limit); /* 0 if limit <= 0 */
void effect_count(rules *all, fault_kind kind, const flow_kind *flow, int api);
/* {"faults": {name: n, for every kind}, "by": [{"fault", "client", "broker", "api", "count"}]} */
json_t *effects_to_json(const rules *all);
/* A list of names in an order: absent or "*" is all of them. */
bool mask_read(names *known, const json_t *order, const char *word, uint64_t *ret_mask, bt_err *err) BT_MUST_CHECK;

#endif
