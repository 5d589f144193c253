/* accept_loss - `berth log accept-loss PARTITION --reason TEXT`: the way out of a read-only partition, itself on record.
 *
 * Kafka has lost acknowledged records (power loss of all replicas, an unclean election). Whoever remembers a later head has stopped, and goes on
 * only when the log itself holds a LossAccepted that covers what it remembers (core/loss.h). This finds out what was lost, by what the read models and
 * nodes remember; shows it; and, once told to go on, appends the record under the rule and reads it back. Then it fills the lost offsets up
 * with void records: a client's position that names a lost record is then found to name another one (409), instead of one that is still to come. */
#include "core/digest.h"
#include "core/schema.h"
#include "io/clock/clock.h"
#include "io/kafka/producer.h"
#include "io/kafka/reader.h"
#include "schemas/log.h"
#include "tools/berth/log/memories.h"
#include "tools/berth/log/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define TRIES_MAX 5
#define FILL_MAX 100000
#define FILL_AT_ONCE 1000
#define REASON_MAX 500

typedef struct accept_options {
    cli_common common;
    const char *topic, *reason, *actor, *postgres_dsn, *redis_url, *nodes;
    int64_t from, to;
    bool yes, again;
} accept_options;

#define AT(field) offsetof(accept_options, field)

static const bt_setting SETTINGS[] = {
    { "topic", BT_SETTING_STR, AT(topic), "berth.trip", "the log" },
    { "reason", BT_SETTING_STR, AT(reason), "", "why, in your words, up to 500 bytes; it stays in the log" },
    { "actor", BT_SETTING_STR, AT(actor), "", "who accepts it; empty: $USER" },
    { "yes", BT_SETTING_BOOL, AT(yes), "false", "append it; without it you are asked, or, where there is no terminal, only told what would be done" },
    { "from", BT_SETTING_I64, AT(from), "-1", "the first offset that was lost; -1: as found out", .min = -1, .max = INT64_MAX / 2 },
    { "to", BT_SETTING_I64, AT(to), "-1", "the offset after the last one that anybody remembers; -1: as found out", .min = -1, .max = INT64_MAX / 2 },
    { "again", BT_SETTING_BOOL, AT(again), "false", "append one though the log holds one of these offsets already" },
    { "postgres.dsn", BT_SETTING_STR, AT(postgres_dsn), "", "the read models in Postgres, which remember each record; empty: not asked", .secret = true },
    { "redis.url", BT_SETTING_STR, AT(redis_url), "", "the read model in Redis; empty: not asked", .secret = true },
    { "nodes", BT_SETTING_STR, AT(nodes), "", "admin addresses of all command nodes, with commas between; empty: none is asked" },
};

typedef struct accepting {
    const cli_call *call;
    const accept_options *options;
    int32_t partition;
    memories known;
    bt_forward at;              /* the log as it stands */
    int64_t last_valid_offset;  /* -1: none */
    int64_t log_version;        /* of the stream of records with the key @log */
    int64_t differs_at;         /* the first offset whose record is not the one that Postgres had read there; -1: none */
    int64_t accepted_offset;    /* where the last acceptance of these offsets stands; -1: nowhere */
    int64_t accepted_from, accepted_to;
    int64_t claimed_to;         /* the farthest that a void OwnerTookOver had proved beyond its own place: its writer knew what was lost, */
    int64_t claimed_time_us;    /* and the latest time of those */
    bt_id own;                  /* of the record that was appended last */
    int64_t own_offset;         /* where it is valid; -1: nowhere */
    int64_t from, to, time_us, filled;
    size_t reports_due;
    bt_err report_err;
    bt_reader *reader;
    bt_producer *producer;
    bt_arena arena;
} accepting;

/* --- what the log holds --- */

static void note_acceptance(accepting *self, const bt_record *record)
{
    bt_event event;
    bt_arena_reset(&self->arena);
    if (!bt_event_decode(record->value, &self->arena, &event, NULL) || event.type != &log_loss_accepted_message)
        return;
    const struct log_loss_accepted *accepted = event.data;
    self->accepted_offset = record->offset;
    self->accepted_from = accepted->lost_from;
    self->accepted_to = accepted->lost_to;
}

static void note_claim(accepting *self, const bt_record *record)
{
    bt_event event;
    if (record->key.at == NULL || !bt_str_is(record->key, BT_LOG_KEY) || record->value.size < BT_WIRE_VALUE_MIN)
        return;
    bt_arena_reset(&self->arena);
    if (!bt_event_decode(record->value, &self->arena, &event, NULL) || event.type != &log_owner_took_over_message)
        return;
    const struct log_owner_took_over *claim = event.data;
    if (claim->proved_offset <= record->offset)
        return;
    if (claim->proved_offset > self->claimed_to)
        self->claimed_to = claim->proved_offset;
    if (claim->meta.time > self->claimed_time_us)
        self->claimed_time_us = claim->meta.time;
}

static void take(accepting *self, const bt_record *record, bt_forward_verdict verdict, bt_id id)
{
    static const uint8_t of_a_void[4] = { 0 };
    int64_t index = record->offset - self->known.ids_from;
    bool valid = verdict == BT_FORWARD_VALID;
    if (self->differs_at < 0 && index >= 0 && (size_t)index < self->known.ids.size / 4 && memcmp(self->known.ids.at + 4 * index, valid ? id.at : of_a_void, 4) != 0)
        self->differs_at = record->offset;
    if (!valid) {
        note_claim(self, record);
        return;
    }
    self->last_valid_offset = record->offset;
    if (bt_id_equal(id, self->own))
        self->own_offset = record->offset;
    if (!bt_str_is(record->key, BT_LOG_KEY))
        return;
    self->log_version++;
    note_acceptance(self, record);
}

static void on_step(void *context, const walk_step *step) { take(context, step->record, step->verdict, step->id); }

static void on_walk_broken(void *context, int32_t partition, int64_t offset, const char *why)
{
    accepting *self = context;
    (void)partition;
    bt_fail(&self->report_err, BT_ERR_FATAL, 0, "the log cannot be read past offset %lld: %s", (long long)offset, why);
}

static bool read_log(accepting *self, bt_err *err)
{
    walk_result *result = bt_alloc(sizeof *result);
    walk_options options = { .topic = self->options->topic, .partition = self->partition, .label = "reading" };
    bool good = walk(self->call, &options, &(walk_outputs){ self, on_step, on_walk_broken }, result, err);
    self->at = result->at[self->partition];
    if (good && !result->complete)
        good = bt_fail(err, BT_ERR_RETRY, 0, "%s", self->report_err.message[0] != 0 ? self->report_err.message : "stopped: nothing was appended");
    bt_release(result);
    int64_t known_next = self->known.ids_from + (int64_t)(self->known.ids.size / 4);
    if (self->differs_at < 0 && self->known.ids.size > 0 && known_next > self->at.next_offset)
        self->differs_at = self->at.next_offset;
    return good;
}

/* --- what was lost --- */

static const memory *farthest(const accepting *self)
{
    const memory *best = NULL;
    for (size_t i = 0; i < self->known.count; i++)
        if (best == NULL || self->known.of[i].at.next_offset > best->at.next_offset)
            best = &self->known.of[i];
    return best;
}

/* From: where Postgres had read another record; else what stands behind the last valid one is gone or worth nothing. A `from` that is too high is
 * refused by readers, which then stay as they are. To: behind all that anybody remembers. */
static bool find_loss(accepting *self, bt_err *err)
{
    const accept_options *options = self->options;
    const memory *most = farthest(self);
    if (self->at.height == 0) /* an acceptance would be its first valid record, and no log of Berth's begins with one */
        return bt_fail(err, BT_ERR_FATAL, 0, "partition %d holds no valid record any more, not even the one that opened the log: there is nothing to go on from. Begin a new topic, "
            "with read models and snapshots of its own", self->partition);
    int64_t behind_valid = self->last_valid_offset + 1;
    self->from = options->from >= 0 ? options->from : self->differs_at >= 0 && self->differs_at < behind_valid ? self->differs_at : behind_valid;
    self->to = options->to >= 0 ? options->to : most == NULL ? 0 : most->at.next_offset;
    if (options->to < 0 && self->to > self->from && self->to < self->claimed_to)
        self->to = self->claimed_to;
    if (self->to <= self->from && options->to < 0)
        return bt_fail(err, BT_ERR_FATAL, 0, "%s: partition %d has valid records up to offset %lld. If a server's log says otherwise, give --to OFFSET",
            most == NULL ? "nobody was asked what was lost (postgres.dsn, redis.url, nodes)" : "nobody who was asked remembers more than the log holds", self->partition,
            (long long)self->last_valid_offset);
    if (self->to <= self->from)
        return bt_fail(err, BT_ERR_INPUT, 0, "nothing lies between offsets %lld and %lld", (long long)self->from, (long long)self->to);
    for (size_t i = 0; i < self->known.count; i++)
        if (self->known.of[i].decides && self->known.of[i].at.next_offset > self->from)
            return bt_fail(err, BT_ERR_RETRY, 0, "%s has proved records up to offset %lld, which are gone, and has not noticed yet: wait until it is read-only, or restart it",
                self->known.of[i].name, (long long)self->known.of[i].at.next_offset);
    return true;
}

static void print_plan(const accepting *self, const char *what)
{
    const accept_options *options = self->options;
    bt_buf out;
    bt_buf_init(&out, 1 << 20);
    bt_json_open(&out, NULL, '{');
    bt_json_str(&out, "result", bt_str_of(what));
    bt_json_str(&out, "topic", bt_str_of(options->topic));
    bt_json_i64(&out, "partition", self->partition);
    bt_json_i64(&out, "lost_from", self->from);
    bt_json_i64(&out, "lost_to", self->to);
    bt_json_i64(&out, "log_end", self->at.next_offset);
    bt_json_i64(&out, "last_valid_offset", self->last_valid_offset);
    bt_json_i64(&out, "accepted_offset", self->own_offset >= 0 ? self->own_offset : self->accepted_offset);
    bt_json_i64(&out, "filled", self->filled);
    bt_json_open(&out, "known", '[');
    for (size_t i = 0; i < self->known.count; i++) {
        bt_json_open(&out, NULL, '{');
        bt_json_str(&out, "by", bt_str_of(self->known.of[i].name));
        bt_json_i64(&out, "next_offset", self->known.of[i].at.next_offset);
        bt_json_close(&out, '}');
    }
    bt_json_close(&out, ']');
    bt_json_close(&out, '}');
    if (options->common.json)
        printf("%.*s\n", BT_STR_ARG(bt_buf_view(&out)));
    bt_buf_release(&out);
}

static void show_plan(const accepting *self)
{
    if (self->options->common.json)
        return;
    printf("partition %d of %s ends at offset %lld; its last valid record stands at %lld\n", self->partition, self->options->topic, (long long)self->at.next_offset,
        (long long)self->last_valid_offset);
    for (size_t i = 0; i < self->known.count; i++)
        printf("%s remembers it up to offset %lld\n", self->known.of[i].name, (long long)self->known.of[i].at.next_offset);
    printf("to be given up: offsets %lld to %lld. Whatever was acknowledged there is gone: bookings, holds, cancellations\n", (long long)self->from, (long long)self->to - 1);
}

/* True: go on. */
static bool is_confirmed(const accepting *self)
{
    char answer[16] = "";
    if (self->options->yes)
        return true;
    if (!isatty(STDIN_FILENO) || self->options->common.json) {
        fprintf(stderr, "berth: nothing was appended; with --yes it is\n");
        return false;
    }
    printf("Give them up for good? Type yes: ");
    fflush(stdout);
    if (fgets(answer, sizeof answer, stdin) != NULL && strcmp(answer, "yes\n") == 0)
        return true;
    fprintf(stderr, "berth: nothing was appended\n");
    return false;
}

/* --- appending --- */

static void on_reports(void *context, const bt_report *reports, size_t report_count)
{
    accepting *self = context;
    self->reports_due -= report_count;
    for (size_t i = 0; i < report_count; i++)
        if (reports[i].kind != BT_OK)
            bt_fail(&self->report_err, reports[i].kind, 0, "the broker did not take a record (librdkafka's error %d)", reports[i].error);
}

static bool wait_for_reports(accepting *self, bt_err *err)
{
    int64_t until_us = bt_clock_monotonic_us() + 20000000;
    while (self->reports_due > 0 && bt_clock_monotonic_us() < until_us)
        bt_producer_poll(self->producer, 100);
    if (self->reports_due > 0)
        return bt_fail(err, BT_ERR_RETRY, 0, "no broker says what became of %zu records", self->reports_due);
    if (self->report_err.kind == BT_OK)
        return true;
    *err = self->report_err;
    return false;
}

static bool append(accepting *self, bt_event event, int64_t time_us, bt_err *err)
{
    bt_buf value;
    bt_buf_init(&value, BT_RECORD_VALUE_MAX);
    bool good = bt_event_encode(event, &value, err);
    if (good) {
        bt_append one = { .partition = self->partition, .key = BT_STR(BT_LOG_KEY), .value = { value.at, value.size }, .time_us = time_us };
        if (event.type == &log_loss_accepted_message)
            self->own = bt_record_id(one.key, one.value);
        self->reports_due++;
        bt_producer_append(self->producer, &one, 1);
    }
    bt_buf_release(&value);
    return good;
}

static void on_records(void *context, int32_t partition, const bt_record *records, size_t record_count)
{
    accepting *self = context;
    (void)partition;
    for (size_t i = 0; i < record_count; i++) {
        bt_id id = { { 0 } };
        bt_forward_verdict verdict = bt_forward_step(&self->at, &records[i], &id);
        if (verdict != BT_FORWARD_JUMP)
            take(self, &records[i], verdict, id);
    }
}

/* To what is the log's end now. */
static bool read_on(accepting *self, bt_err *err)
{
    int64_t start, end, until_us = bt_clock_monotonic_us() + 30000000;
    if (!bt_reader_end_of(self->reader, self->partition, &start, &end, err) || !bt_reader_start(self->reader, self->partition, self->at.next_offset, err))
        return false;
    while (self->at.next_offset < end && bt_clock_monotonic_us() < until_us)
        bt_reader_poll(self->reader, 100);
    bt_reader_stop(self->reader, self->partition);
    return self->at.next_offset >= end || bt_fail(err, BT_ERR_RETRY, 0, "the log cannot be read to its end, offset %lld", (long long)end);
}

static int64_t later(int64_t time_us, int64_t than_us) { return time_us > than_us ? time_us : than_us + 1; }

/* Later than the log, so that none has the time of one before it though this clock stands behind, and than all that is known of the lost records. */
static int64_t time_of_acceptance(const accepting *self)
{
    int64_t time_us = later(later(bt_clock_realtime_us(), self->at.time_us), self->claimed_time_us);
    for (size_t i = 0; i < self->known.count; i++)
        time_us = later(time_us, self->known.of[i].at.time_us);
    return time_us;
}

static struct log_loss_accepted decide(accepting *self, bt_str actor)
{
    const memory *most = farthest(self);
    struct log_loss_accepted event = { .reason = bt_str_of(self->options->reason), .lost_from = self->from, .lost_to = self->to, .proved_offset = self->at.next_offset,
        .proved_height = self->at.height };
    if (most != NULL && most->at.next_offset == self->to && most->at.height > 0) {
        event.lost_head = most->at.head;
        event.lost_height = most->at.height;
    }
    event.meta = (bt_meta){ .parent = self->at.head, .version = self->log_version + 1, .time = time_of_acceptance(self), .actor = actor };
    return event;
}

static bool append_acceptance(accepting *self, bt_err *err)
{
    const char *user = getenv("USER");
    bt_str actor = bt_str_of(self->options->actor[0] != 0 ? self->options->actor : user != NULL && bt_name_is_valid(bt_str_of(user)) ? user : "operator");
    for (int try = 0; try < TRIES_MAX && self->own_offset < 0; try++) {
        if (!read_on(self, err))
            return false;
        struct log_loss_accepted event = decide(self, actor);
        self->time_us = event.meta.time;
        if (!append(self, (bt_event){ &log_loss_accepted_message, &event }, self->time_us, err) || !wait_for_reports(self, err) || !read_on(self, err))
            return false;
    }
    return self->own_offset >= 0 || bt_fail(err, BT_ERR_RETRY, 0, "somebody else appends to partition %d: %d tries were void", self->partition, TRIES_MAX);
}

/* Void for every reader, at any time: no record has the id that they name as their parent. */
static bool fill_up(accepting *self, bt_err *err)
{
    bt_str own = { (const char *)self->own.at, sizeof self->own.at };
    bt_id nobody = bt_digest_parts((bt_str[]){ BT_STR("filled up after"), own }, 2);
    cli_progress progress;
    bool good = true;
    int64_t due = self->to - self->at.next_offset < FILL_MAX ? self->to - self->at.next_offset : FILL_MAX;
    cli_progress_start(&progress, self->call, "filling up");
    while (good && self->filled < due && !cli_is_stopped()) {
        for (int i = 0; good && i < FILL_AT_ONCE && self->filled < due; i++, self->filled++) {
            struct log_barrier barrier = { .meta = { .parent = nobody, .time = self->time_us } };
            bt_assert(getrandom(barrier.nonce.at, sizeof barrier.nonce.at, 0) == (ssize_t)sizeof barrier.nonce.at);
            good = append(self, (bt_event){ &log_barrier_message, &barrier }, self->time_us, err);
        }
        good = good && wait_for_reports(self, err);
        cli_progress_show(&progress, self->filled, due);
    }
    cli_progress_end(&progress);
    return good;
}

static bool accept_it(accepting *self, bt_err *err)
{
    bt_reader_outputs reading = { .context = self, .records = on_records };
    bt_producer_outputs reporting = { self, on_reports };
    return bt_reader_new(&self->call->kafka, &(bt_reader_options){ .topic = self->options->topic }, &reading, NULL, &self->reader, err) &&
        bt_producer_new(&self->call->kafka, &(bt_producer_options){ .topic = self->options->topic }, &reporting, NULL, &self->producer, err) &&
        append_acceptance(self, err) && fill_up(self, err);
}

/* --- the verb --- */

static bool check_call(const cli_call *call, int32_t *ret_partition, bt_err *err)
{
    const accept_options *options = call->options;
    char *end;
    long partition = strtol(call->arguments[0], &end, 10);
    if (*end != 0 || end == call->arguments[0] || partition < 0 || partition >= WALK_PARTITIONS_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "\"%s\" is no partition: a number, as the alarm names it", call->arguments[0]);
    if (options->reason[0] == 0 || strlen(options->reason) > REASON_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "--reason: say in up to %d bytes why these records are given up; it stays in the log", REASON_MAX);
    if (options->actor[0] != 0 && !bt_name_is_valid(bt_str_of(options->actor)))
        return bt_fail(err, BT_ERR_INPUT, 0, "--actor: 1 to %d of A-Z a-z 0-9 . _ ~ -", BT_NAME_MAX);
    *ret_partition = (int32_t)partition;
    return true;
}

static bool is_accepted_already(const accepting *self)
{
    return !self->options->again && self->accepted_offset >= 0 && self->accepted_from <= self->from && self->accepted_to >= self->to;
}

static int finish(const accepting *self)
{
    print_plan(self, "accepted");
    if (!self->options->common.json)
        printf("accepted at offset %lld; %lld void records stand where lost ones stood. Servers find it by themselves within seconds and fold the log anew: see /readyz\n",
            (long long)self->own_offset, (long long)self->filled);
    return CLI_OK;
}

static int go(accepting *self, bt_err *err)
{
    memories_sources sources = { .topic = self->options->topic, .partition = self->partition, .postgres_dsn = self->options->postgres_dsn,
        .redis_url = self->options->redis_url, .nodes = self->options->nodes, .timeout_ms = self->options->common.timeout_ms };
    if (!memories_ask(&sources, &self->known, err) || !read_log(self, err))
        return cli_fail(err);
    if (!find_loss(self, err)) {
        int status = cli_fail(err);
        return err->kind == BT_ERR_FATAL ? CLI_FOUND : status;
    }
    if (is_accepted_already(self)) {
        print_plan(self, "already accepted");
        if (!self->options->common.json)
            printf("offsets %lld to %lld were given up already, at offset %lld; --again appends another one\n", (long long)self->accepted_from, (long long)self->accepted_to - 1,
                (long long)self->accepted_offset);
        return CLI_OK;
    }
    show_plan(self);
    if (!is_confirmed(self)) {
        print_plan(self, "not accepted");
        return CLI_FOUND;
    }
    return accept_it(self, err) ? finish(self) : cli_fail(err);
}

static int run(const cli_call *call)
{
    bt_err err = { 0 };
    accepting *self = bt_alloc(sizeof *self);
    self->call = call;
    self->options = call->options;
    self->last_valid_offset = self->differs_at = self->accepted_offset = self->own_offset = -1;
    bt_arena_init(&self->arena, 0);
    int status = check_call(call, &self->partition, &err) ? go(self, &err) : cli_fail(&err);
    bt_reader_free(self->reader);
    if (self->producer != NULL)
        bt_producer_free(self->producer, 1000);
    bt_arena_release(&self->arena);
    memories_release(&self->known);
    bt_release(self);
    return status;
}

const cli_verb log_accept_loss_verb = {
    .group = "log",
    .name = "accept-loss",
    .words = "PARTITION",
    .about = "let a partition go on that is read-only because Kafka lost acknowledged records",
    .help = "What was lost is found out from who remembers it: the read models, and the nodes that are named. The record of it (LossAccepted) stays in the\n"
            "log for good, with the reason and who gave it. Servers find it by themselves, forget what was lost, and fold the log anew.\n"
            "docs/running.md says what to look at before: if a replica or a disk still has the records, bring it back instead.\n\n"
            "  berth log accept-loss 2 --reason \"both racks lost power, see incident 17\" --nodes 127.0.0.1:18091\n"
            "  berth log accept-loss 2 --reason \"...\" --json          # only says what would be done\n"
            "  berth log accept-loss 2 --reason \"...\" --yes           # does not ask\n\n"
            "Exit status 0: accepted, or it was already; 1: nothing is lost, or it was not confirmed; 2: the call is wrong; 3: a part does not answer.\n",
    .word_count = 1,
    .needs_kafka = true,
    .options_size = sizeof(accept_options),
    .settings = SETTINGS,
    .setting_count = BT_COUNT_OF(SETTINGS),
    .run = run,
};
