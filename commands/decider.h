/* decider - what a kind of stream must offer to be decided by an owner: the one seam between commands/owner and
 * commands/<kind>. Both sides are pure: no I/O, clock, thread or randomness. Adding a kind means filling one of these.
 *
 * Life of a command: HTTP decodes it into a bt_command; the owner of its partition calls decide on the folded state
 * (its own appends in flight included); an accepted command yields one event, which the owner completes (meta), folds
 * with evolve under an undo frame, and appends; when the record is proved, render makes the answer from the event. */
#ifndef BERTH_COMMANDS_DECIDER_H
#define BERTH_COMMANDS_DECIDER_H

#include "core/digest.h"
#include "core/schema.h"
#include "core/undo.h"

/* A decoded command and what came with it. All borrowed; lives until it is answered. */
typedef struct bt_command {
    const bt_message_type *type; /* of schemas/<kind>/commands */
    const void *data;            /* the struct of its type */
    bt_str stream;               /* stream id: the record's key */
    bt_id target;                /* the hold or booking in the path; zero if none */
    bool has_if_match;
    int64_t if_match;            /* version of the stream that the client has seen */
    bt_id key_digest;            /* digest of (tenant, principal, type, stream, key); new ids derive from it */
    bt_id body_digest;
    bt_str actor;
    bt_str traceparent;          /* of the request, for those who read the topic; not decided on, not in the event; empty: none */
} bt_command;

/* Verdicts below BT_VERDICT_REFUSED are good news. A kind's own refusals start there: its enum continues from it. */
enum {
    BT_VERDICT_ACCEPTED = 0, /* event is to be appended */
    BT_VERDICT_ALREADY = 1,  /* already so: nothing to append; event (not to be appended) is what render answers from */
    BT_VERDICT_REFUSED = 16, /* from here on: nothing to append, the client is told why */
};

/* How a verdict is told to a client. One row a verdict, in the kind's own table, served in the OpenAPI document too. */
typedef struct bt_verdict_info {
    int32_t verdict;
    int32_t http_status;
    const char *type;   /* stable, greppable: seat-taken */
    const char *title;  /* for people; the same for every occurrence */
    const char *remedy; /* what to do */
} bt_verdict_info;

/* What decide gives back. The arena or the command holds all it points to, nothing the state does. */
typedef struct bt_decision {
    int32_t verdict;
    bt_event event;  /* data set for ACCEPTED and ALREADY; meta is the owner's to fill */
    bt_str detail;   /* of a refusal: this occurrence, naming the thing; may be empty */
    bt_str field;    /* of a refusal that blames a field: its JSON pointer, as /seats/0/seat; may be empty */
    bt_str members;  /* further members of the problem document, as ready JSON: "taken":[...],"free":3 ; may be empty */
} bt_decision;

typedef struct bt_decider {
    const char *kind;                              /* trip; topic berth.trip */
    const bt_message_type *const *events;          /* by enum index */
    size_t event_count;
    const bt_verdict_info *verdicts;
    size_t verdict_count;
    int32_t ended_verdict; /* for a stream that has left memory: see ends_at */

    /* A new stream's state, before its first event. settings: the kind's own, constant while the program runs. */
    void *(*state_new)(bt_undo *undo);
    void (*state_free)(void *state, bt_undo *undo);

    /* What can be said of a command without any state or time: shapes and ranges. False, with the refusal, if it is
     * wrong. Any thread, so that a worker may refuse before anything is queued; decide checks it again all the same. */
    bool (*check)(const bt_command *command, const void *settings, bt_arena *arena, bt_decision *ret_decision);

    /* now_us is log time, already monotonic. state is never NULL: an unborn stream has the state of state_new.
     * Never changes state. */
    void (*decide)(const void *state, const bt_command *command, int64_t now_us, const void *settings, bt_arena *arena, bt_decision *ret_decision);

    /* Folds a valid event; saves in undo all that it overwrites. False (BT_ERR_FATAL): the event contradicts the state,
     * which is left as it was: the stream stops. Also checks meta.version. */
    bool (*evolve)(void *state, bt_event event, bt_undo *undo, bt_err *err);

    int64_t (*version)(const void *state); /* 0 for an unborn stream */

    /* The earliest time at which the stream itself must decide something; INT64_MAX: none. */
    int64_t (*next_deadline)(const void *state);
    /* The next event that is due at now_us, or a decision with event.data NULL when none is. Called until none. */
    void (*decide_due)(const void *state, bt_str stream, int64_t now_us, bt_arena *arena, bt_decision *ret_decision);

    /* From this time on the stream may leave memory, for good; commands get the kind's "ended" refusal. INT64_MAX: never. */
    int64_t (*ends_at)(const void *state);

    /* The body of a 201 (or 200) as JSON object members, from the event and the part of state that never changes: the
     * same record gives the same bytes, today and after a takeover. Called with the stream's state. */
    void (*render)(const void *state, bt_str stream, bt_event event, bt_buf *out);

    /* Snapshot of one stream: self-contained bytes, equal for equal states. load checks all it reads. */
    void (*save)(const void *state, bt_buf *out);
    void *(*load)(bt_bytes saved, bt_err *err);

    /* Feeds the state into a digest, field by field, in an order that does not depend on history; docs/state-digest.md
     * describes it so that another program can compute the same. */
    void (*digest)(const void *state, bt_digest *digest);
} bt_decider;

#endif
