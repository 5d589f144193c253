/* verify - `berth log verify`: whether a log is what Berth would have written. `berth log stats`: what is in it.
 *
 * Checked for each partition: offsets are dense from 0; the first valid record is LogOpened and tells of this topic, partition and
 * number of partitions, and no other one is; every valid record decodes, carries the next version of its stream, does not go back in
 * time, and lies in the partition of its key; what an OwnerTookOver or a LossAccepted says of the position that its writer had proved is so.
 * An accepted loss is no violation, for the log is whole without what it gives up; it is shown.
 * Void records are counted by cause and are no violation: they are how the rule works. */
#include "core/memory.h"
#include "core/schema.h"
#include "schemas/log.h"
#include "tools/berth/log/versions.h"
#include "tools/berth/log/walk.h"

#include <stdarg.h>
#include <stdio.h>

#define POSITIONS_MAX 65536 /* how far back an OwnerTookOver's position can be checked */
#define SHOWN_MAX 20        /* violations that are printed */
#define TYPES_MAX 256
#define LOSSES_MAX 100      /* that are shown */

typedef struct verify_options {
    cli_common common;
    const char *topic;
    int64_t partition;
} verify_options;

#define AT(field) offsetof(verify_options, field)

static const bt_setting SETTINGS[] = {
    { "topic", BT_SETTING_STR, AT(topic), "berth.trip", "the log" },
    { "partition", BT_SETTING_I64, AT(partition), "-1", "one partition; -1: all", .min = -1, .max = 1023 },
};

typedef struct position {
    int64_t next_offset, height;
    bt_id head;
} position;

typedef struct partition_state {
    versions streams;
    position *positions; /* a ring by offset */
    int64_t valid, void_parent, void_malformed, bytes, took_over, unchecked_positions;
    int64_t last_time_us;
    int32_t partition_count; /* as LogOpened tells it; 0 before */
} partition_state;

typedef struct verifying {
    const verify_options *options;
    const walk_result *result;
    bool strict; /* verify; else stats, which only counts */
    partition_state *partitions[WALK_PARTITIONS_MAX];
    struct {
        const char *name;
        int64_t count, bytes;
    } types[TYPES_MAX];
    size_t type_count;
    struct {
        int32_t partition;
        int64_t offset, from, to;
        bt_str actor, reason;
    } losses[LOSSES_MAX];
    size_t loss_count;
    bt_arena kept; /* the texts of losses */
    int64_t violations;
    bt_arena arena;
} verifying;

static void violation(verifying *v, int32_t partition, int64_t offset, const char *format, ...) BT_PRINTF(4, 5);
static void violation(verifying *v, int32_t partition, int64_t offset, const char *format, ...)
{
    if (++v->violations > SHOWN_MAX || !v->strict)
        return;
    char why[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    if (!v->options->common.json) {
        printf("violation at %d@%lld: %s\n", partition, (long long)offset, why);
        return;
    }
    bt_buf out;
    bt_buf_init(&out, 4096);
    bt_json_open(&out, NULL, '{');
    bt_json_str(&out, "violation", bt_str_of(why));
    bt_json_i64(&out, "partition", partition);
    bt_json_i64(&out, "offset", offset);
    bt_json_close(&out, '}');
    printf("%.*s\n", BT_STR_ARG(bt_buf_view(&out)));
    bt_buf_release(&out);
}

static partition_state *state_of(verifying *v, int32_t partition)
{
    if (v->partitions[partition] == NULL) {
        partition_state *state = v->partitions[partition] = bt_alloc(sizeof *state);
        state->positions = bt_alloc(POSITIONS_MAX * sizeof *state->positions);
        versions_init(&state->streams);
    }
    return v->partitions[partition];
}

static void count_type(verifying *v, const char *name, size_t bytes)
{
    size_t i = 0;
    while (i < v->type_count && v->types[i].name != name)
        i++;
    if (i == TYPES_MAX)
        return;
    v->types[i].name = name;
    v->type_count += i == v->type_count;
    v->types[i].count++;
    v->types[i].bytes += (int64_t)bytes;
}

static void check_opened(verifying *v, const walk_step *step, const struct log_opened *opened)
{
    state_of(v, step->partition)->partition_count = opened->partition_count;
    if (!bt_str_is(opened->topic, v->options->topic) || opened->partition != step->partition || opened->partition_count != v->result->partition_count)
        violation(v, step->partition, step->record->offset, "LogOpened tells of partition %d of %d of %.*s; this is partition %d of %d of %s", opened->partition,
            opened->partition_count, BT_STR_ARG(opened->topic), step->partition, v->result->partition_count, v->options->topic);
}

static void check_took_over(verifying *v, const walk_step *step, const struct log_owner_took_over *event)
{
    partition_state *state = state_of(v, step->partition);
    state->took_over++;
    const position *then = &state->positions[(uint64_t)event->proved_offset % POSITIONS_MAX];
    if (event->proved_offset > 0 && then->next_offset != event->proved_offset) {
        if (event->proved_offset > step->record->offset)
            violation(v, step->partition, step->record->offset, "OwnerTookOver claims to have proved up to offset %lld, which comes after it", (long long)event->proved_offset);
        state->unchecked_positions++;
        return;
    }
    bool same = event->proved_offset == 0 ? event->proved_height == 0 && bt_id_is_zero(event->proved_head)
                                          : then->height == event->proved_height && bt_id_equal(then->head, event->proved_head);
    if (event->proved_offset < 0 || !same)
        violation(v, step->partition, step->record->offset, "OwnerTookOver by %.*s had proved another head at offset %lld: it saw a log that is no more",
            BT_STR_ARG(event->node), (long long)event->proved_offset);
}

static void check_loss(verifying *v, const walk_step *step, const struct log_loss_accepted *event)
{
    int64_t offset = step->record->offset;
    if (v->loss_count < LOSSES_MAX) {
        v->losses[v->loss_count].partition = step->partition;
        v->losses[v->loss_count].offset = offset;
        v->losses[v->loss_count].from = event->lost_from;
        v->losses[v->loss_count].to = event->lost_to;
        v->losses[v->loss_count].actor = bt_arena_copy(&v->kept, event->meta.actor);
        v->losses[v->loss_count++].reason = bt_arena_copy(&v->kept, event->reason);
    }
    if (event->lost_from >= event->lost_to || event->proved_offset > offset || event->proved_height != step->at->height - 1)
        violation(v, step->partition, offset, "LossAccepted gives up offsets %lld to %lld, and its writer had proved %lld valid records before offset %lld: it saw another log",
            (long long)event->lost_from, (long long)event->lost_to - 1, (long long)event->proved_height, (long long)event->proved_offset);
}

static void check_log_event(verifying *v, const walk_step *step, bt_event event)
{
    if (event.type == &log_opened_message && step->at->height == 1)
        check_opened(v, step, event.data);
    else if (event.type == &log_opened_message)
        violation(v, step->partition, step->record->offset, "a second LogOpened");
    else if (event.type == &log_owner_took_over_message)
        check_took_over(v, step, event.data);
    else if (event.type == &log_loss_accepted_message)
        check_loss(v, step, event.data);
}

static void check_place(verifying *v, const walk_step *step, const bt_meta *meta)
{
    partition_state *state = state_of(v, step->partition);
    const bt_record *record = step->record;
    int32_t count = state->partition_count > 0 ? state->partition_count : v->result->partition_count; /* the topic may have grown since */
    int32_t home = bt_str_is(record->key, BT_LOG_KEY) ? step->partition : bt_partition_of(record->key, count);
    if (home != step->partition)
        violation(v, step->partition, record->offset, "stream %.*s belongs into partition %d", BT_STR_ARG(record->key), home);
    if (meta->time < state->last_time_us)
        violation(v, step->partition, record->offset, "its time is %.3f s before that of the valid record before it", (double)(state->last_time_us - meta->time) / 1e6);
    state->last_time_us = meta->time > state->last_time_us ? meta->time : state->last_time_us;
    int64_t expected = versions_next(&state->streams, record->key);
    if (meta->version != expected)
        violation(v, step->partition, record->offset, "stream %.*s goes to version %lld, and %lld is due", BT_STR_ARG(record->key), (long long)meta->version, (long long)expected);
}

static void check_valid(verifying *v, const walk_step *step)
{
    bt_event event;
    bt_err err;
    bt_arena_reset(&v->arena);
    bool decoded = bt_event_decode(step->record->value, &v->arena, &event, &err);
    count_type(v, decoded ? event.type->record->name : "(undecoded)", step->record->value.size);
    if (step->at->height == 1 && (!decoded || event.type != &log_opened_message))
        violation(v, step->partition, step->record->offset, "the first valid record is not LogOpened");
    if (!decoded) {
        violation(v, step->partition, step->record->offset, "it cannot be decoded: %s", err.message);
        return;
    }
    check_place(v, step, bt_event_meta(event));
    check_log_event(v, step, event);
}

static void on_record(void *context, const walk_step *step)
{
    verifying *v = context;
    partition_state *state = state_of(v, step->partition);
    state->bytes += (int64_t)(step->record->key.size + step->record->value.size);
    state->valid += step->verdict == BT_FORWARD_VALID;
    state->void_parent += step->verdict == BT_FORWARD_VOID_PARENT;
    state->void_malformed += step->verdict == BT_FORWARD_VOID_MALFORMED;
    if (step->verdict == BT_FORWARD_VALID)
        check_valid(v, step);
    state->positions[step->at->next_offset % POSITIONS_MAX] = (position){ step->at->next_offset, step->at->height, step->at->head };
}

static void on_broken(void *context, int32_t partition, int64_t offset, const char *why)
{
    violation(context, partition, offset, "%s", why);
}

/* --- answers --- */

static void write_partition(const verifying *v, int32_t partition, bt_buf *out)
{
    static const partition_state EMPTY;
    const partition_state *state = v->partitions[partition] != NULL ? v->partitions[partition] : &EMPTY;
    bt_json_open(out, NULL, '{');
    bt_json_i64(out, "partition", partition);
    bt_json_i64(out, "next_offset", v->result->at[partition].next_offset);
    bt_json_i64(out, "valid", state->valid);
    bt_json_i64(out, "void_parent", state->void_parent);
    bt_json_i64(out, "void_malformed", state->void_malformed);
    bt_json_i64(out, "bytes", state->bytes);
    bt_json_i64(out, "streams", state->streams.count);
    bt_json_i64(out, "takeovers", state->took_over);
    bt_json_i64(out, "unchecked_positions", state->unchecked_positions);
    bt_json_id(out, "head", v->result->at[partition].head);
    bt_json_time(out, "log_time", v->result->at[partition].time_us);
    bt_json_close(out, '}');
}

static void write_losses(const verifying *v, bt_buf *out)
{
    bt_json_open(out, "losses", '[');
    for (size_t i = 0; i < v->loss_count; i++) {
        bt_json_open(out, NULL, '{');
        bt_json_i64(out, "partition", v->losses[i].partition);
        bt_json_i64(out, "offset", v->losses[i].offset);
        bt_json_i64(out, "lost_from", v->losses[i].from);
        bt_json_i64(out, "lost_to", v->losses[i].to);
        bt_json_str(out, "actor", v->losses[i].actor);
        bt_json_str(out, "reason", v->losses[i].reason);
        bt_json_close(out, '}');
    }
    bt_json_close(out, ']');
}

static void print_json(const verifying *v)
{
    bt_buf out;
    bt_buf_init(&out, 16 << 20);
    bt_json_open(&out, NULL, '{');
    bt_json_str(&out, "topic", bt_str_of(v->options->topic));
    if (v->strict) {
        bt_json_bool(&out, "good", v->violations == 0 && v->result->complete);
        bt_json_i64(&out, "violations", v->violations);
    }
    bt_json_open(&out, "partitions", '[');
    for (int32_t i = 0; i < v->result->partition_count; i++)
        write_partition(v, i, &out);
    bt_json_close(&out, ']');
    write_losses(v, &out);
    bt_json_open(&out, "events", '{');
    for (size_t i = 0; i < v->type_count; i++)
        bt_json_i64(&out, v->types[i].name, v->types[i].count);
    bt_json_close(&out, '}');
    bt_json_close(&out, '}');
    printf("%.*s\n", BT_STR_ARG(bt_buf_view(&out)));
    bt_buf_release(&out);
}

static void print_text(const verifying *v)
{
    printf("partition      valid   void: parent   malformed    streams        bytes  head\n");
    for (int32_t i = 0; i < v->result->partition_count; i++) {
        const partition_state *state = v->partitions[i];
        char head[BT_ID_HEX_SIZE];
        bt_id_to_hex(v->result->at[i].head, head);
        if (state != NULL)
            printf("%9d %10lld %14lld %11lld %10lld %12lld  %.8s\n", i, (long long)state->valid, (long long)state->void_parent, (long long)state->void_malformed,
                (long long)state->streams.count, (long long)state->bytes, head);
    }
    for (size_t i = 0; i < v->type_count; i++)
        printf("%10lld %s, %.0f bytes each\n", (long long)v->types[i].count, v->types[i].name, (double)v->types[i].bytes / (double)v->types[i].count);
    for (size_t i = 0; i < v->loss_count; i++)
        printf("partition %d: offsets %lld to %lld were lost, and given up at offset %lld by " BT_STR_FMT ": " BT_STR_FMT "\n", v->losses[i].partition, (long long)v->losses[i].from,
            (long long)v->losses[i].to - 1, (long long)v->losses[i].offset, BT_STR_ARG(v->losses[i].actor), BT_STR_ARG(v->losses[i].reason));
    if (!v->strict)
        return;
    if (v->violations > SHOWN_MAX)
        printf("... and %lld more violations\n", (long long)(v->violations - SHOWN_MAX));
    if (!v->result->complete)
        printf("not read to the end\n");
    printf("%s\n", v->violations == 0 && v->result->complete ? "the log is good" : "THE LOG IS NOT GOOD");
}

static void release(verifying *v)
{
    for (int32_t i = 0; i < WALK_PARTITIONS_MAX; i++) {
        if (v->partitions[i] == NULL)
            continue;
        versions_release(&v->partitions[i]->streams);
        bt_release(v->partitions[i]->positions);
        bt_release(v->partitions[i]);
    }
    bt_arena_release(&v->arena);
    bt_arena_release(&v->kept);
    bt_release(v);
}

static int run(const cli_call *call, bool strict)
{
    const verify_options *options = call->options;
    walk_result *result = bt_alloc(sizeof *result);
    verifying *v = bt_alloc(sizeof *v);
    v->options = options;
    v->result = result;
    v->strict = strict;
    bt_arena_init(&v->arena, 0);
    bt_arena_init(&v->kept, 0);
    walk_options walked = { .topic = options->topic, .partition = (int32_t)options->partition, .label = strict ? "verifying" : "counting" };
    bt_err err;
    int status = CLI_OK;
    if (!walk(call, &walked, &(walk_outputs){ v, on_record, on_broken }, result, &err)) {
        status = cli_fail(&err);
    } else {
        if (options->common.json)
            print_json(v);
        else
            print_text(v);
        status = strict && (v->violations > 0 || !result->complete) ? CLI_FOUND : CLI_OK;
    }
    release(v);
    bt_release(result);
    return status;
}

static int run_verify(const cli_call *call) { return run(call, true); }
static int run_stats(const cli_call *call) { return run(call, false); }

const cli_verb log_verify_verb = {
    .group = "log",
    .name = "verify",
    .words = "",
    .about = "check a log from its first record: chain, offsets, versions, times, decoding",
    .help = "Void records are counted, and are no violation: they lost a race, and every reader leaves them out alike. What is one: a gap in\n"
            "the offsets, a log that begins otherwise than it should, an event that cannot be read, a stream's version or time that goes\n"
            "wrong, an owner that had proved another log than this.\n\n"
            "  berth log verify\n"
            "  berth log verify --partition 3 --json | tail -n 1 | jq .good\n\n"
            "Exit status 0: the log is good; 1: it is not, or was not read to its end; 3: no broker answered.\n",
    .needs_kafka = true,
    .options_size = sizeof(verify_options),
    .settings = SETTINGS,
    .setting_count = BT_COUNT_OF(SETTINGS),
    .run = run_verify,
};

const cli_verb log_stats_verb = {
    .group = "log",
    .name = "stats",
    .words = "",
    .about = "count what is in a log: valid and void records, streams, events by type",
    .help = "  berth log stats\n"
            "  berth log stats --json | jq .events\n",
    .needs_kafka = true,
    .options_size = sizeof(verify_options),
    .settings = SETTINGS,
    .setting_count = BT_COUNT_OF(SETTINGS),
    .run = run_stats,
};
