/* stop_hook - counts until its record comes, and stops the process. */
#include "commands/server/stop_hook.h"

#include "core/forward.h"
#include "io/log/log.h"

#include <signal.h>

static const char *const point_names[] = { "none", "decided", "appended", "acknowledged" };

bool bt_stop_hook_init(bt_stop_hook *hook, const char *point, int64_t after)
{
    for (size_t i = 0; i < BT_COUNT_OF(point_names); i++) {
        if (strcmp(point, point_names[i]) == 0) {
            *hook = (bt_stop_hook){ .point = (bt_stop_point)i, .remaining = after };
            return true;
        }
    }
    return false;
}

/* raise() stops this thread on its way out of the call, and all others of the process with it: librdkafka's too. */
static void stop_now(bt_stop_hook *hook)
{
    const char *name = point_names[hook->point];
    hook->point = BT_STOP_NEVER;
    bt_log_warn("test.stopping", F_STR("point", name));
    raise(SIGSTOP);
    bt_log_warn("test.woken", F_STR("point", name));
}

static bool is_of_a_command(const bt_append *append)
{
    bt_meta meta;
    return bt_meta_peek(append->value, &meta) && !bt_id_is_zero(meta.command);
}

void bt_stop_hook_meet_appends(bt_stop_hook *hook, const bt_append *appends, size_t append_count)
{
    if (hook->point == BT_STOP_ACKNOWLEDGED || hook->awaiting)
        return;
    for (size_t i = 0; i < append_count; i++) {
        if (!is_of_a_command(&appends[i]) || --hook->remaining > 0)
            continue;
        if (hook->point == BT_STOP_DECIDED) {
            stop_now(hook);
        } else {
            hook->awaiting = true;
            hook->partition = appends[i].partition;
            hook->generation = appends[i].generation;
            hook->attempt = appends[i].attempt;
        }
        return;
    }
}

void bt_stop_hook_meet_reports(bt_stop_hook *hook, const bt_report *reports, size_t report_count)
{
    for (size_t i = 0; hook->awaiting && i < report_count; i++) {
        if (reports[i].partition != hook->partition || reports[i].generation != hook->generation || reports[i].attempt != hook->attempt)
            continue;
        hook->awaiting = false;
        if (reports[i].kind == BT_OK)
            stop_now(hook);
        else
            hook->remaining = 1; /* it is not known to be in the log: the next one, then */
    }
}

void bt_stop_hook_meet_answer(bt_stop_hook *hook, bt_answer_kind kind)
{
    if (kind == BT_ANSWER_ACCEPTED && --hook->remaining <= 0)
        stop_now(hook);
}
