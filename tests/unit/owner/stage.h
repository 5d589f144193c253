/* stage - a scripted world around one owner: a log that is a list, time that stands still, and every output noted.
 *
 * Nothing happens by itself: a test appends foreign records, delivers the log, reports appends and moves time. */
#ifndef BERTH_TESTS_UNIT_OWNER_STAGE_H
#define BERTH_TESTS_UNIT_OWNER_STAGE_H

#include "commands/owner/owner.h"
#include "core/memory.h"
#include "tests/sim/toy.h"
#include "tests/unit/test.h"

#define STAGE_MAX 512

typedef struct stage_append {
    uint64_t generation, attempt;
    bt_str key;
    bt_bytes value;
    int64_t time_us;
    int64_t landed; /* offset; -1: not in the log yet */
} stage_append;

typedef struct stage_answer {
    bool given;
    bt_answer_kind kind;
    int32_t verdict;
    bool not_applied;
    int64_t offset, version;
    char body[256], detail[128];
} stage_answer;

typedef struct stage_call {
    bt_command command;
    toy_command order;
    stage_answer answer;
} stage_call;

typedef struct stage {
    bt_owner *owner;
    bt_owner_config config;
    bt_arena arena;
    int64_t now_us;
    uint64_t random;
    stage_append appends[STAGE_MAX];
    size_t append_count;
    bt_record log[STAGE_MAX];
    size_t log_count;
    int64_t read_from; /* what the owner asked for last; -1: taken */
    int64_t delivered; /* the next offset to deliver */
    uint64_t end_request;  /* 0: none open */
    uint64_t fetch_request;
    int64_t fetch_offset;
    size_t fetches_asked; /* in all */
    char alarm[64];
    size_t alarm_count;
    stage_call calls[STAGE_MAX];
    size_t call_count;
} stage;

stage *stage_new(void); /* an idle owner of seats/0 of 1, node n1 */
void stage_free(stage *stage);
void stage_renew(stage *stage); /* a fresh owner over the same log, as after a crash */

/* Lands the append in the log, without a report. */
int64_t stage_land(stage *stage, size_t append);
void stage_report(stage *stage, size_t append, bt_append_result result, int64_t offset);
void stage_land_all(stage *stage);                 /* every append that has not landed */
void stage_land_and_report_all(stage *stage);
void stage_deliver(stage *stage);                  /* all records that the owner has not read */
void stage_answer_end(stage *stage);
void stage_answer_fetch(stage *stage);
void stage_settle(stage *stage);                   /* lands, delivers and answers until nothing moves */
void stage_own(stage *stage);                      /* assigned, and everything it takes to own */
/* A record that another writer appended. event's meta is filled but for command and body. */
int64_t stage_foreign(stage *stage, bt_id parent, int64_t version, bt_str key, bt_event event);
int64_t stage_foreign_takeover(stage *stage);      /* valid on the log as it is */
bt_id stage_log_head(const stage *stage);
bt_forward stage_fold(const stage *stage);

/* A command with this key; the answer comes later. Not decided before stage_decide. */
stage_call *stage_call_now(stage *stage, toy_op op, const char *stream, int32_t seat, const char *key);
void stage_decide(stage *stage);                   /* batch end */
void stage_pass(stage *stage, int64_t us);         /* moves time, ticks, batch end */
bt_owner_stats stage_stats(const stage *stage);
bt_id stage_key(const char *key);

#endif
