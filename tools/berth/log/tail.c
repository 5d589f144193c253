/* tail - `berth log tail`: the records of a log as they lie there, decoded, each with whether it counts and why not. */
#include "core/digest.h"
#include "core/memory.h"
#include "core/schema.h"
#include "core/utf8.h"
#include "tools/berth/log/walk.h"

#include <stdio.h>

#define LIMIT_MAX 100000
#define KEY_SHOWN_MAX 1024

typedef struct tail_options {
    cli_common common;
    const char *topic;
    int64_t partition, from, limit;
    bool follow;
} tail_options;

#define AT(field) offsetof(tail_options, field)

static const bt_setting SETTINGS[] = {
    { "topic", BT_SETTING_STR, AT(topic), "berth.trip", "the log" },
    { "partition", BT_SETTING_I64, AT(partition), "-1", "one partition; -1: all", .min = -1, .max = 1023 },
    { "from", BT_SETTING_I64, AT(from), "-1", "first offset to show; -1: the last --limit records", .min = -1, .max = INT64_MAX },
    { "limit", BT_SETTING_I64, AT(limit), "10", "records to show of each partition; with --follow, only of what is there already", .min = 0, .max = LIMIT_MAX },
    { "follow", BT_SETTING_BOOL, AT(follow), "false", "go on with what is appended, until interrupted" },
};

typedef struct line {
    char *text;
} line;

/* The last lines of a partition, when only its end is wanted: a ring. */
typedef struct ring {
    line *lines;
    int64_t count;
} ring;

typedef struct tailing {
    const tail_options *options;
    ring rings[WALK_PARTITIONS_MAX];
    int64_t shown[WALK_PARTITIONS_MAX];
    const walk_result *result;
    bt_arena arena;
    bt_buf out;
    int broken;
} tailing;

static void write_event(tailing *t, const walk_step *step)
{
    bt_event event;
    bt_err err;
    bt_json_i64(&t->out, "schema", (int64_t)bt_record_schema_id(step->record->value));
    if (!bt_event_decode(step->record->value, &t->arena, &event, &err)) {
        bt_json_str(&t->out, "undecoded", bt_str_of(err.message));
        return;
    }
    bt_json_str(&t->out, "event", bt_str_of(event.type->record->name));
    bt_record_to_json(event.type->record, event.data, "data", &t->out);
}

/* A void record's key may be any bytes, and JSON and terminals take only UTF-8. */
static bt_str key_shown(tailing *t, bt_str key)
{
    size_t room = key.size < KEY_SHOWN_MAX ? key.size * 3 : KEY_SHOWN_MAX * 3;
    char *text = bt_arena_take(&t->arena, room + 1);
    return (bt_str){ text, bt_utf8_scrub(key, text, room) };
}

static void write_json(tailing *t, const walk_step *step)
{
    const bt_record *record = step->record;
    bool formed = step->verdict != BT_FORWARD_VOID_MALFORMED;
    bt_json_open(&t->out, NULL, '{');
    bt_json_i64(&t->out, "partition", step->partition);
    bt_json_i64(&t->out, "offset", record->offset);
    bt_json_bool(&t->out, "valid", step->verdict == BT_FORWARD_VALID);
    if (step->verdict != BT_FORWARD_VALID)
        bt_json_str(&t->out, "void", formed ? BT_STR("parent") : BT_STR("malformed"));
    bt_json_time(&t->out, "timestamp", record->timestamp_us);
    if (formed) {
        bt_json_str(&t->out, "key", key_shown(t, record->key));
        bt_json_id(&t->out, "id", bt_record_id(record->key, record->value));
        write_event(t, step);
    } else {
        bt_json_i64(&t->out, "key_bytes", record->key.at == NULL ? -1 : (int64_t)record->key.size);
        bt_json_i64(&t->out, "value_bytes", record->value.at == NULL ? -1 : (int64_t)record->value.size);
    }
    bt_json_close(&t->out, '}');
}

static void write_text(tailing *t, const walk_step *step)
{
    const bt_record *record = step->record;
    char time[BT_TIME_TEXT_MAX];
    size_t time_size = bt_time_to_text(record->timestamp_us, time);
    bt_buf_printf(&t->out, "%d@%lld  %.*s  ", step->partition, (long long)record->offset, (int)time_size, time);
    if (step->verdict != BT_FORWARD_VALID)
        bt_buf_printf(&t->out, "[%s]  ", walk_verdict_text(step->verdict));
    if (step->verdict == BT_FORWARD_VOID_MALFORMED) {
        bt_buf_printf(&t->out, "key of %zu bytes, value of %zu", record->key.size, record->value.size);
        return;
    }
    bt_event event;
    bt_err err;
    bt_buf_str(&t->out, key_shown(t, record->key));
    if (!bt_event_decode(record->value, &t->arena, &event, &err)) {
        bt_buf_printf(&t->out, "  undecoded: %s", err.message);
        return;
    }
    bt_buf_printf(&t->out, "  %s ", event.type->record->name);
    t->out.needs_comma = false;
    bt_record_to_json(event.type->record, event.data, NULL, &t->out);
}

/* Keys and strings may hold anything; a terminal must not be told to do things by them. */
static void make_printable(bt_buf *text)
{
    for (size_t i = 0; i < text->size; i++) {
        if (text->at[i] < 0x20 || text->at[i] == 0x7f)
            text->at[i] = '?';
    }
}

static void render(tailing *t, const walk_step *step)
{
    bt_arena_reset(&t->arena);
    bt_buf_reset(&t->out);
    if (t->options->common.json)
        write_json(t, step);
    else
        write_text(t, step);
    make_printable(&t->out);
}

static void print_now(tailing *t)
{
    printf("%.*s\n", BT_STR_ARG(bt_buf_view(&t->out)));
    if (t->options->follow)
        fflush(stdout);
}

static void keep(tailing *t, int32_t partition)
{
    ring *kept = &t->rings[partition];
    if (kept->lines == NULL)
        kept->lines = bt_alloc((size_t)t->options->limit * sizeof *kept->lines);
    line *place = &kept->lines[kept->count++ % t->options->limit];
    bt_release(place->text);
    place->text = bt_alloc(t->out.size + 1);
    memcpy(place->text, t->out.at, t->out.size);
}

static void print_kept(tailing *t, int32_t partition)
{
    ring *kept = &t->rings[partition];
    int64_t size = kept->count < t->options->limit ? kept->count : t->options->limit;
    for (int64_t i = 0; i < size; i++) {
        line *place = &kept->lines[(kept->count - size + i) % t->options->limit];
        printf("%s\n", place->text);
        bt_release(place->text);
    }
    bt_release(kept->lines);
    *kept = (ring){ 0 };
    fflush(stdout);
}

static void on_record(void *context, const walk_step *step)
{
    tailing *t = context;
    int32_t partition = step->partition;
    bool was_there = step->record->offset < t->result->end[partition];
    bool last = step->record->offset == t->result->end[partition] - 1;
    if (t->options->from >= 0 && (step->record->offset < t->options->from || (was_there && t->shown[partition] >= t->options->limit)))
        return;
    bool near_end = was_there && t->result->end[partition] - step->record->offset <= t->options->limit;
    if (t->options->from >= 0 || !was_there || near_end) {
        render(t, step);
        t->shown[partition]++;
        if (t->options->from >= 0 || !was_there)
            print_now(t);
        else
            keep(t, partition);
    }
    if (last && t->options->from < 0)
        print_kept(t, partition);
}

static void on_broken(void *context, int32_t partition, int64_t offset, const char *why)
{
    tailing *t = context;
    fprintf(stderr, "berth: partition %d stops at offset %lld: %s\n", partition, (long long)offset, why);
    t->broken++;
}

static int run_tail(const cli_call *call)
{
    const tail_options *options = call->options;
    walk_options walked = { .topic = options->topic, .partition = (int32_t)options->partition, .follow = options->follow, .label = options->follow ? NULL : "reading" };
    tailing *t = bt_alloc(sizeof *t);
    walk_result *result = bt_alloc(sizeof *result);
    t->options = options;
    t->result = result;
    bt_arena_init(&t->arena, 0);
    bt_buf_init(&t->out, 16 << 20);
    bt_err err;
    bool ok = walk(call, &walked, &(walk_outputs){ t, on_record, on_broken }, result, &err);
    int status = !ok ? cli_fail(&err) : t->broken > 0 ? CLI_FOUND : CLI_OK;
    for (int32_t partition = 0; partition < result->partition_count; partition++) {
        if (t->rings[partition].lines != NULL)
            print_kept(t, partition);
    }
    bt_buf_release(&t->out);
    bt_arena_release(&t->arena);
    bt_release(t);
    bt_release(result);
    return status;
}

const cli_verb log_tail_verb = {
    .group = "log",
    .name = "tail",
    .words = "",
    .about = "show the records of a log, decoded, and which of them count",
    .help = "A record counts if its parent is the last one that counted before it; the others are void: they lost a race, or are\n"
            "duplicates, and no reader applies them. To know that, the partition is folded from its start, so a long one takes a while.\n\n"
            "  berth log tail                                          the last ten of each partition\n"
            "  berth log tail --follow --limit 0                       what is appended from now on\n"
            "  berth log tail --partition 2 --from 1042 --limit 1      one record\n"
            "  berth log tail --follow --json | jq 'select(.valid) | .event'\n\n"
            "Exit status 0: shown; 1: a partition could not be read to its end; 3: no broker answered.\n",
    .needs_kafka = true,
    .options_size = sizeof(tail_options),
    .settings = SETTINGS,
    .setting_count = BT_COUNT_OF(SETTINGS),
    .run = run_tail,
};
