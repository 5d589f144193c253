/* stop_hook - for tests only: the deciding thread stops its own process (SIGSTOP) once, at a point named beforehand, so that a forced
 * zombie is no matter of luck. What a stop at each point means for the record at which it happens:
 *
 *   decided       decided and folded, not yet with the producer: the log does not have it. If another node takes over meanwhile, it is
 *                 appended when the process wakes up, and is void.
 *   appended      the log has it and the producer was told so, but the owner was not: valid, and nobody on this node knows.
 *   acknowledged  proved valid, and its client has not been told.
 *
 * stop_after counts records that commands of clients make; those of the log itself, and holds that run out, do not count, for when they
 * come is luck. The process stops at the round in which the count is reached. Off, it costs one predictable branch at each place. The settings
 * that turn it on (test.stop_at, test.stop_after) are refused unless BERTH_TEST_HOOKS=1 is in the environment. Whoever has the node's turn only. */
#ifndef BERTH_COMMANDS_SERVER_STOP_HOOK_H
#define BERTH_COMMANDS_SERVER_STOP_HOOK_H

#include "commands/owner/owner.h"
#include "io/kafka/producer.h"

typedef enum bt_stop_point { BT_STOP_NEVER, BT_STOP_DECIDED, BT_STOP_APPENDED, BT_STOP_ACKNOWLEDGED } bt_stop_point;

typedef struct bt_stop_hook {
    bt_stop_point point; /* BT_STOP_NEVER once it has stopped */
    int64_t remaining;   /* records until then */
    bool awaiting;       /* APPENDED: the record is on its way, and its report is what stops */
    int32_t partition;
    uint64_t generation, attempt;
} bt_stop_hook;

/* "none", "decided", "appended", "acknowledged"; after: the how manyth record, from 1. False for another text. */
bool bt_stop_hook_init(bt_stop_hook *hook, const char *point, int64_t after) BT_MUST_CHECK;

void bt_stop_hook_meet_appends(bt_stop_hook *hook, const bt_append *appends, size_t append_count);
void bt_stop_hook_meet_reports(bt_stop_hook *hook, const bt_report *reports, size_t report_count);
void bt_stop_hook_meet_answer(bt_stop_hook *hook, bt_answer_kind kind);

/* Before the round's appends go to the producer; before its reports go to the owners; before an answer goes to its client. */
static inline void bt_stop_hook_on_appends(bt_stop_hook *hook, const bt_append *appends, size_t append_count)
{
    if (__builtin_expect(hook->point != BT_STOP_NEVER, false))
        bt_stop_hook_meet_appends(hook, appends, append_count);
}

static inline void bt_stop_hook_on_reports(bt_stop_hook *hook, const bt_report *reports, size_t report_count)
{
    if (__builtin_expect(hook->point == BT_STOP_APPENDED, false))
        bt_stop_hook_meet_reports(hook, reports, report_count);
}

static inline void bt_stop_hook_on_answer(bt_stop_hook *hook, bt_answer_kind kind)
{
    if (__builtin_expect(hook->point == BT_STOP_ACKNOWLEDGED, false))
        bt_stop_hook_meet_answer(hook, kind);
}

#endif
