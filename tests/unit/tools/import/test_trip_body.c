/* Seat layouts as they are typed, and the body of POST /v1/trips that comes of a trip: read back by jansson. */
#include "tests/unit/tools/import/feed.h"
#include "tools/berth/import/trip_body.h"

#include <jansson.h>
#include <string.h>

static json_t *parse(const bt_buf *text)
{
    json_error_t why;
    json_t *json = json_loadb((const char *)text->at, text->size, JSON_DECODE_ANY, &why);
    if (json == NULL)
        fail_msg("%s", why.text);
    return json;
}

static json_t *sections_of(const char *layout_text)
{
    seat_layout layout;
    bt_err err = { 0 };
    if (!seat_layout_parse(&layout, layout_text, &err))
        fail_msg("%s", err.message);
    json_t *json = parse(&layout.json);
    seat_layout_release(&layout);
    return json;
}

static const char *text_at(json_t *array, size_t at) { return json_string_value(json_array_get(array, at)); }

static void rows__with_an_aisle__have_null_between_the_sides_and_between_rows(void **unused)
{
    json_t *sections = sections_of("A:standard:2x2+1");
    json_t *seats = json_object_get(json_array_get(sections, 0), "seats");
    static const char *const wanted[] = { "1A", "1B", NULL, "1C", NULL, "2A", "2B", NULL, "2C" };
    assert_int_equal(json_array_size(seats), BT_COUNT_OF(wanted));
    for (size_t i = 0; i < BT_COUNT_OF(wanted); i++)
        if (wanted[i] == NULL)
            assert_true(json_is_null(json_array_get(seats, i)));
        else
            assert_string_equal(text_at(seats, i), wanted[i]);
    json_decref(sections);
}

static void several_sections__with_commas__keep_their_order(void **unused)
{
    json_t *sections = sections_of("A:first:1x1+0,S:standing:30");
    assert_int_equal(json_array_size(sections), 2);
    assert_int_equal(json_array_size(json_object_get(json_array_get(sections, 0), "seats")), 1);
    json_t *standing = json_array_get(sections, 1);
    assert_string_equal(json_string_value(json_object_get(standing, "class")), "standing");
    assert_int_equal(json_integer_value(json_object_get(standing, "capacity")), 30);
    assert_null(json_object_get(standing, "seats"));
    json_decref(sections);
}

static void a_layout__that_is_none__is_refused_with_an_example_or_a_limit(void **unused)
{
    static const char *const bad[] = { "", "A", "A:b", "A:b:", "A:b:c", "A:b:10x2", "A:b:10x2+", "A:b:10x2+2z", "A:b:0x2+2", "A:b:501x1+1", "A:b:1x6+5", "A:b:1x0+2", "A:b:1x2+-1", "A:b:0", "A:b:-3",
        "A:b:1000001", "A:b:10:11", "A:b:30,", ",A:b:30", "A:b:99999999999999999999", "A:b:30,B:b:30,C:b:30,D:b:30,E:b:30,F:b:30,G:b:30,H:b:30,I:b:30" };
    for (size_t i = 0; i < BT_COUNT_OF(bad); i++) {
        seat_layout layout;
        bt_err err = { 0 };
        if (seat_layout_parse(&layout, bad[i], &err))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(err.kind, BT_ERR_INPUT);
        assert_non_null(strstr(err.message, "--seats"));
        seat_layout_release(&layout);
    }
}

static json_t *body_of(const char *rows)
{
    gtfs_feed feed;
    seat_layout layout;
    bt_err err = { 0 };
    bt_buf out;
    char id_text[96];
    int64_t start_us;
    feed_times(rows);
    feed_open(&feed);
    assert_true(seat_layout_parse(&layout, "S:standing:30", &err) && bt_time_from_text(BT_STR("2026-11-21T14:00:00Z"), &start_us));
    bt_buf_init(&out, 1 << 20);
    trip_body_write(&feed, &feed.trips[0], dated_trip_id(&feed.trips[0], start_us / 86400000000 + 1, id_text), start_us, &layout, &out);
    json_t *body = parse(&out);
    bt_buf_release(&out);
    seat_layout_release(&layout);
    gtfs_feed_release(&feed);
    return body;
}

static const char *of_point(json_t *body, size_t at, const char *name) { return json_string_value(json_object_get(json_array_get(json_object_get(body, "points"), at), name)); }

static void a_trip__of_a_day__has_its_date_its_route_and_its_times_in_utc(void **unused)
{
    json_t *body = body_of("t,1,a,23:50:00,23:51:00,,1\nt,2,b,24:10:00,24:10:00,1,\n");
    assert_string_equal(json_string_value(json_object_get(body, "trip")), "t-20261122");
    assert_string_equal(json_string_value(json_object_get(body, "name")), "12 Airport Line to Harbour");
    assert_string_equal(json_string_value(json_object_get(body, "timezone")), "Australia/Brisbane");
    assert_string_equal(of_point(body, 0, "departs_at"), "2026-11-22T13:51:00Z");
    assert_string_equal(of_point(body, 1, "arrives_at"), "2026-11-22T14:10:00Z"); /* 24:10 in Brisbane */
    json_t *first = json_array_get(json_object_get(body, "points"), 0), *last = json_array_get(json_object_get(body, "points"), 1);
    assert_true(json_is_false(json_object_get(first, "alight")) && json_object_get(first, "board") == NULL);
    assert_true(json_is_false(json_object_get(last, "board")) && json_object_get(last, "alight") == NULL);
    json_decref(body);
}

static void a_stop__visited_again__is_named_with_its_index(void **unused)
{
    json_t *body = body_of("t,1,a,06:00:00,06:00:00,,\nt,2,b,06:10:00,06:10:00,,\nt,3,b,06:11:00,06:11:00,,\nt,4,a,06:20:00,06:20:00,,\n");
    static const char *const wanted[] = { "a", "b", "b@2", "a@3" };
    for (size_t i = 0; i < BT_COUNT_OF(wanted); i++)
        assert_string_equal(of_point(body, i, "stop"), wanted[i]);
    json_decref(body);
}

static void a_trip__with_a_long_headsign__has_a_name_that_is_cut_between_characters(void **unused)
{
    char trips[600] = "route_id,service_id,trip_id,trip_headsign\nr,s,t,x";
    for (int i = 0; i < 150; i++)
        strcat(trips, "\xc3\xa4");
    feed_write("trips.txt", strcat(trips, "\n"));
    json_t *body = body_of("t,1,a,06:00:00,06:00:00,,\nt,2,b,06:10:00,06:10:00,,\n"); /* jansson refuses half a character */
    size_t size = json_string_length(json_object_get(body, "name"));
    assert_in_range(size, 190, 200);
    json_decref(body);
}

static int begin(void **unused)
{
    feed_begin("Australia/Brisbane");
    return 0;
}

static int end(void **unused)
{
    feed_end();
    return 0;
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows__with_an_aisle__have_null_between_the_sides_and_between_rows),
        cmocka_unit_test(several_sections__with_commas__keep_their_order),
        cmocka_unit_test(a_layout__that_is_none__is_refused_with_an_example_or_a_limit),
        IN_A_FOLDER(a_trip__of_a_day__has_its_date_its_route_and_its_times_in_utc),
        IN_A_FOLDER(a_stop__visited_again__is_named_with_its_index),
        IN_A_FOLDER(a_trip__with_a_long_headsign__has_a_name_that_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
