/* bench owner - how many commands a second the owner decides, proves and answers when the log costs nothing.
 *
 * One partition, many streams of the toy kind, hold then release, 32 at a time in a batch; each append is reported at
 * once and read back. Prints a JSON line a figure:
 *   owner.commands       accepted commands/s, all of it: decide, encode, SHA-256, fold, undo, prove, answer, compare
 *   owner.refusals       refused commands/s, a barrier shared by each batch of 256
 *   owner.fold           records/s folded on restore, rule and decode included
 * usage: bench_owner [COMMANDS]   default 1,000,000 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "commands/owner/owner.h"
#include "core/memory.h"
#include "tests/sim/toy.h"

enum { STREAMS = 1000, BATCH = 256 };

typedef struct bench {
    bt_owner *owner;
    bt_record *log;
    size_t log_count, log_max, read_at;
    uint64_t generations[BATCH * 4], attempts[BATCH * 4];
    size_t append_count;
    uint64_t answered, accepted, random;
    uint64_t end_request;
    int64_t now_us;
    bt_arena arena;
} bench;

static void out_append(void *context, uint64_t generation, uint64_t attempt, bt_str key, bt_bytes value, int64_t time_us)
{
    bench *self = context;
    bt_assert(self->append_count < BATCH * 4);
    if (self->log_count == self->log_max) {
        self->log_max = self->log_max == 0 ? 1 << 16 : self->log_max * 2;
        self->log = bt_resize(self->log, self->log_max * sizeof *self->log);
    }
    bt_str bytes = bt_arena_copy(&self->arena, (bt_str){ (const char *)value.at, value.size });
    self->log[self->log_count] = (bt_record){ (int64_t)self->log_count, time_us, bt_arena_copy(&self->arena, key),
        { (const uint8_t *)bytes.at, bytes.size } };
    self->log_count++;
    self->generations[self->append_count] = generation;
    self->attempts[self->append_count++] = attempt;
}

static void out_read_from(void *context, int64_t offset) { ((bench *)context)->read_at = (size_t)offset; }
static void out_ask_end(void *context, uint64_t request) { ((bench *)context)->end_request = request; }
static void out_fetch_one(void *context, uint64_t request, int64_t offset) { (void)context, (void)request, (void)offset; }

static void out_answer(void *context, void *token, const bt_answer *answer)
{
    (void)token;
    bench *self = context;
    self->answered++;
    self->accepted += answer->kind == BT_ANSWER_ACCEPTED;
}

static void out_random(void *context, void *at, size_t size)
{
    bench *self = context;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)at)[i] = (uint8_t)bt_mix64(++self->random);
}

static void out_alarm(void *context, const char *name, const char *text)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", name, text);
    abort();
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void start(bench *self)
{
    bt_owner_config config = { .decider = &toy_decider, .topic = BT_STR("seats"), .node = BT_STR("n1"), .address = BT_STR("-"),
        .registry = BT_STR("berth"),
        .partition_count = 1, .batch_max = BATCH };
    bt_owner_outputs outputs = { self, out_append, out_read_from, out_ask_end, out_fetch_one, out_answer, out_random, out_alarm };
    self->owner = bt_owner_new(&config, &outputs);
    bt_owner_on_assigned(self->owner, self->now_us);
}

/* Reports what was appended, and delivers it to the tail. */
static void turn(bench *self)
{
    size_t count = self->append_count;
    int64_t offset = (int64_t)(self->log_count - count);
    self->append_count = 0;
    for (size_t i = 0; i < count; i++)
        bt_owner_on_report(self->owner, self->generations[i], self->attempts[i], BT_APPEND_DONE, offset + (int64_t)i, self->now_us);
    if (self->end_request != 0) {
        uint64_t request = self->end_request;
        self->end_request = 0;
        bt_owner_on_log_end(self->owner, request, (int64_t)self->log_count, self->now_us);
    }
    while (self->read_at < self->log_count) {
        size_t from = self->read_at, part = self->log_count - from > 1000 ? 1000 : self->log_count - from;
        self->read_at += part;
        bt_owner_on_records(self->owner, &self->log[from], part, self->now_us);
    }
}

static void own(bench *self)
{
    for (int i = 0; i < 10; i++)
        turn(self);
    bt_assert(bt_owner_phase_of(self->owner) == BT_OWNER_OWNING);
}

static void line(const char *name, double value, const char *unit)
{
    printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"%s\"}\n", name, value, unit);
}

typedef struct order {
    bt_command command;
    toy_command data;
    char stream[16];
} order;

static void give(order *to, uint64_t number, toy_op op)
{
    uint64_t mixed = bt_mix64(number + 1);
    to->data = (toy_command){ .op = op, .seat = (int32_t)(number / STREAMS / 2 % TOY_SEATS) };
    int size = snprintf(to->stream, sizeof to->stream, "trip-%u", (unsigned)(number % STREAMS));
    to->command = (bt_command){ .data = &to->data, .stream = { to->stream, (size_t)size }, .actor = BT_STR("desk") };
    memcpy(to->command.key_digest.at, &mixed, sizeof mixed);
    memcpy(to->command.body_digest.at, &mixed, sizeof mixed);
}

static void run_accepted(bench *self, uint64_t commands)
{
    static order orders[BATCH];
    double begin = seconds_now();
    for (uint64_t done = 0; done < commands; done += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++) {
            give(&orders[i], done + i, (done + i) / STREAMS % 2 == 0 ? TOY_HOLD : TOY_RELEASE);
            bt_owner_on_command(self->owner, &orders[i].command, &orders[i], self->now_us);
        }
        self->now_us += 100;
        bt_owner_on_batch_end(self->owner, self->now_us);
        turn(self);
    }
    double seconds = seconds_now() - begin;
    bt_assert(self->accepted == self->answered && self->accepted >= commands);
    line("owner.commands", (double)self->accepted / seconds, "commands/s");
}

static void run_refused(bench *self, uint64_t commands)
{
    static order orders[BATCH];
    uint64_t answered_before = self->answered;
    double begin = seconds_now();
    for (uint64_t done = 0; done < commands; done += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++) {
            give(&orders[i], done + i, TOY_RELEASE);
            orders[i].data.seat = 7;
            orders[i].command.stream = BT_STR("never opened");
            bt_owner_on_command(self->owner, &orders[i].command, &orders[i], self->now_us);
        }
        bt_owner_on_batch_end(self->owner, self->now_us);
        self->now_us += BT_OWNER_BARRIER_EVERY_US;
        bt_owner_on_tick(self->owner, self->now_us);
        turn(self);
    }
    line("owner.refusals", (double)(self->answered - answered_before) / (seconds_now() - begin), "commands/s");
}

static void run_fold(bench *self)
{
    bt_owner_on_revoked(self->owner, self->now_us);
    bt_owner_free(self->owner);
    size_t records = self->log_count;
    double begin = seconds_now();
    start(self);
    turn(self);
    line("owner.fold", (double)records / (seconds_now() - begin), "records/s");
}

int main(int count, char **arguments)
{
    static bench self = { .now_us = 1000000000 };
    uint64_t commands = count > 1 ? strtoull(arguments[1], NULL, 10) : 1000000;
    bt_arena_init(&self.arena, (size_t)4 << 30);
    start(&self);
    own(&self);
    run_accepted(&self, commands);
    run_refused(&self, commands / 4);
    run_fold(&self);
    bt_owner_on_revoked(self.owner, self.now_us);
    bt_owner_free(self.owner);
    bt_arena_release(&self.arena);
    bt_release(self.log);
    return 0;
}
