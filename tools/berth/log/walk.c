/* walk - see the header. */
#include "tools/berth/log/walk.h"

#include "core/memory.h"
#include "io/kafka/reader.h"

#include <stdio.h>

typedef struct walking {
    const walk_options *options;
    const walk_outputs *outputs;
    walk_result *result;
    bool done[WALK_PARTITIONS_MAX], jumped[WALK_PARTITIONS_MAX], reread[WALK_PARTITIONS_MAX];
    bool any_reread;
    int32_t open_count;
    int64_t read_count, total;
} walking;

const char *walk_verdict_text(bt_forward_verdict verdict)
{
    switch (verdict) {
    case BT_FORWARD_VALID:
        return "valid";
    case BT_FORWARD_VOID_PARENT:
        return "void: its parent is not the head (it lost a race, or is a duplicate)";
    case BT_FORWARD_VOID_MALFORMED:
        return "void: malformed (null key, first byte not 0, or under 21 bytes)";
    case BT_FORWARD_JUMP:
        return "records are missing";
    }
    return "";
}

static void finish(walking *w, int32_t partition)
{
    if (w->done[partition])
        return;
    w->done[partition] = true;
    w->open_count--;
}

static void break_off(walking *w, int32_t partition, int64_t offset, const char *why)
{
    w->result->complete = false;
    finish(w, partition);
    w->outputs->broken(w->outputs->context, partition, offset, why);
}

static void on_jump(walking *w, int32_t partition, const bt_record *record)
{
    if (w->jumped[partition]) {
        char why[128];
        snprintf(why, sizeof why, "offsets jump from %lld to %lld: records are missing", (long long)w->result->at[partition].next_offset - 1, (long long)record->offset);
        break_off(w, partition, w->result->at[partition].next_offset, why);
        return;
    }
    w->jumped[partition] = w->reread[partition] = w->any_reread = true;
}

static void on_records(void *context, int32_t partition, const bt_record *records, size_t count)
{
    walking *w = context;
    bt_forward *at = &w->result->at[partition];
    for (size_t i = 0; i < count && !w->done[partition]; i++) {
        walk_step step = { .partition = partition, .record = &records[i], .at = at };
        step.verdict = bt_forward_step(at, &records[i], &step.id);
        if (step.verdict == BT_FORWARD_JUMP) {
            on_jump(w, partition, &records[i]);
            return;
        }
        w->jumped[partition] = false;
        w->read_count++;
        w->outputs->record(w->outputs->context, &step);
        if (!w->options->follow && at->next_offset >= w->result->end[partition])
            finish(w, partition);
    }
}

static void on_broken(void *context, int32_t partition, const bt_err *err)
{
    walking *w = context;
    break_off(w, partition, w->result->at[partition].next_offset, err->message);
}

static bool start_one(walking *w, bt_reader *reader, int32_t partition, bt_err *err)
{
    int64_t start;
    if (!bt_reader_end_of(reader, partition, &start, &w->result->end[partition], err))
        return false;
    if (start > 0) {
        char why[128];
        snprintf(why, sizeof why, "the log begins at offset %lld: what was before is lost", (long long)start);
        w->done[partition] = false;
        w->open_count++;
        break_off(w, partition, 0, why);
        return true;
    }
    if (w->result->end[partition] == 0 && !w->options->follow)
        return true;
    w->done[partition] = false;
    w->open_count++;
    w->total += w->result->end[partition];
    return bt_reader_start(reader, partition, 0, err);
}

static bool start_all(walking *w, bt_reader *reader, const cli_call *call, bt_err *err)
{
    const cli_common *common = call->options;
    int32_t count;
    if (!bt_reader_partition_count(reader, (int)common->timeout_ms, &count, err))
        return false;
    if (count > WALK_PARTITIONS_MAX || w->options->partition >= count)
        return bt_fail(err, BT_ERR_INPUT, 0, "topic %s has %d partitions, 0 to %d", w->options->topic, count, count - 1);
    w->result->partition_count = count;
    w->result->complete = true;
    for (int32_t partition = 0; partition < count; partition++) {
        w->done[partition] = true;
        if (w->options->partition < 0 || w->options->partition == partition) {
            if (!start_one(w, reader, partition, err))
                return false;
        }
    }
    return true;
}

static bool read_again(walking *w, bt_reader *reader, bt_err *err)
{
    for (int32_t partition = 0; w->any_reread && partition < w->result->partition_count; partition++) {
        if (w->reread[partition] && !w->done[partition] && !bt_reader_start(reader, partition, w->result->at[partition].next_offset, err))
            return false;
        w->reread[partition] = false;
    }
    w->any_reread = false;
    return true;
}

static bool read_all(walking *w, bt_reader *reader, const cli_call *call, bt_err *err)
{
    cli_progress progress;
    cli_progress_start(&progress, call, w->options->label);
    const cli_common *common = call->options;
    int64_t silent_ms = 0; /* without a record, before the end: a broker that went away */
    while (w->open_count > 0 && !cli_is_stopped()) {
        size_t count = bt_reader_poll(reader, 100);
        silent_ms = count > 0 || w->options->follow ? 0 : silent_ms + 100;
        if (silent_ms > common->timeout_ms + 5000) {
            cli_progress_end(&progress);
            return bt_fail(err, BT_ERR_RETRY, 0, "nothing came from the broker for %lld s, with %lld records to go", (long long)silent_ms / 1000, (long long)(w->total - w->read_count));
        }
        if (!read_again(w, reader, err))
            return false;
        cli_progress_show(&progress, w->read_count, w->total);
    }
    cli_progress_end(&progress);
    w->result->complete &= w->open_count == 0;
    return true;
}

bool walk(const cli_call *call, const walk_options *options, const walk_outputs *outputs, walk_result *ret_result, bt_err *err)
{
    const cli_common *common = call->options;
    walking *w = bt_alloc(sizeof *w);
    *w = (walking){ .options = options, .outputs = outputs, .result = ret_result };
    memset(ret_result, 0, sizeof *ret_result);
    bt_reader_options reader_options = { .topic = options->topic, .tuning = options->follow ? BT_READER_TAIL : BT_READER_REBUILD, .end_timeout_ms = (int32_t)common->timeout_ms };
    bt_reader_outputs reader_outputs = { .context = w, .records = on_records, .broken = on_broken };
    bt_reader *reader;
    bool ok = bt_reader_new(&call->kafka, &reader_options, &reader_outputs, NULL, &reader, err);
    if (ok) {
        ok = start_all(w, reader, call, err) && read_all(w, reader, call, err);
        bt_reader_free(reader);
    }
    bt_release(w);
    return ok;
}
