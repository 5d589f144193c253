/* internal - the owner's whole state, and what its files offer each other. Nothing outside of commands/owner reads this.
 *
 *   owner.c    inputs, answers, phases, the timer     decide.c   commands, deadlines, barriers -> records in flight
 *   prove.c    reports, records -> proofs, folding    recover.c  restore, takeover, dropped pipelines, settling
 *   loss.c     the way out of READ_ONLY               snapshot.c save, load, digest
 *   probe.c    is an older head still in the log?
 *   keys, streams, waiting, pipeline, slab: containers */
#ifndef BERTH_COMMANDS_OWNER_INTERNAL_H
#define BERTH_COMMANDS_OWNER_INTERNAL_H

#include "commands/owner/keys.h"
#include "commands/owner/mutant.h"
#include "commands/owner/owner.h"
#include "commands/owner/pipeline.h"
#include "core/loss.h"
#include "core/memory.h"
#include "schemas/log.h"

#define JUMPS_MAX 3            /* the same jump read so often in a row is real: a record is missing */
#define LOW_ENDS_MAX 16        /* a leader that was just elected may show an old end; for some 10 s on end it is a lost suffix */
#define TAKEOVERS_LOST_MAX 5   /* takeovers lost to another node's before this one yields */
#define ASK_AGAIN_US 1000000   /* an end that was asked for and did not come */
#define BACKOFF_FIRST_US 4000
#define BACKOFF_LAST_US 1000000
#define GIVE_WAY_EVERY_US 1000000
#define COMPARE_MAX 65536      /* records proved by report and not yet read back; past it, only reading proves */
#define SWEEP_PER_RECORD 2
#define SWEEP_PER_TICK 256

/* A valid record that was folded: what a takeover's claim of what was proved is compared with. */
typedef struct mark {
    int64_t offset, height; /* height counts it */
    bt_id id;
} mark;
#define PROBES_MAX 8 /* silences with heads that nobody could read back yet; past that, the first of them are what is looked at */
#define MARKS 256 /* claims about what is older are not checked */

/* The last valid OwnerTookOver. */
typedef struct routing {
    char node[BT_NAME_MAX], address[256];
    size_t node_size, address_size;
} routing;

/* What the driver wants of this partition, also while it is READ_ONLY. */
typedef enum wish { WISH_NOTHING, WISH_FOLLOW, WISH_OWN } wish;

struct bt_owner {
    bt_owner_config config;
    bt_owner_outputs outputs;
    bt_id schemas; /* digest of the schemas that this binary understands */
    bt_owner_phase phase;
    const bt_command *appending; /* while outputs.append is called */

    int64_t now_us; /* the node's clock as last told */
    int64_t timer;  /* the sum of its steps forward: what time-outs are counted on, so that a jump back stalls none */

    /* What is proved. */
    bt_forward proved;
    int64_t last_valid_offset; /* -1: none */
    int64_t log_version;       /* of the @log stream, proved */
    bt_id log_id;
    mark marks[MARKS]; /* of the last valid records, at height % MARKS; height 0: none */
    routing routed;
    bt_loss loss;              /* the last that was accepted in what is proved; to 0: none */
    bt_keys keys;

    /* What is hoped for, on top of it. */
    bt_streams streams;
    bt_undo *undo; /* a frame a record in flight */
    bt_pipeline pipeline;
    bt_pipeline open; /* dropped, not settled; the first's parent is the proved head */
    int64_t log_version_hoped;
    uint64_t generation, attempt, batch;
    uint64_t batch_records;  /* of the last batch */
    int64_t proved_at;       /* on the timer: when its last record was proved */
    bool took_over;        /* this assignment's OwnerTookOver is proved */
    bool hollow;           /* follows without state: streams and keys are empty, heads and routing are true */
    bool caught_up;
    int64_t gives_way_until, gave_way; /* on the timer; gave_way: when it last began to */
    bool trusts_reports;   /* an own record was read back, and no error, time-out or new producer came since */

    /* Reading. */
    int64_t read_next;
    int32_t jumps;
    bool must_verify;      /* the record at last_valid_offset is to be read back and must be the head */
    bt_id *compare_ring;   /* ids proved by report, at offset & (compare_capacity - 1); from read_next to proved.next_offset */
    int64_t compare_capacity;
    uint64_t end_request;  /* the newest */
    bool end_awaited;
    int64_t end_asked, end_after; /* on the timer; end_after: not before (back-off) */
    int64_t end_target;    /* fold to here; -1: not known */
    int32_t low_ends;
    bool unreadable;       /* the reader stopped while the end was being asked for; it is told where to go on a second later */
    int64_t unreadable_at;
    uint64_t recheck_attempt; /* open since before the end was asked in OWNING; 0: none */
    int32_t conflicts;     /* pipelines dropped in a row without a proof */
    int32_t takeovers_lost;
    wish wish;
    bool searching;        /* READ_ONLY: the log is searched for a record that lets it go on */
    bt_loss_search search;
    mark probes[PROBES_MAX]; /* heads that are to be read back by their offsets, one after the other */
    size_t probe_count;
    uint64_t probe_request; /* while the first is being read; 0: it is not */
    int64_t probe_after;    /* on the timer, as what follows: not asked before */
    int64_t stirred;        /* when a record was last read or proved */
    int64_t doubted;        /* when a void record last was a reason to look */

    /* Waiting. */
    bt_waiting waiting;
    bt_link queue, held, fetching; /* held: refusals and the like that no record confirms yet */
    bt_link fetch_queue;
    int32_t fetch_count;
    uint64_t fetch_request;
    int64_t last_barrier;

    bt_slabs slabs;
    bt_link idle_flights; /* a pool, by confirms */
    bt_arena work;        /* of one decision or one record */
    bt_buf scratch, body;
    bt_owner_stats stats;
};

/* owner.c */
void owner_clock(bt_owner *owner, int64_t now_us); /* each input begins with it */
int64_t owner_log_time(const bt_owner *owner);  /* log time, what is in flight included */
int64_t owner_decide_time(const bt_owner *owner);
bt_id owner_head(const bt_owner *owner);        /* head, what is in flight included */
void owner_set_phase(bt_owner *owner, bt_owner_phase phase);
void owner_answer(bt_owner *owner, bt_waiter *waiter, bt_answer *answer); /* and forgets the waiter */
void owner_answer_plain(bt_owner *owner, bt_waiter *waiter, bt_answer_kind kind, bool not_applied);
void owner_answer_all(bt_owner *owner, bt_link *list, bt_answer_kind kind, bool not_applied);
void owner_read_only(bt_owner *owner, const char *name, const char *format, ...) BT_PRINTF(3, 4);
bool owner_phase_step_is_legal(bt_owner_phase from, bt_owner_phase to);

/* decide.c */
void owner_pump(bt_owner *owner);
void owner_requeue(bt_owner *owner, bt_link *list, bool front, bool counts); /* to be decided again */
void owner_hold(bt_owner *owner, bt_waiter *waiter);          /* its answer is ready, but for a proof */
void owner_append_log_opened(bt_owner *owner);
void owner_append_takeover(bt_owner *owner);
void owner_append_barrier(bt_owner *owner);
void owner_give_way(bt_owner *owner); /* another node wants to take over, and this one's appends were first */
void owner_resend(bt_owner *owner);
bt_flight *owner_flight_new(bt_owner *owner);
void owner_flight_free(bt_owner *owner, bt_flight *flight);
int64_t owner_barrier_due(const bt_owner *owner); /* on the timer; INT64_MAX: none */
bool owner_may_decide(const bt_owner *owner); /* OWNING: the next batch may go now */
int64_t owner_gather_until(const bt_owner *owner); /* on the timer: no batch before; INT64_MIN: at once */
void owner_start_fetches(bt_owner *owner);

/* prove.c */
void owner_mark(bt_owner *owner); /* the last valid record has just been folded */
void owner_prove_reported(bt_owner *owner);
void owner_render(bt_owner *owner, bt_stream *stream, bt_event event);

/* recover.c */
void owner_restore(bt_owner *owner);
void owner_follow(bt_owner *owner);
void owner_recover(bt_owner *owner);       /* an error or a time-out: read to the end, then append again */
void owner_roll_back(bt_owner *owner, bool settled); /* takes the pipeline back; settled: void for good, else it goes to open */
void owner_settle_open(bt_owner *owner);   /* what is open is void for good: decided again, or told so */
void owner_at_end(bt_owner *owner);        /* goes on, if what was asked for has been read */
void owner_ask_end(bt_owner *owner);
bool owner_reads_to_end(const bt_owner *owner); /* has asked for the log's end, and goes on when it is there */
void owner_take_over(bt_owner *owner);
void owner_yield(bt_owner *owner);
void owner_recover_tick(bt_owner *owner);

/* loss.c */
void owner_search_loss(bt_owner *owner);    /* from the start of the log; READ_ONLY */
void owner_search_records(bt_owner *owner, const bt_record *records, size_t record_count);
void owner_note_loss(bt_owner *owner, const struct log_loss_accepted *event);
/* A claim of what was proved in records that were given up since proves nothing against the log as it is. */
bool owner_claim_is_given_up(const bt_owner *owner, const struct log_owner_took_over *claim);

/* probe.c */
void owner_stir(bt_owner *owner);                   /* a record is about to be folded or proved */
void owner_doubt(bt_owner *owner, bt_id parent);    /* a void record names this parent */
void owner_send_probe(bt_owner *owner);             /* if one is due and there is room */
bool owner_probe_fetched(bt_owner *owner, uint64_t request, const bt_record *record); /* false: it was asked for something else */
void owner_forget_probes(bt_owner *owner);
int64_t owner_probe_due(const bt_owner *owner);     /* on the timer; INT64_MAX: none */

/* snapshot.c */
void owner_forget_proved(bt_owner *owner); /* as fresh as a new one; nothing may be in flight or open */

#endif
