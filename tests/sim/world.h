/* world - what the owners of the simulation live in: one partition of a log, a network, clocks, disks and clients, all
 * from one seed and in one thread.
 *
 * The log appends in two steps, as Kafka's does: a record stands at the log's end, and counts once the high watermark
 * is past it; at a change of leader the part above is cut off. A cut-off leader still answers reads and ends for one
 * node, up to where it was. Appends are dropped, doubled, reordered and late; reports lost, late, without an offset or
 * with a false one. Two or three nodes believe that they own the partition, crash, and restart with no, an old, a torn
 * or a good snapshot. In some runs acknowledged records are lost, and an operator accepts that (operator.c). What a run must satisfy is in check.c. */
#ifndef BERTH_TESTS_SIM_WORLD_H
#define BERTH_TESTS_SIM_WORLD_H

#include "commands/owner/owner.h"
#include "core/digest.h"
#include "core/memory.h"
#include "tests/sim/toy.h"

#define NODES_MAX 3
#define LOG_MAX 6000
#define NET_MAX 6000
#define REPORTS_MAX 6000
#define CALLS_MAX 120
#define FETCHES_MAX 64
#define STREAMS 2
#define SEATS 2 /* few, so that they are fought for */

typedef struct sim_packet {
    bt_str key;
    bt_bytes value;
    bt_id id;
    bt_id command;
    int32_t node;
} sim_packet;

typedef struct sent {
    const sim_packet *packet;
    int32_t node;
    uint32_t incarnation;
    uint64_t generation, attempt;
    bt_append_result result; /* of a report, with its offset */
    int64_t offset;
} sent;

typedef struct fetch {
    uint64_t request;
    int64_t offset;
} fetch;

struct sim_world;

typedef struct sim_node {
    struct sim_world *world;
    int32_t index;
    bt_owner *owner;
    uint32_t incarnation;
    int64_t clock_skew_us;
    int64_t cut_off_at; /* what its leader still shows; -1: it talks to the real one */
    int64_t read_at;
    uint64_t end_request;
    int64_t end_value; /* what the request saw, before it is answered; -1: it was not evaluated yet */
    fetch fetches[FETCHES_MAX];
    size_t fetch_count;
    sent reports[REPORTS_MAX];
    size_t report_count;
    bt_buf snapshots[2]; /* the newest first */
    bool crashing;       /* its answers reach nobody */
    bool read_only;      /* it said so: an alarm of the log's */
    bool skipped;        /* its last read left a record out */
    bool knew_the_lie;   /* it was told the false report, and still runs */
    bool knew_the_lost;  /* it had proved a valid record that was cut off on purpose: once it owns again, it must know */
    int64_t head_offset_at_loss;
    bt_id head_at_loss;
} sim_node;

typedef enum outcome {
    OUTCOME_NONE,    /* no answer yet */
    OUTCOME_OK,      /* accepted or repeated */
    OUTCOME_NO,      /* refused, or already so */
    OUTCOME_REUSED,
    OUTCOME_UNKNOWN, /* the client knows nothing */
    OUTCOME_NOT_APPLIED,
} outcome;

typedef struct sim_call {
    bt_command command;
    toy_command order;
    int32_t stream, node;
    char key[12];
    uint64_t invoked, responded; /* on the count of events: exact order */
    outcome outcome;
    int64_t offset; /* of an accepted record, as answered */
    bool check_void;      /* not applied, and nobody else used the key: none of these attempts may become valid */
    size_t attempts_then; /* packets made when it was answered */
} sim_call;

typedef struct sim_counts {
    uint64_t runs, steps, takeovers, voids, gaps, settled, barriers, key_hits, drops, truncations, snapshots, read_only, deadlines, resends,
        by_report, by_reading,
        yields, gave_way, warm, cold, accepted, refused, repeated, lies, losses, lost_calls, jumps, rejected, torn, acceptances, short_acceptances, losses_accepted, probes;
} sim_counts;

typedef enum operator_does {
    OPERATOR_NOTHING,
    OPERATOR_GIVES_UP_LESS, /* than was lost: nobody may take it for an acceptance of what he remembers */
    OPERATOR_ACCEPTS,
} operator_does;

typedef struct sim_world {
    uint64_t seed, random, events;
    bool verbose, mild; /* mild: few faults, so that owners get to work */
    int32_t node_count;
    sim_node nodes[NODES_MAX];
    const sim_packet *log[LOG_MAX];
    int64_t log_count, high_watermark;
    sent net[NET_MAX];
    size_t net_count;
    const sim_packet *packets[NET_MAX];
    size_t packet_count;
    sim_call calls[CALLS_MAX];
    size_t call_count;
    int64_t now_us;
    bt_arena arena;
    bt_owner_config config;
    bool quiet;        /* faults have stopped */
    bool may_lie, lied;      /* one report of this run claims an offset that follows, falsely */
    bool may_lose, lost;     /* one cut of this run goes below the high watermark */
    int64_t lost_at, log_most; /* where it was cut; the farthest end that the log ever had */
    operator_does operator_does;
    bool operator_acted;
    int64_t operator_waited; /* calls, while somebody goes on upon what was lost */
    uint64_t accepted;       /* when, on the count of events; 0: not */
    sim_counts counts;
    char violation[200];
} sim_world;

void world_begin(sim_world *world, uint64_t seed, bool verbose);
void world_step(sim_world *world);
void world_calm(sim_world *world); /* faults stop: everything must be answered, and a new command accepted */
void world_end(sim_world *world);
/* The first broken promise of the run; empty: none. */
void world_check(sim_world *world);
void world_violates(sim_world *world, const char *format, ...) BT_PRINTF(2, 3);

void world_restart(sim_world *world, sim_node *node);

/* operator.c */
bool world_operator_is_due(const sim_world *world);
void world_operator_acts(sim_world *world); /* if it is due, and all have noticed who can */

uint64_t world_random(sim_world *world);
static inline bool one_in(sim_world *world, uint64_t n) { return world_random(world) % n == 0; }
static inline bool percent(sim_world *world, uint64_t n) { return world_random(world) % 100 < n; }
static inline int64_t up_to(sim_world *world, int64_t n) { return (int64_t)(world_random(world) % (uint64_t)(n + 1)); }

/* nodes.c: what an owner's outputs mean here, and how its inputs are fed. */
void node_start(sim_world *world, sim_node *node);
void node_stop(sim_node *node); /* a crash: nobody hears its last words */
int64_t node_now(const sim_node *node);
int64_t node_limit(const sim_node *node); /* how far it may read */
void node_read(sim_node *node, int64_t count_max);
void node_answer_end(sim_node *node);
void node_answer_fetch(sim_node *node);
void node_report(sim_node *node, size_t index);
void node_save(sim_node *node);
void node_count(sim_node *node); /* its counters into the world's */
void world_note(sim_world *world, const char *format, ...) BT_PRINTF(2, 3);

#endif
