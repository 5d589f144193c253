/* codec - an event goes out and comes back the same; what does not fit is refused by name, and nothing is written. */
#include "tests/unit/test.h"

#include "core/avro.h"
#include "schemas/log.h"
#include "schemas/trip.h"

#include <stdlib.h>

static const struct trip_place PLACES[] = { { 0, 3 }, { 0, 4 }, { 1, -1 } };

static struct trip_seats_held a_hold(void)
{
    return (struct trip_seats_held){
        .meta = { .parent = { { 1, 2, 3 } },
                  .version = 7,
                  .time = INT64_C(1795328096000001),
                  .command = { { 9 } },
                  .actor = BT_STR("web") },
        .hold = { { 0xab } },
        .from = 2,
        .to = 300,
        .places = PLACES,
        .places_count = BT_COUNT_OF(PLACES),
        .customer = BT_STR("c-1"),
        .expires_at = INT64_C(1795328696000001),
    };
}

typedef struct fixture {
    bt_arena arena;
    bt_buf buf;
    bt_err err;
} fixture;

static int fixture_init(void **state)
{
    fixture *f = bt_alloc(sizeof *f);
    bt_arena_init(&f->arena, 0);
    bt_buf_init(&f->buf, BT_RECORD_VALUE_MAX);
    *state = f;
    return 0;
}

static int fixture_release(void **state)
{
    fixture *f = *state;
    bt_arena_release(&f->arena);
    bt_buf_release(&f->buf);
    bt_release(f);
    return 0;
}

static bt_bytes bytes_of(const bt_buf *buf) { return (bt_bytes){ buf->at, buf->size }; }

/* The bytes in storage of their exact size, so that the sanitizer sees a read past their end. */
static bool decode_exactly(fixture *f, bt_bytes value, bt_event *ret_event)
{
    uint8_t *exact = malloc(value.size == 0 ? 1 : value.size);
    if (value.size > 0)
        memcpy(exact, value.at, value.size);
    bool good = bt_event_decode((bt_bytes){ exact, value.size }, &f->arena, ret_event, &f->err);
    free(exact);
    return good;
}

static void event__out_and_back__is_the_same(void **state)
{
    fixture *f = *state;
    struct trip_seats_held held = a_hold();
    bt_event back;
    assert_true(bt_event_encode((bt_event){ &trip_seats_held_message, &held }, &f->buf, &f->err));
    assert_true(bt_event_decode(bytes_of(&f->buf), &f->arena, &back, &f->err));
    assert_ptr_equal(back.type, &trip_seats_held_message);
    assert_ptr_equal(back.type, trip_events[TRIP_EVENT_SEATS_HELD]);
    assert_true(bt_record_equal(&trip_seats_held_type, &held, back.data));
    assert_int_equal(bt_event_meta(back)->version, 7);
    held.to++;
    assert_false(bt_record_equal(&trip_seats_held_type, &held, back.data));
}

static void event__peeked__has_the_same_meta(void **state)
{
    fixture *f = *state;
    struct trip_seats_held held = a_hold();
    bt_meta meta;
    assert_true(bt_event_encode((bt_event){ &trip_seats_held_message, &held }, &f->buf, &f->err));
    assert_true(bt_meta_peek(bytes_of(&f->buf), &meta));
    assert_true(bt_record_equal(&bt_meta_type, &meta, &held.meta));
    assert_int_equal(bt_record_schema_id(bytes_of(&f->buf)), trip_seats_held_message.schema_id);
}

static void event__cut_short_anywhere__is_refused(void **state)
{
    fixture *f = *state;
    struct trip_seats_held held = a_hold();
    bt_event back;
    assert_true(bt_event_encode((bt_event){ &trip_seats_held_message, &held }, &f->buf, &f->err));
    for (size_t size = 0; size < f->buf.size; size++) {
        assert_false(decode_exactly(f, (bt_bytes){ f->buf.at, size }, &back));
        assert_int_equal(f->err.code, BT_SCHEMA_MALFORMED);
    }
    assert_true(decode_exactly(f, bytes_of(&f->buf), &back));
    bt_buf_byte(&f->buf, 0);
    assert_false(decode_exactly(f, bytes_of(&f->buf), &back));
    assert_non_null(strstr(f->err.message, "1 bytes follow its last field"));
}

static void event__of_an_id_that_is_not_known__is_told_apart(void **state)
{
    fixture *f = *state;
    bt_event back;
    uint8_t value[64] = { 0, 0x7f, 0xff, 0xff, 0xff };
    assert_false(bt_event_decode((bt_bytes){ value, sizeof value }, &f->arena, &back, &f->err));
    assert_int_equal(f->err.code, BT_SCHEMA_UNKNOWN);
    assert_null(bt_event_type_by_id(0));
    assert_null(bt_event_type_by_id((uint32_t)bt_schemas.version_count + 1));
    assert_non_null(bt_event_type_by_id((uint32_t)bt_schemas.version_count));
}

static void event__over_a_ceiling__is_refused_by_name_and_nothing_is_written(void **state)
{
    fixture *f = *state;
    char customer[TRIP_SEATS_HELD_CUSTOMER_MAX + 1];
    memset(customer, 'x', sizeof customer);
    struct trip_seats_held held = a_hold();
    bt_buf_text(&f->buf, "before");
    held.customer = (bt_str){ customer, sizeof customer };
    assert_false(bt_event_encode((bt_event){ &trip_seats_held_message, &held }, &f->buf, &f->err));
    assert_string_equal(f->err.message, "berth.trip.SeatsHeld.customer: longer than berth.max");
    held.customer = BT_STR("\xff");
    assert_false(bt_event_encode((bt_event){ &trip_seats_held_message, &held }, &f->buf, &f->err));
    held.customer = BT_STR("ok");
    held.places_count = TRIP_SEATS_HELD_PLACES_MAX + 1;
    assert_false(bt_event_encode((bt_event){ &trip_seats_held_message, &held }, &f->buf, &f->err));
    assert_str(bt_buf_view(&f->buf), "before");
}

static void event__into_a_buffer_with_too_little_room__leaves_it_as_it_was(void **state)
{
    fixture *f = *state;
    struct trip_seats_held held = a_hold();
    uint8_t storage[256];
    assert_true(bt_event_encode((bt_event){ &trip_seats_held_message, &held }, &f->buf, &f->err));
    for (size_t size = 0; size < f->buf.size + BT_AVRO_SLACK + 2; size++) {
        bt_buf fixed;
        bt_buf_init_fixed(&fixed, storage, size);
        bool good = bt_event_encode((bt_event){ &trip_seats_held_message, &held }, &fixed, &f->err);
        assert_int_equal(fixed.size, good ? f->buf.size : 0);
        assert_false(fixed.overflow);
        assert_false(good && size < f->buf.size);
        assert_false(!good && size >= f->buf.size + BT_AVRO_SLACK);
    }
}

static void event__with_all_kinds_of_fields__comes_back(void **state)
{
    fixture *f = *state;
    const struct trip_point points[] = {
        { .stop = BT_STR("a"), .name = BT_STR("K\xc3\xb6ln"), .arrives_at = 1, .departs_at = 2, .board = true },
        { .stop = BT_STR("b"), .name = BT_STR(""), .arrives_at = -5, .departs_at = INT64_MAX, .alight = true }
    };
    const bt_str seats[] = { BT_STR("1A"), { NULL, 0 }, BT_STR("") };
    const int32_t blocked[] = { 0, 2 };
    const struct trip_section sections[] = {
        { .name = BT_STR("s"), .class = BT_STR("2"), .seats = seats, .seats_count = 3, .blocked = blocked, .blocked_count = 2 },
        { .name = BT_STR("bikes"), .class = BT_STR("b"), .capacity = 1000000 }
    };
    struct trip_opened opened = { .meta = a_hold().meta,
                                  .name = BT_STR("RE 1"),
                                  .timezone = BT_STR("Europe/Berlin"),
                                  .points = points,
                                  .points_count = 2,
                                  .sections = sections,
                                  .sections_count = 2 };
    bt_event back;
    assert_true(bt_event_encode((bt_event){ &trip_opened_message, &opened }, &f->buf, &f->err));
    assert_true(bt_event_decode(bytes_of(&f->buf), &f->arena, &back, &f->err));
    assert_true(bt_record_equal(&trip_opened_type, &opened, back.data));
    const struct trip_opened *again = back.data;
    assert_null(again->sections[0].seats[1].at);
    assert_non_null(again->sections[0].seats[2].at);
}

static void event__as_json__has_hex_ids_and_times_to_read(void **state)
{
    fixture *f = *state;
    struct trip_seats_held held = a_hold();
    bt_record_to_json(&trip_seats_held_type, &held, NULL, &f->buf);
    assert_str(bt_buf_view(&f->buf),
               "{\"meta\":{\"parent\":\"01020300000000000000000000000000\",\"version\":7,\"time\":\"2026-11-22T06:14:56.000001Z\","
               "\"command\":\"09000000000000000000000000000000\",\"body\":\"00000000000000000000000000000000\",\"actor\":\"web\"},"
               "\"hold\":\"ab000000000000000000000000000000\",\"from\":2,\"to\":300,"
               "\"places\":[{\"section\":0,\"seat\":3},{\"section\":0,\"seat\":4},{\"section\":1,\"seat\":-1}],\"customer\":\"c-1\","
               "\"expires_at\":\"2026-11-22T06:24:56.000001Z\"}");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_init, fixture_release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(event__out_and_back__is_the_same),
        WITH_FIXTURE(event__peeked__has_the_same_meta),
        WITH_FIXTURE(event__cut_short_anywhere__is_refused),
        WITH_FIXTURE(event__of_an_id_that_is_not_known__is_told_apart),
        WITH_FIXTURE(event__over_a_ceiling__is_refused_by_name_and_nothing_is_written),
        WITH_FIXTURE(event__into_a_buffer_with_too_little_room__leaves_it_as_it_was),
        WITH_FIXTURE(event__with_all_kinds_of_fields__comes_back),
        WITH_FIXTURE(event__as_json__has_hex_ids_and_times_to_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
