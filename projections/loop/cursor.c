/* See the header. What is decoded here (LogOpened, OwnerTookOver) checks the log; it never decides what is valid. */
#include "projections/loop/cursor.h"

#include "core/digest.h"
#include "projections/loop/mutant.h"
#include "schemas/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define JUMPS_MAX 3

void bt_cursor_init(bt_cursor *cursor, const char *topic, int32_t partition, int32_t partition_count, const bt_position *stored)
{
    *cursor = (bt_cursor){ .topic = topic, .partition = partition, .partition_count = partition_count, .at = *stored };
    if (stored->head_offset >= 0) {
        cursor->seen[0] = (bt_cursor_seen){ stored->head_offset, stored->forward.height, stored->forward.head };
        cursor->seen_count = 1;
    }
}

int64_t bt_cursor_prove(bt_cursor *cursor)
{
    cursor->wants_proof = false;
    cursor->proving = cursor->at.head_offset >= 0;
    cursor->expected = cursor->proving ? cursor->at.head_offset : cursor->at.forward.next_offset;
    return cursor->expected;
}

void bt_cursor_stop(bt_cursor *cursor, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cursor->stopped, sizeof cursor->stopped, format, arguments);
    va_end(arguments);
}

bool bt_cursor_lost_suffix(const char *stopped) { return strncmp(stopped, BT_CURSOR_LOST_SUFFIX, strlen(BT_CURSOR_LOST_SUFFIX)) == 0; }

bool bt_cursor_end_contradicts(int64_t read_to, int64_t end_offset) { return end_offset >= 0 && end_offset < read_to; }

static bt_cursor_verdict jumped(bt_cursor *cursor, int64_t expected, int64_t offset)
{
    if (++cursor->jump_count <= JUMPS_MAX)
        return BT_CURSOR_AGAIN;
    bt_cursor_stop(cursor, "offsets jump from %" PRId64 " to %" PRId64 ": records are missing", expected, offset);
    return BT_CURSOR_STOPPED;
}

/* A record that was accounted for before. The first one must be the head. */
static bt_cursor_verdict see_again(bt_cursor *cursor, const bt_record *record)
{
    if (record->offset != cursor->expected)
        return jumped(cursor, cursor->expected, record->offset);
    if (record->offset == cursor->at.head_offset &&
        (!record->key.at || record->value.size < BT_WIRE_VALUE_MIN || !bt_id_equal(bt_record_id(record->key, record->value), cursor->at.forward.head))) {
        bt_cursor_stop(cursor, BT_CURSOR_LOST_SUFFIX "the record at offset %" PRId64 " is not the one that was read there before", record->offset);
        return BT_CURSOR_STOPPED;
    }
    cursor->expected++;
    return BT_CURSOR_SEEN;
}

static bool parent_is_known(const bt_cursor *cursor, bt_id parent)
{
    uint64_t kept = cursor->seen_count < BT_CURSOR_RECENT_MAX ? cursor->seen_count : BT_CURSOR_RECENT_MAX;
    for (uint64_t i = 1; i <= kept; i++)
        if (bt_id_equal(cursor->seen[(cursor->seen_count - i) % BT_CURSOR_RECENT_MAX].id, parent))
            return true;
    return cursor->seen_count == (uint64_t)cursor->at.forward.height && bt_id_is_zero(parent); /* a second LogOpened */
}

/* The last valid record before an offset, if it is still remembered. */
static const bt_cursor_seen *seen_before(const bt_cursor *cursor, int64_t offset)
{
    uint64_t kept = cursor->seen_count < BT_CURSOR_RECENT_MAX ? cursor->seen_count : BT_CURSOR_RECENT_MAX;
    for (uint64_t i = 1; i <= kept; i++) {
        const bt_cursor_seen *seen = &cursor->seen[(cursor->seen_count - i) % BT_CURSOR_RECENT_MAX];
        if (seen->offset < offset)
            return seen;
    }
    return NULL;
}

size_t bt_cursor_known(const bt_cursor *cursor, int64_t before_offset, bt_loss_known *ret_known, size_t known_max)
{
    uint64_t kept = cursor->seen_count < BT_CURSOR_RECENT_MAX ? cursor->seen_count : BT_CURSOR_RECENT_MAX;
    size_t count = 0;
    for (uint64_t i = 1; i <= kept && count < known_max; i++) { /* the last first, and so from the array's end */
        const bt_cursor_seen *seen = &cursor->seen[(cursor->seen_count - i) % BT_CURSOR_RECENT_MAX];
        if (seen->offset < before_offset)
            ret_known[known_max - ++count] = (bt_loss_known){ seen->offset, seen->id };
    }
    memmove(ret_known, ret_known + known_max - count, count * sizeof *ret_known);
    return count;
}

static void check_opened(bt_cursor *cursor, const struct log_opened *opened)
{
    if (!bt_str_is(opened->topic, cursor->topic) || opened->partition != cursor->partition)
        bt_cursor_stop(cursor, "this log was opened as " BT_STR_FMT "/%d", BT_STR_ARG(opened->topic), opened->partition);
    else if (opened->partition_count != cursor->partition_count)
        bt_cursor_stop(cursor, "this log was opened with %d partitions, and the topic has %d", opened->partition_count, cursor->partition_count);
    else if (!bt_str_is(opened->registry, "berth"))
        bt_cursor_stop(cursor, "this log uses another schema registry: " BT_STR_FMT, BT_STR_ARG(opened->registry));
}

/* What a new owner had proved is true wherever its record stands, also when it is void: unless it was given up since. */
static void check_took_over(bt_cursor *cursor, const struct log_owner_took_over *took_over, int64_t own_offset)
{
    const bt_cursor_seen *seen = took_over->proved_offset <= own_offset ? seen_before(cursor, took_over->proved_offset) : NULL;
    bt_loss claim = { .to = took_over->proved_offset, .time_us = took_over->meta.time };
    if (!seen || (bt_id_equal(seen->id, took_over->proved_head) && seen->height == took_over->proved_height) || bt_loss_gives_up(&cursor->loss, &claim))
        return;
    cursor->claim = claim;
    bt_cursor_stop(cursor, BT_CURSOR_LOST_SUFFIX "the owner that took over at offset %" PRId64 " had proved another head at %" PRId64 " than was read here", own_offset,
                   took_over->proved_offset);
}

static void note_loss(bt_cursor *cursor, const struct log_loss_accepted *accepted)
{
    cursor->loss = (bt_loss){ accepted->lost_from, accepted->lost_to, accepted->meta.time };
}

static void check_log_record(bt_cursor *cursor, const bt_record *record)
{
    const bt_message_type *type = bt_event_type_by_id(bt_record_schema_id(record->value));
    bt_arena arena;
    bt_event event;
    if (type != &log_opened_message && type != &log_owner_took_over_message && type != &log_loss_accepted_message)
        return;
    bt_arena_init(&arena, 1 << 20);
    if (bt_event_decode(record->value, &arena, &event, NULL)) {
        if (type == &log_opened_message)
            check_opened(cursor, event.data);
        else if (type == &log_owner_took_over_message)
            check_took_over(cursor, event.data, record->offset);
        else
            note_loss(cursor, event.data);
    }
    bt_arena_release(&arena);
}

/* Of the mutant that takes every record: what the rule would have done with a valid one. */
static bt_forward_verdict step(bt_forward *forward, const bt_record *record, bt_id *ret_id)
{
    bt_forward_verdict verdict = bt_forward_step(forward, record, ret_id);
    if (!PROJECTOR_MUTANT(NO_PARENT_CHECK) || verdict != BT_FORWARD_VOID_PARENT)
        return verdict;
    *ret_id = forward->head = bt_record_id(record->key, record->value);
    forward->height++;
    forward->void_count--;
    return BT_FORWARD_VALID;
}

static bt_cursor_verdict fold(bt_cursor *cursor, const bt_record *record, bt_id *ret_id)
{
    bt_id id;
    bool of_the_log = record->key.at && bt_str_is(record->key, BT_LOG_KEY);
    int64_t expected = cursor->at.forward.next_offset;
    switch (step(&cursor->at.forward, record, &id)) {
    case BT_FORWARD_JUMP:
        return jumped(cursor, expected, record->offset);
    case BT_FORWARD_VOID_MALFORMED:
        break;
    case BT_FORWARD_VOID_PARENT:
        if (!parent_is_known(cursor, bt_record_parent(record->value)))
            cursor->wants_proof = true;
        if (of_the_log && bt_event_type_by_id(bt_record_schema_id(record->value)) == &log_owner_took_over_message)
            check_log_record(cursor, record);
        break;
    case BT_FORWARD_VALID:
        if (of_the_log)
            check_log_record(cursor, record);
        cursor->jump_count = 0;
        cursor->at.head_offset = record->offset;
        cursor->seen[cursor->seen_count++ % BT_CURSOR_RECENT_MAX] = (bt_cursor_seen){ record->offset, cursor->at.forward.height, id };
        *ret_id = id;
        return BT_CURSOR_VALID;
    }
    return BT_CURSOR_VOID;
}

bt_cursor_verdict bt_cursor_step(bt_cursor *cursor, const bt_record *record, bt_id *ret_id)
{
    bt_position before = cursor->at;
    if (cursor->stopped[0])
        return BT_CURSOR_STOPPED;
    if (cursor->proving && cursor->expected < before.forward.next_offset)
        return see_again(cursor, record);
    cursor->proving = false;
    bt_cursor_verdict verdict = fold(cursor, record, ret_id);
    if (!cursor->stopped[0])
        return verdict;
    cursor->at = before; /* what contradicts is not accounted for: the next start meets it again */
    return BT_CURSOR_STOPPED;
}
