/* stage - see the header. */
#include "tests/unit/owner/stage.h"

#include <stdio.h>

#include "schemas/log.h"

static void out_append(void *context, uint64_t generation, uint64_t attempt, bt_str key, bt_bytes value, int64_t time_us)
{
    stage *self = context;
    assert_true(self->append_count < STAGE_MAX);
    bt_str bytes = bt_arena_copy(&self->arena, (bt_str){ (const char *)value.at, value.size });
    self->appends[self->append_count++] = (stage_append){ generation, attempt, bt_arena_copy(&self->arena, key),
        { (const uint8_t *)bytes.at, bytes.size }, time_us, -1 };
}

static void out_read_from(void *context, int64_t offset)
{
    stage *self = context;
    self->read_from = self->delivered = offset;
}

static void out_ask_end(void *context, uint64_t request) { ((stage *)context)->end_request = request; }

static void out_fetch_one(void *context, uint64_t request, int64_t offset)
{
    stage *self = context;
    self->fetches_asked++;
    self->fetch_request = request;
    self->fetch_offset = offset;
}

static void out_answer(void *context, void *token, const bt_answer *answer)
{
    (void)context;
    stage_answer *to = &((stage_call *)token)->answer;
    assert_false(to->given);
    *to = (stage_answer){ .given = true, .kind = answer->kind, .verdict = answer->verdict, .not_applied = answer->not_applied,
        .offset = answer->offset,
        .version = answer->version };
    snprintf(to->body, sizeof to->body, BT_STR_FMT, BT_STR_ARG(answer->body));
    snprintf(to->detail, sizeof to->detail, BT_STR_FMT, BT_STR_ARG(answer->detail));
}

static void out_random(void *context, void *at, size_t size)
{
    stage *self = context;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)at)[i] = (uint8_t)bt_mix64(++self->random);
}

static void out_alarm(void *context, const char *name, const char *text)
{
    stage *self = context;
    self->alarm_count++;
    snprintf(self->alarm, sizeof self->alarm, "%s", name);
    assert_true(strlen(text) > 0);
}

static void new_owner(stage *self)
{
    bt_owner_outputs outputs = { self, out_append, out_read_from, out_ask_end, out_fetch_one, out_answer, out_random, out_alarm };
    self->owner = bt_owner_new(&self->config, &outputs);
}

stage *stage_new(void)
{
    stage *self = bt_alloc(sizeof *self);
    bt_arena_init(&self->arena, 0);
    self->now_us = 1000000000;
    self->config = (bt_owner_config){ .decider = &toy_decider, .topic = BT_STR("seats"), .node = BT_STR("n1"),
        .address = BT_STR("127.0.0.1:1"),
        .registry = BT_STR("berth"), .partition = 0, .partition_count = 1 };
    new_owner(self);
    return self;
}

void stage_free(stage *self)
{
    bt_owner_on_revoked(self->owner, self->now_us);
    bt_owner_on_tick(self->owner, self->now_us);
    bt_owner_free(self->owner);
    bt_arena_release(&self->arena);
    bt_release(self);
}

void stage_renew(stage *self)
{
    bt_owner_on_revoked(self->owner, self->now_us);
    bt_owner_free(self->owner);
    self->append_count = 0;
    self->end_request = self->fetch_request = 0;
    new_owner(self);
}

int64_t stage_land(stage *self, size_t append)
{
    stage_append *it = &self->appends[append];
    it->landed = (int64_t)self->log_count;
    self->log[self->log_count] = (bt_record){ .offset = it->landed, .timestamp_us = it->time_us, .key = it->key, .value = it->value };
    self->log_count++;
    return it->landed;
}

void stage_report(stage *self, size_t append, bt_append_result result, int64_t offset)
{
    const stage_append *it = &self->appends[append];
    bt_owner_on_report(self->owner, it->generation, it->attempt, result, offset, self->now_us);
}

void stage_land_all(stage *self)
{
    for (size_t i = 0; i < self->append_count; i++) {
        if (self->appends[i].landed < 0)
            stage_land(self, i);
    }
}

void stage_land_and_report_all(stage *self)
{
    for (size_t i = 0; i < self->append_count; i++) {
        if (self->appends[i].landed < 0)
            stage_report(self, i, BT_APPEND_DONE, stage_land(self, i));
    }
}

void stage_deliver(stage *self)
{
    if ((size_t)self->delivered >= self->log_count)
        return;
    size_t from = (size_t)self->delivered, count = self->log_count - from;
    self->delivered = (int64_t)self->log_count;
    bt_owner_on_records(self->owner, &self->log[from], count, self->now_us);
}

void stage_answer_end(stage *self)
{
    uint64_t request = self->end_request;
    self->end_request = 0;
    if (request != 0)
        bt_owner_on_log_end(self->owner, request, (int64_t)self->log_count, self->now_us);
}

void stage_answer_fetch(stage *self)
{
    uint64_t request = self->fetch_request;
    self->fetch_request = 0;
    if (request != 0)
        bt_owner_on_fetched(self->owner, request, &self->log[self->fetch_offset], self->now_us);
}

void stage_settle(stage *self)
{
    for (int i = 0; i < 20; i++) {
        stage_land_all(self);
        stage_deliver(self);
        stage_answer_end(self);
        stage_answer_fetch(self);
        stage_decide(self);
    }
}

void stage_own(stage *self)
{
    bt_owner_on_assigned(self->owner, self->now_us);
    stage_settle(self);
    assert_int_equal(bt_owner_phase_of(self->owner), BT_OWNER_OWNING);
}

int64_t stage_foreign(stage *self, bt_id parent, int64_t version, bt_str key, bt_event event)
{
    bt_meta *meta = bt_event_meta(event);
    meta->parent = parent;
    meta->version = version;
    meta->time = self->now_us;
    bt_buf out;
    bt_buf_init(&out, 1 << 20);
    assert_true(bt_event_encode(event, &out, NULL));
    bt_str bytes = bt_arena_copy(&self->arena, bt_buf_view(&out));
    bt_buf_release(&out);
    int64_t offset = (int64_t)self->log_count;
    self->log[self->log_count++] = (bt_record){ .offset = offset, .key = bt_arena_copy(&self->arena, key),
        .value = { (const uint8_t *)bytes.at, bytes.size } };
    return offset;
}

bt_forward stage_fold(const stage *self)
{
    bt_forward forward = { 0 };
    for (size_t i = 0; i < self->log_count; i++)
        assert_int_not_equal(bt_forward_step(&forward, &self->log[i], NULL), BT_FORWARD_JUMP);
    return forward;
}

bt_id stage_log_head(const stage *self) { return stage_fold(self).head; }

int64_t stage_foreign_takeover(stage *self)
{
    bt_forward forward = stage_fold(self);
    struct log_owner_took_over event = { .node = BT_STR("n2"), .address = BT_STR("127.0.0.1:2"), .proved_offset = forward.next_offset,
        .proved_height = forward.height, .proved_head = forward.head };
    event.nonce.at[0] = (uint8_t)self->log_count;
    return stage_foreign(self, forward.head, 9, BT_STR("@log"), (bt_event){ &log_owner_took_over_message, &event });
}

bt_id stage_key(const char *key)
{
    bt_str text = bt_str_of(key);
    return bt_digest_parts(&text, 1);
}

stage_call *stage_call_now(stage *self, toy_op op, const char *stream, int32_t seat, const char *key)
{
    stage_call *call = &self->calls[self->call_count++];
    assert_true(self->call_count < STAGE_MAX);
    call->order = (toy_command){ .op = op, .seat = seat };
    char body[32];
    snprintf(body, sizeof body, "%d %d", (int)op, seat);
    call->command = (bt_command){ .data = &call->order, .stream = bt_str_of(stream), .key_digest = stage_key(key),
        .body_digest = stage_key(body), .actor = BT_STR("desk") };
    bt_owner_on_command(self->owner, &call->command, call, self->now_us);
    return call;
}

void stage_decide(stage *self) { bt_owner_on_batch_end(self->owner, self->now_us); }

void stage_pass(stage *self, int64_t us)
{
    self->now_us += us;
    bt_owner_on_tick(self->owner, self->now_us);
    bt_owner_on_batch_end(self->owner, self->now_us);
}

bt_owner_stats stage_stats(const stage *self)
{
    bt_owner_stats stats;
    bt_owner_stats_of(self->owner, &stats);
    return stats;
}
