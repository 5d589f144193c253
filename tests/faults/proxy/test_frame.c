/* test_frame - frames are found however the bytes come, and a Produce is read and rewritten within its bounds. */
#include "core/memory.h"
#include "tests/faults/proxy/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

/* --- making requests by hand, as Kafka's protocol guide lays them out --- */

typedef struct made {
    uint8_t at[1024];
    size_t size;
} made;

static void put(made *m, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        m->at[m->size++] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static void put_text(made *m, const char *text, bool flexible)
{
    put(m, strlen(text) + (flexible ? 1 : 0), flexible ? 1 : 2);
    memcpy(m->at + m->size, text, strlen(text));
    m->size += strlen(text);
}

static void close_frame(made *m)
{
    made length = { .size = 0 };
    put(&length, m->size - FRAME_LENGTH_SIZE, 4);
    memcpy(m->at, length.at, 4);
}

static made request(int api, int version, int correlation)
{
    made m = { .size = FRAME_LENGTH_SIZE };
    put(&m, (uint64_t)api, 2);
    put(&m, (uint64_t)version, 2);
    put(&m, (uint64_t)correlation, 4);
    put_text(&m, "node1", false);
    close_frame(&m);
    return m;
}

/* A batch of magic 2 with ten bytes that stand for its records. */
static size_t put_batch(made *m, int attributes)
{
    size_t from = m->size;
    put(m, 0, 8);          /* base offset */
    put(m, 49 + 10, 4);    /* what follows */
    put(m, 0, 4);          /* leader epoch */
    put(m, 2, 1);          /* magic */
    put(m, 0xdeadbeef, 4); /* crc */
    put(m, (uint64_t)attributes, 2);
    put(m, 0, 4);          /* last offset delta */
    put(m, 1000, 8);
    put(m, 1000, 8);
    put(m, 4711, 8); /* producer id, epoch, sequence */
    put(m, 3, 2);
    put(m, 99, 4);
    put(m, 1, 4);
    for (int i = 0; i < 10; i++)
        put(m, (uint64_t)i, 1);
    return m->size - from;
}

#define BATCH_SIZE 71

static made produce(int version, int attributes, size_t *ret_batch_at)
{
    bool flexible = version >= 9;
    made m = request(API_PRODUCE, version, 7);
    if (flexible)
        put(&m, 0, 1); /* no tags */
    put(&m, flexible ? 0 : 0xffff, flexible ? 1 : 2); /* no transaction */
    put(&m, 0xffff, 2); /* acks: all */
    put(&m, 10000, 4);
    put(&m, flexible ? 2 : 1, flexible ? 1 : 4);
    put_text(&m, "berth.trip", flexible);
    put(&m, flexible ? 2 : 1, flexible ? 1 : 4);
    put(&m, 3, 4); /* partition */
    put(&m, BATCH_SIZE + (flexible ? 1 : 0), flexible ? 1 : 4);
    *ret_batch_at = m.size;
    assert_int_equal(put_batch(&m, attributes), BATCH_SIZE);
    if (flexible)
        put(&m, 0, 3); /* no tags: of the partition, the topic, the request */
    close_frame(&m);
    return m;
}

/* Ends where an allocation ends, so that ASan sees a read past it. */
static bt_bytes exact(const uint8_t *at, size_t size)
{
    uint8_t *copy = bt_alloc(size);
    memcpy(copy, at, size);
    return (bt_bytes){ copy, size };
}

/* --- frames --- */

static void feed(frames *buffer, const uint8_t *at, size_t size)
{
    size_t room;
    uint8_t *to = frames_room(buffer, size, &room);
    assert_true(room >= size);
    memcpy(to, at, size);
    frames_filled(buffer, size);
}

static void two_frames__split_at_every_byte__come_out_whole(void **unused)
{
    made first = request(3, 9, 1), second = request(1, 12, 2), both = first;
    memcpy(both.at + both.size, second.at, second.size);
    both.size += second.size;
    for (size_t cut = 0; cut <= both.size; cut++) {
        frames buffer = { 0 };
        size_t found = 0;
        for (int half = 0; half < 2; half++) {
            feed(&buffer, both.at + (half == 0 ? 0 : cut), half == 0 ? cut : both.size - cut);
            for (bt_bytes frame; frames_next(&buffer, &frame) == FRAME_WHOLE; found++) {
                const made *wanted = found == 0 ? &first : &second;
                assert_int_equal(frame.size, wanted->size);
                assert_memory_equal(frame.at, wanted->at, wanted->size);
            }
        }
        assert_int_equal(found, 2);
        frames_release(&buffer);
    }
}

static void a_hundred_frames__in_one_read__come_out_in_order(void **unused)
{
    frames buffer = { 0 };
    for (int i = 0; i < 100; i++) {
        made m = request(0, 7, i);
        feed(&buffer, m.at, m.size);
    }
    bt_bytes frame;
    for (int i = 0; i < 100; i++) {
        frame_request found;
        assert_int_equal(frames_next(&buffer, &frame), FRAME_WHOLE);
        assert_true(frame_request_read(frame, &found));
        assert_int_equal(found.correlation, i);
    }
    assert_int_equal(frames_next(&buffer, &frame), FRAME_NONE);
    frames_release(&buffer);
}

static void a_frame__over_the_limit_or_of_negative_length__is_refused(void **unused)
{
    static const uint32_t LENGTHS[] = { FRAME_BYTES_MAX + 1, 0x80000000u, 0xffffffffu };
    for (size_t i = 0; i < BT_COUNT_OF(LENGTHS); i++) {
        frames buffer = { 0 };
        made m = { .size = 0 };
        bt_bytes frame;
        put(&m, LENGTHS[i], 4);
        feed(&buffer, m.at, m.size);
        assert_int_equal(frames_next(&buffer, &frame), FRAME_OVERSIZED);
        frames_release(&buffer);
    }
}

static void a_frame_of_the_limit__not_there_yet__is_waited_for(void **unused)
{
    frames buffer = { 0 };
    made m = { .size = 0 };
    bt_bytes frame;
    put(&m, FRAME_BYTES_MAX, 4);
    feed(&buffer, m.at, m.size);
    assert_int_equal(frames_next(&buffer, &frame), FRAME_NONE);
    frames_release(&buffer);
}

/* --- requests --- */

static void a_request__cut_at_any_byte_of_its_header__is_refused(void **unused)
{
    made m = request(1, 12, 5);
    frame_request found;
    assert_true(frame_request_read((bt_bytes){ m.at, m.size }, &found));
    assert_int_equal(found.api, 1);
    assert_int_equal(found.version, 12);
    assert_true(bt_str_is(found.client, "node1"));
    for (size_t size = 0; size < m.size; size++) {
        bt_bytes cut = exact(m.at, size);
        assert_false(frame_request_read(cut, &found));
        bt_release((void *)cut.at);
    }
}

static void apis__by_name_and_by_number__are_found(void **unused)
{
    assert_int_equal(api_of("Produce"), 0);
    assert_int_equal(api_of("FindCoordinator"), 10);
    assert_int_equal(api_of("Api77"), 77);
    assert_int_equal(api_of("Api128"), -1);
    assert_int_equal(api_of("produce"), -1);
    assert_string_equal(api_name(77), "Api77");
    assert_string_equal(api_name(22), "InitProducerId");
}

static void a_produce__of_old_and_flexible_versions__is_read(void **unused)
{
    for (int version = 3; version <= 12; version++) {
        size_t batch_at;
        made m = produce(version, 0, &batch_at);
        frame_produce found;
        assert_true(frame_produce_read((bt_bytes){ m.at, m.size }, &found));
        assert_true(bt_str_is(found.topic, "berth.trip"));
        assert_int_equal(found.partition, 3);
        assert_int_equal(found.acks, -1);
        assert_int_equal(found.producer_id, 4711);
        assert_int_equal(found.producer_epoch, 3);
        assert_int_equal(found.sequence, 99);
    }
}

static void a_produce__cut_at_any_byte__is_refused(void **unused)
{
    for (int version = 7; version <= 9; version += 2) {
        size_t batch_at;
        made m = produce(version, 0, &batch_at);
        frame_produce found;
        for (size_t size = 0; size < m.size; size++) {
            bt_bytes cut = exact(m.at, size);
            assert_false(frame_produce_read(cut, &found));
            assert_false(frame_produce_make_anonymous((uint8_t *)cut.at, cut.size));
            bt_release((void *)cut.at);
        }
    }
}

static void a_produce_of_another_version__or_another_request__is_not_read(void **unused)
{
    size_t batch_at;
    frame_produce found;
    made newer = produce(12, 0, &batch_at), fetch = request(1, 7, 1);
    newer.at[FRAME_LENGTH_SIZE + 3] = 13;
    assert_false(frame_produce_read((bt_bytes){ newer.at, newer.size }, &found));
    assert_false(frame_produce_read((bt_bytes){ fetch.at, fetch.size }, &found));
}

static void a_produce__made_anonymous__has_no_producer_and_a_right_checksum(void **unused)
{
    size_t batch_at;
    made m = produce(7, 0, &batch_at), before = m;
    assert_true(frame_produce_make_anonymous(m.at, m.size));
    frame_produce found;
    assert_true(frame_produce_read((bt_bytes){ m.at, m.size }, &found));
    assert_int_equal(found.producer_id, -1);
    assert_int_equal(found.producer_epoch, -1);
    assert_int_equal(found.sequence, -1);
    const uint8_t *crc = m.at + batch_at + 17;
    uint32_t stored = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3];
    assert_int_equal(stored, crc32c((bt_bytes){ m.at + batch_at + 21, BATCH_SIZE - 21 }));
    assert_memory_equal(m.at + batch_at + 57, before.at + batch_at + 57, BATCH_SIZE - 57); /* the records are the same */
}

static void a_transactional_produce__cannot_be_made_anonymous__and_is_left_alone(void **unused)
{
    size_t batch_at;
    made m = produce(7, 0x10, &batch_at), before = m;
    assert_false(frame_produce_make_anonymous(m.at, m.size));
    assert_memory_equal(m.at, before.at, before.size);
}

static void crc32c__of_the_known_text__is_the_known_value(void **unused)
{
    assert_int_equal(crc32c((bt_bytes){ (const uint8_t *)"123456789", 9 }), 0xe3069283);
}

/* --- answers --- */

static void an_answer_to_a_produce__of_old_and_flexible_versions__is_read(void **unused)
{
    for (int version = 7; version <= 9; version += 2) {
        bool flexible = version >= 9;
        made m = { .size = FRAME_LENGTH_SIZE };
        int16_t error;
        int64_t base_offset;
        put(&m, 7, 4);
        if (flexible)
            put(&m, 0, 1);
        put(&m, flexible ? 2 : 1, flexible ? 1 : 4);
        put_text(&m, "berth.trip", flexible);
        put(&m, flexible ? 2 : 1, flexible ? 1 : 4);
        put(&m, 3, 4);
        put(&m, 45, 2);
        put(&m, 1042, 8);
        close_frame(&m);
        assert_true(frame_produce_answer_read((bt_bytes){ m.at, m.size }, (int16_t)version, &error, &base_offset));
        assert_int_equal(error, 45);
        assert_int_equal(base_offset, 1042);
        for (size_t size = 0; size < m.size; size++) {
            bt_bytes cut = exact(m.at, size);
            assert_false(frame_produce_answer_read(cut, (int16_t)version, &error, &base_offset));
            bt_release((void *)cut.at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_frames__split_at_every_byte__come_out_whole),
        cmocka_unit_test(a_hundred_frames__in_one_read__come_out_in_order),
        cmocka_unit_test(a_frame__over_the_limit_or_of_negative_length__is_refused),
        cmocka_unit_test(a_frame_of_the_limit__not_there_yet__is_waited_for),
        cmocka_unit_test(a_request__cut_at_any_byte_of_its_header__is_refused),
        cmocka_unit_test(apis__by_name_and_by_number__are_found),
        cmocka_unit_test(a_produce__of_old_and_flexible_versions__is_read),
        cmocka_unit_test(a_produce__cut_at_any_byte__is_refused),
        cmocka_unit_test(a_produce_of_another_version__or_another_request__is_not_read),
        cmocka_unit_test(a_produce__made_anonymous__has_no_producer_and_a_right_checksum),
        cmocka_unit_test(a_transactional_produce__cannot_be_made_anonymous__and_is_left_alone),
        cmocka_unit_test(crc32c__of_the_known_text__is_the_known_value),
        cmocka_unit_test(an_answer_to_a_produce__of_old_and_flexible_versions__is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
