/* replay - `berth replay --to-nowhere`: folds a log into the states of its streams, as an owner that restores does, and throws
 * them away. For two things: how fast a log folds here, and a digest of the state by which two readers can be compared.
 *
 * The digest of a partition is that of an owner (commands/owner): streams in order of their ids, those that are over left out.
 * Each kind is folded by its own decider's evolve, on a second thread (folder.h); events of the log itself (key @log) fold into no stream. */
#include "core/memory.h"
#include "io/clock/clock.h"
#include "schemas/deciders.h"
#include "tools/berth/log/walk.h"
#include "tools/berth/replay/folder.h"

#include <stdio.h>

_Static_assert(FOLDER_PARTITIONS_MAX >= WALK_PARTITIONS_MAX, "what is walked is folded");

typedef struct replay_options {
    cli_common common;
    const char *topic;
    int64_t partition;
    bool to_nowhere, digest;
} replay_options;

#define AT(field) offsetof(replay_options, field)

static const bt_setting SETTINGS[] = {
    { "topic", BT_SETTING_STR, AT(topic), "berth.trip", "the log" },
    { "partition", BT_SETTING_I64, AT(partition), "-1", "one partition; -1: all", .min = -1, .max = 1023 },
    { "to_nowhere", BT_SETTING_BOOL, AT(to_nowhere), "false", "say that the state is to be thrown away: there is no other use yet" },
    { "digest", BT_SETTING_BOOL, AT(digest), "true", "print the digest of each partition's state" },
};

typedef struct replaying {
    const bt_decider *decider;
    replay_folder *folder;
    const replay_folded *folded; /* when all is */
    int64_t records, valid, bytes, broken;
} replaying;

static const bt_decider *decider_of(const char *topic)
{
    for (size_t i = 0; i < BT_DECIDER_COUNT; i++) {
        if (strncmp(topic, "berth.", 6) == 0 && strcmp(topic + 6, bt_deciders[i]->kind) == 0)
            return bt_deciders[i];
    }
    return NULL;
}

static void on_record(void *context, const walk_step *step)
{
    replaying *r = context;
    r->records++;
    r->bytes += (int64_t)(step->record->key.size + step->record->value.size);
    if (step->verdict != BT_FORWARD_VALID)
        return;
    r->valid++;
    if (!bt_str_is(step->record->key, BT_LOG_KEY))
        folder_give(r->folder, step->partition, step->record);
}

static void on_broken(void *context, int32_t partition, int64_t offset, const char *why)
{
    replaying *r = context;
    r->broken++;
    fprintf(stderr, "berth: partition %d stops at offset %lld: %s\n", partition, (long long)offset, why);
}

static bt_id digest_of(replaying *r, int32_t partition, int64_t log_time_us)
{
    bt_digest digest;
    bt_digest_init(&digest);
    bt_streams *streams = r->folded->streams[partition];
    bt_stream **sorted = streams == NULL ? NULL : bt_streams_sorted(streams);
    for (size_t i = 0; streams != NULL && i < streams->count; i++) {
        bt_streams_touch(streams, sorted[i]); /* deadlines are not kept while folding, as nothing is due here */
        if (sorted[i]->state == NULL || bt_streams_is_over(streams, sorted[i], log_time_us))
            continue;
        uint32_t size = (uint32_t)sorted[i]->id.size;
        uint8_t big_endian[4] = { (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size };
        bt_digest_feed(&digest, big_endian, sizeof big_endian);
        bt_digest_feed(&digest, sorted[i]->id.at, sorted[i]->id.size);
        r->decider->digest(sorted[i]->state, &digest);
    }
    bt_release(sorted);
    return bt_digest_finish(&digest);
}

static void write_partitions(replaying *r, const walk_result *result, bool digest, bt_buf *out)
{
    bt_json_open(out, "partitions", '[');
    for (int32_t i = 0; i < result->partition_count; i++) {
        if (r->folded->streams[i] == NULL && result->at[i].next_offset == 0)
            continue;
        bt_json_open(out, NULL, '{');
        bt_json_i64(out, "partition", i);
        bt_json_i64(out, "next_offset", result->at[i].next_offset);
        bt_json_i64(out, "height", result->at[i].height);
        bt_json_id(out, "head", result->at[i].head);
        bt_json_i64(out, "streams", r->folded->streams[i] == NULL ? 0 : r->folded->streams[i]->count);
        if (digest)
            bt_json_id(out, "digest", digest_of(r, i, result->at[i].time_us));
        bt_json_close(out, '}');
    }
    bt_json_close(out, ']');
}

static void print_json(replaying *r, const walk_result *result, double seconds, bool digest)
{
    bt_buf out;
    bt_buf_init(&out, 1 << 20);
    bt_json_open(&out, NULL, '{');
    bt_json_i64(&out, "records", r->records);
    bt_json_i64(&out, "valid", r->valid);
    bt_json_i64(&out, "events", r->folded->event_count);
    bt_json_i64(&out, "bytes", r->bytes);
    bt_json_i64(&out, "stopped_streams", r->folded->stopped_count);
    bt_json_double(&out, "seconds", seconds);
    bt_json_double(&out, "records_per_second", seconds > 0 ? (double)r->records / seconds : 0);
    write_partitions(r, result, digest, &out);
    bt_json_close(&out, '}');
    printf("%.*s\n", BT_STR_ARG(bt_buf_view(&out)));
    bt_buf_release(&out);
}

static void print_text(replaying *r, const walk_result *result, double seconds, bool digest)
{
    printf("%lld records, %lld valid, %lld events folded in %.2f s: %.0f records/s, %.1f MB/s\n", (long long)r->records, (long long)r->valid, (long long)r->folded->event_count, seconds,
        seconds > 0 ? (double)r->records / seconds : 0, seconds > 0 ? (double)r->bytes / seconds / 1e6 : 0);
    for (int32_t i = 0; digest && i < result->partition_count; i++) {
        if (result->at[i].next_offset == 0)
            continue;
        char head[BT_ID_HEX_SIZE], state[BT_ID_HEX_SIZE];
        bt_id_to_hex(result->at[i].head, head);
        bt_id_to_hex(digest_of(r, i, result->at[i].time_us), state);
        printf("partition %d to offset %lld: head %.32s state %.32s\n", i, (long long)result->at[i].next_offset, head, state);
    }
    if (r->folded->stopped_count > 0)
        printf("%lld streams stopped at an event that does not fit or is not understood, first %s\n", (long long)r->folded->stopped_count, r->folded->first_stop);
}

/* False when nothing could be read, or no thread was to be had. */
static bool fold_all(const cli_call *call, replaying *r, walk_result *result, double *ret_seconds, bt_err *err)
{
    const replay_options *options = call->options;
    walk_options walked = { .topic = options->topic, .partition = (int32_t)options->partition, .label = "replaying" };
    if (!folder_new(r->decider, &r->folder, err))
        return false;
    int64_t begun_us = bt_clock_monotonic_us();
    bool ok = walk(call, &walked, &(walk_outputs){ r, on_record, on_broken }, result, err);
    r->folded = folder_finish(r->folder);
    *ret_seconds = (double)(bt_clock_monotonic_us() - begun_us) / 1e6;
    return ok;
}

static int replay_with(const cli_call *call, const bt_decider *decider)
{
    const replay_options *options = call->options;
    replaying r = { .decider = decider };
    walk_result *result = bt_alloc(sizeof *result);
    bt_err err;
    double seconds = 0;
    bool ok = fold_all(call, &r, result, &seconds, &err);
    int status = !ok ? cli_fail(&err) : r.broken > 0 || r.folded->stopped_count > 0 || !result->complete ? CLI_FOUND : CLI_OK;
    if (ok && options->common.json)
        print_json(&r, result, seconds, options->digest);
    else if (ok)
        print_text(&r, result, seconds, options->digest);
    folder_free(r.folder);
    bt_release(result);
    return status;
}

static int run_replay(const cli_call *call)
{
    const replay_options *options = call->options;
    const bt_decider *decider = decider_of(options->topic);
    bt_err err;
    if (decider == NULL)
        bt_fail(&err, BT_ERR_INPUT, 0, "this binary has no decider for topic %s: it must be berth.<kind of stream>", options->topic);
    else if (!options->to_nowhere)
        bt_fail(&err, BT_ERR_INPUT, 0, "say --to-nowhere: the state is thrown away");
    else
        return replay_with(call, decider);
    return cli_fail(&err);
}

const cli_verb replay_verb = {
    .group = "replay",
    .name = "",
    .words = "",
    .about = "fold a log into state and throw it away: how fast, and what digest",
    .help = "Reads every partition from its start, applies the fast-forward rule, decodes, and folds each stream as berth-commands does when it\n"
            "restores. The digest of a partition's state is the same for every reader at the same offset, whatever it went through.\n\n"
            "  berth replay --to-nowhere\n"
            "  berth replay --to-nowhere --partition 0 --json | jq .partitions[0].digest\n\n"
            "Exit status 0: all was folded; 1: a stream stopped, or a partition could not be read to its end; 3: no broker answered.\n",
    .needs_kafka = true,
    .options_size = sizeof(replay_options),
    .settings = SETTINGS,
    .setting_count = BT_COUNT_OF(SETTINGS),
    .run = run_replay,
};
