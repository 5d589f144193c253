/* What real feeds get wrong, one thing a test, and what is made of it. */
#include "core/buf.h"
#include "tests/unit/tools/import/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static gtfs_feed feed;

static int begin(void **unused)
{
    feed = (gtfs_feed){ 0 };
    feed_begin("Australia/Brisbane");
    return 0;
}

static int end(void **unused)
{
    gtfs_feed_release(&feed);
    feed_end();
    return 0;
}

/* Opens the feed with these stop times and gives its one trip. */
static const gtfs_trip *trip_of(const char *rows)
{
    feed_times(rows);
    feed_open(&feed);
    assert_int_equal(feed.trip_count, 1);
    return &feed.trips[0];
}

static void assert_times(const gtfs_trip *trip, const int32_t *minutes, int32_t count)
{
    assert_null(trip->skip_reason);
    assert_int_equal(trip->time_count, count);
    for (int32_t i = 0; i < count; i++) {
        assert_int_equal(trip->times[i].arrives_s, minutes[2 * i] * 60);
        assert_int_equal(trip->times[i].departs_s, minutes[2 * i + 1] * 60);
    }
}
#define ASSERT_TIMES(trip, ...) assert_times((trip), (const int32_t[]){ __VA_ARGS__ }, (int32_t)(sizeof((const int32_t[]){ __VA_ARGS__ }) / 8))

static void blank_times__between_timed_stops__are_spread_evenly(void **unused)
{
    ASSERT_TIMES(trip_of("t,1,a,6:00:00,6:00:00,,\nt,2,b,,,,\nt,3,c,,,,\nt,4,d,06:30:00,06:32:00,,\nt,5,e,06:40:00,,,\n"), 360, 360, 370, 370, 380, 380, 390, 392, 400, 400);
    assert_int_equal(feed.blank_count, 2);
}

static void a_trip__without_a_time_at_its_last_stop__is_left_out_with_a_reason(void **unused)
{
    const gtfs_trip *trip = trip_of("t,1,a,06:00:00,06:00:00,,\nt,2,b,,,,\n");
    assert_non_null(strstr(trip->skip_reason, "no time"));
    assert_int_equal(feed.skipped_count, 1);
}

static void times__past_midnight__count_on(void **unused)
{
    ASSERT_TIMES(trip_of("t,1,a,23:50:00,23:50:00,,\nt,2,b,24:10:00,25:00:00,,\n"), 1430, 1430, 1450, 1500);
}

static void times_that_decrease__are_raised_and_equal_ones_kept(void **unused)
{
    ASSERT_TIMES(trip_of("t,1,a,06:00:00,06:10:00,,\nt,2,b,06:05:00,06:05:00,,\nt,3,c,06:10:00,06:10:00,,\nt,4,d,06:20:00,06:15:00,,\n"),
        360, 370, 370, 370, 370, 370, 380, 380);
    assert_int_equal(feed.raised_count, 2);
}

static void rows__in_any_order_and_with_gaps_in_the_sequence__are_sorted(void **unused)
{
    const gtfs_trip *trip = trip_of("t,70,c,06:20:00,06:20:00,,\nt,5,a,06:00:00,06:00:00,,\nt,50,b,06:10:00,06:10:00,,\n");
    ASSERT_TIMES(trip, 360, 360, 370, 370, 380, 380);
    assert_str(feed.stops[trip->times[0].stop].id, "a");
    assert_str(feed.stops[trip->times[2].stop].id, "c");
}

static void a_stop_visited_again__is_kept_and_counted_also_twice_in_a_row(void **unused)
{
    const gtfs_trip *trip = trip_of("t,1,a,06:00:00,06:00:00,,\nt,2,b,06:10:00,06:10:00,,\nt,3,b,06:12:00,06:12:00,,\nt,4,a,06:20:00,06:20:00,,\n");
    assert_int_equal(trip->time_count, 4);
    assert_int_equal(feed.repeated_stop_count, 2);
}

static void boarding_and_alighting_rules__are_kept_and_only_1_is_no(void **unused)
{
    const gtfs_trip *trip = trip_of("t,1,a,06:00:00,06:00:00,0,1\nt,2,b,06:10:00,06:10:00,2,3\nt,3,c,06:20:00,06:20:00,1,\n");
    assert_true(trip->times[0].board && !trip->times[0].alight);
    assert_true(trip->times[1].board && trip->times[1].alight);
    assert_true(!trip->times[2].board && trip->times[2].alight);
}

static void a_trip__of_64_stops__is_sold_and_one_of_65_left_out(void **unused)
{
    char rows[16384] = "", row[64];
    for (int i = 0; i < 64; i++)
        strcat(rows, (snprintf(row, sizeof row, "t,%d,%c,06:%02d:00,06:%02d:00,,\n", i, 'a' + i % 5, i % 60 == i ? i : 59, i % 60 == i ? i : 59), row));
    assert_null(trip_of(rows)->skip_reason);
    gtfs_feed_release(&feed);
    strcat(rows, "t,64,a,07:00:00,07:00:00,,\n");
    assert_non_null(strstr(trip_of(rows)->skip_reason, "64"));
}

static void a_trip__of_one_stop_or_none__is_left_out(void **unused)
{
    feed_write("trips.txt", "route_id,service_id,trip_id,trip_headsign\nr,s,t,Harbour\nr,s,u,Harbour\n");
    feed_times("t,1,a,06:00:00,06:00:00,,\n");
    feed_open(&feed);
    assert_non_null(feed.trips[0].skip_reason);
    assert_non_null(feed.trips[1].skip_reason);
    assert_int_equal(feed.skipped_count, 2);
}

static bool runs_on(const char *day_text)
{
    int64_t day;
    assert_true(gtfs_day_from_text(bt_str_of(day_text), &day));
    return gtfs_service_runs(&feed.services[0], day);
}

static void a_service__runs_on_its_weekdays_within_its_dates_and_as_its_exceptions_say(void **unused)
{
    feed_write("calendar.txt", "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\ns,1,0,0,0,0,0,0,20140602,20140616\n");
    feed_write("calendar_dates.txt", "service_id,date,exception_type\ns,20140609,2\ns,20140610,1\ns,20140801,1\n");
    feed_times("t,1,a,06:00:00,06:00:00,,\nt,2,b,06:10:00,06:10:00,,\n");
    feed_open(&feed);
    assert_true(runs_on("2014-06-02") && runs_on("20140616"));         /* Mondays, both ends */
    assert_false(runs_on("2014-06-03") || runs_on("2014-06-23"));      /* a Tuesday; after the end */
    assert_false(runs_on("2014-06-09"));                               /* taken out */
    assert_true(runs_on("2014-06-10") && runs_on("2014-08-01"));       /* put in, also outside of its dates */
    int64_t last;
    assert_true(gtfs_day_from_text(BT_STR("2014-08-01"), &last));
    assert_true(feed.last_day == last);
}

static void a_feed__with_calendar_dates_only__runs_on_those(void **unused)
{
    char path[200];
    snprintf(path, sizeof path, "%s/calendar.txt", feed_path());
    unlink(path);
    feed_write("calendar_dates.txt", "service_id,date,exception_type\ns,20140610,1\n");
    feed_times("t,1,a,06:00:00,06:00:00,,\nt,2,b,06:10:00,06:10:00,,\n");
    feed_open(&feed);
    assert_true(runs_on("2014-06-10"));
    assert_false(runs_on("2014-06-11"));
    assert_true(feed.first_day == feed.last_day);
}

static void a_day__begins_twelve_hours_before_noon_also_when_the_clocks_change(void **unused)
{
    static const struct { const char *day, *start; } days[] = { { "2026-03-28", "2026-03-27T23:00:00Z" }, { "2026-03-29", "2026-03-28T22:00:00Z" },
        { "2026-10-25", "2026-10-24T23:00:00Z" }, { "2026-10-26", "2026-10-25T23:00:00Z" } };
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    for (size_t i = 0; i < BT_COUNT_OF(days); i++) {
        int64_t day, start_us;
        assert_true(gtfs_day_from_text(bt_str_of(days[i].day), &day) && bt_time_from_text(bt_str_of(days[i].start), &start_us));
        assert_true(gtfs_day_start_us(day) == start_us);
    }
}

static void a_day__that_does_not_exist__is_none(void **unused)
{
    static const char *const bad[] = { "", "2014", "2014-6-2", "20140231", "2014-13-01", "2014-00-10", "2014-06-00", "2014060211", "2014/06/02", "tomorrow", "-2014602" };
    int64_t day;
    for (size_t i = 0; i < BT_COUNT_OF(bad); i++)
        if (gtfs_day_from_text(bt_str_of(bad[i]), &day))
            fail_msg("taken: %s", bad[i]);
    assert_true(gtfs_day_from_text(BT_STR("20240229"), &day));
    assert_false(gtfs_day_from_text(BT_STR("20230229"), &day));
}

static void a_file__with_a_byte_order_mark_crlf_quotes_and_blank_lines__is_read(void **unused)
{
    feed_write("stops.txt", "\xef\xbb\xbf\"stop_id\",extra,\"stop_name\"\r\na,x,\"Alpha, \"\"Main\"\" St\"\r\n\r\nb,,Beta\r\n");
    const gtfs_trip *trip = trip_of("t,1,a,06:00:00,06:00:00,,\r\nt,2,b,06:10:00,06:10:00,,\r\n");
    assert_null(trip->skip_reason);
    assert_int_equal(feed.stop_count, 2);
    assert_str(feed.stops[0].id, "a");
    assert_str(feed.stops[0].name, "Alpha, \"Main\" St");
}

static void a_last_row__without_a_line_end__is_read(void **unused)
{
    ASSERT_TIMES(trip_of("t,1,a,06:00:00,06:00:00,,\nt,2,b,06:10:00,06:11:00"), 360, 360, 370, 371);
}

static void a_missing_column_or_file__is_named(void **unused)
{
    feed_times("");
    feed_write("stops.txt", "id,stop_name\na,Alpha\n");
    feed_refused("stops.txt: the column 'stop_id' is missing");
    feed_write("stops.txt", "");
    feed_refused("stops.txt: is empty");
    char path[200];
    snprintf(path, sizeof path, "%s/stops.txt", feed_path());
    unlink(path);
    feed_refused("stops.txt");
}

/* Two trips, of which the feed spoils t; u is as it should be. */
static const gtfs_trip *spoilt(const char *rows)
{
    char text[4096];
    snprintf(text, sizeof text, "%su,1,a,06:00:00,06:00:00,,\nu,2,b,06:10:00,06:10:00,,\n", rows);
    feed_write("trips.txt", "route_id,service_id,trip_id,trip_headsign\nr,s,t,Harbour\nr,s,u,Harbour\n");
    feed_times(text);
    feed_open(&feed);
    assert_null(feed.trips[1].skip_reason);
    assert_int_equal(feed.skipped_count, 1);
    return &feed.trips[0];
}

static void a_row__that_makes_no_sense__costs_its_trip_alone_and_is_told_with_its_line(void **unused)
{
    static const struct { const char *rows, *where, *what; } bad[] = {
        { "t,1,a,06:00:00,06:00:00,,\nt,x,b,06:10:00,06:10:00,,\n", "stop_times.txt line 3: ", "'x'" },
        { "t,1,a,6 am,06:00:00,,\n", "stop_times.txt line 2: ", "HH:MM:SS" }, { "t,1,a,06:60:00,06:00:00,,\n", "line 2: ", "HH:MM:SS" },
        { "t,1,a,-6:00:00,06:00:00,,\n", "line 2: ", "HH:MM:SS" },
        { "t,1,a,06:00:00,06:00:00,,\nt,1,z,06:00:00,06:00:00,,\n", "line 3: ", "'z' is not in stops.txt" },
    };
    for (size_t i = 0; i < BT_COUNT_OF(bad); i++) {
        const char *reason = spoilt(bad[i].rows)->skip_reason;
        if (strstr(reason, bad[i].where) == NULL || strstr(reason, bad[i].what) == NULL)
            fail_msg("'%s' or '%s' is not in: %s", bad[i].where, bad[i].what, reason);
        gtfs_feed_release(&feed);
    }
}

static void a_stop__whose_id_the_api_does_not_take__costs_only_the_trips_that_call_there(void **unused)
{
    char stops[300];
    snprintf(stops, sizeof stops, "stop_id,stop_name\na,Alpha\nb,Beta\nde:08111:1,Gamma\n%081d,Delta\nnot-called-at !,E\n", 0);
    feed_write("stops.txt", stops);
    const char *reason = spoilt("t,1,a,06:00:00,06:00:00,,\nt,2,de:08111:1,06:10:00,06:10:00,,\n")->skip_reason;
    assert_non_null(strstr(reason, "stop_times.txt line 3: the stop's id 'de:08111:1' is not 1 to 80"));
    assert_non_null(strstr(reason, "stops.txt (line 4)"));
    gtfs_feed_release(&feed);
    char rows[200];
    snprintf(rows, sizeof rows, "t,1,%081d,06:10:00,06:10:00,,\n", 0);
    assert_non_null(strstr(spoilt(rows)->skip_reason, "not 1 to 80"));
}

static void a_trip__with_an_id_that_does_not_fit__is_left_out_alone(void **unused)
{
    feed_write("trips.txt", "route_id,service_id,trip_id\nr,s,t 1\nr,s,u\n");
    feed_times("t 1,1,a,06:00:00,06:00:00,,\nt 1,2,b,06:10:00,06:10:00,,\nu,1,a,06:00:00,06:00:00,,\nu,2,b,06:10:00,06:10:00,,\n");
    feed_open(&feed);
    assert_non_null(strstr(feed.trips[0].skip_reason, "trips.txt line 2: the trip's id is not 1 to 70"));
    assert_null(feed.trips[1].skip_reason);
}

static void rows__of_a_trip_that_is_not_there__are_counted(void **unused)
{
    ASSERT_TIMES(trip_of("t,1,a,06:00:00,06:00:00,,\nv,1,a,06:00:00,06:00:00,,\nt,2,b,06:10:00,06:10:00,,\nv,2,b,06:10:00,06:10:00,,\n"), 360, 360, 370, 370);
    assert_int_equal(feed.stray_count, 2);
    assert_int_equal(feed.stray_line, 3);
}

static void a_line__is_told_as_an_editor_counts_it(void **unused)
{
    feed_write("calendar.txt", "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\r\n\r\n\"s\r\n\r\nt\",1,1,1,1,1,1,1,20140601,20140630\r\n \r\n"
                               "s,1,1,1,1,1,1,1,soon,20140630\r\n");
    feed_times("");
    feed_refused("calendar.txt line 7: ");
    feed_write("calendar.txt", "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\r\rs,1,1,1,1,1,1,1,soon,20140630\r");
    feed_refused("calendar.txt line 3: ");
}

static void a_zip__that_is_broken_or_holds_no_feed__is_told(void **unused)
{
    gtfs_feed zipped;
    bt_err err = { 0 };
    char path[200];
    snprintf(path, sizeof path, "%s/feed.zip", feed_path());
    feed_write("feed.zip", "PK this is no zip");
    assert_false(gtfs_feed_open(&zipped, path, &err));
    assert_non_null(strstr(err.message, "not a readable zip"));
    gtfs_feed_release(&zipped);
    feed_write("feed.zip", "");
    assert_false(gtfs_feed_open(&zipped, path, &err));
    gtfs_feed_release(&zipped);
    assert_false(gtfs_feed_open(&zipped, "/nowhere/feed.zip", &err));
    assert_non_null(strstr(err.message, "/nowhere/feed.zip"));
    gtfs_feed_release(&zipped);
}

static void a_long_name__is_cut_between_characters(void **unused)
{
    char text[400] = "stop_id,stop_name\na,x"; /* 200 bytes end within the hundredth \u00e4 */
    for (int i = 0; i < 120; i++)
        strcat(text, "\xc3\xa4");
    feed_write("stops.txt", strcat(text, "\nb,Beta\n"));
    trip_of("t,1,a,06:00:00,06:00:00,,\nt,2,b,06:10:00,06:10:00,,\n");
    assert_int_equal(feed.stops[0].name.size, 199);
}

static void a_name__in_another_encoding__is_made_utf_8(void **unused)
{
    feed_write("stops.txt", "stop_id,stop_name\na,Z\xfc" "rich\nb,Beta\n");
    trip_of("t,1,a,06:00:00,06:00:00,,\nt,2,b,06:10:00,06:10:00,,\n");
    assert_str(feed.stops[0].name, "Z\xef\xbf\xbd" "rich");
}

static void the_feed_of_cairns__has_622_trips_on_a_monday_and_117199_on_all_days(void **unused)
{
    bt_err err = { 0 };
    gtfs_feed cairns;
    if (!gtfs_feed_open(&cairns, CAIRNS_FEED, &err))
        fail_msg("%s", err.message);
    int64_t monday, on_monday = 0, on_all = 0;
    assert_true(gtfs_day_from_text(BT_STR("2014-06-02"), &monday));
    for (int32_t t = 0; t < cairns.trip_count; t++)
        for (int64_t day = cairns.first_day; day <= cairns.last_day; day++)
            if (cairns.trips[t].skip_reason == NULL && gtfs_service_runs(&cairns.services[cairns.trips[t].service], day)) {
                on_all++;
                on_monday += day == monday;
            }
    assert_int_equal(on_monday, 622);
    assert_int_equal(on_all, 117199); /* 118,637 by weekdays alone; nine exceptions, holidays, take 1,438 out */
    assert_int_equal(cairns.skipped_count, 0);
    gtfs_feed_release(&cairns);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(blank_times__between_timed_stops__are_spread_evenly),
        IN_A_FOLDER(a_trip__without_a_time_at_its_last_stop__is_left_out_with_a_reason),
        IN_A_FOLDER(times__past_midnight__count_on),
        IN_A_FOLDER(times_that_decrease__are_raised_and_equal_ones_kept),
        IN_A_FOLDER(rows__in_any_order_and_with_gaps_in_the_sequence__are_sorted),
        IN_A_FOLDER(a_stop_visited_again__is_kept_and_counted_also_twice_in_a_row),
        IN_A_FOLDER(boarding_and_alighting_rules__are_kept_and_only_1_is_no),
        IN_A_FOLDER(a_trip__of_64_stops__is_sold_and_one_of_65_left_out),
        IN_A_FOLDER(a_trip__of_one_stop_or_none__is_left_out),
        IN_A_FOLDER(a_service__runs_on_its_weekdays_within_its_dates_and_as_its_exceptions_say),
        IN_A_FOLDER(a_feed__with_calendar_dates_only__runs_on_those),
        cmocka_unit_test(a_day__begins_twelve_hours_before_noon_also_when_the_clocks_change),
        cmocka_unit_test(a_day__that_does_not_exist__is_none),
        IN_A_FOLDER(a_file__with_a_byte_order_mark_crlf_quotes_and_blank_lines__is_read),
        IN_A_FOLDER(a_last_row__without_a_line_end__is_read),
        IN_A_FOLDER(a_missing_column_or_file__is_named),
        IN_A_FOLDER(a_row__that_makes_no_sense__costs_its_trip_alone_and_is_told_with_its_line),
        IN_A_FOLDER(a_stop__whose_id_the_api_does_not_take__costs_only_the_trips_that_call_there),
        IN_A_FOLDER(a_trip__with_an_id_that_does_not_fit__is_left_out_alone),
        IN_A_FOLDER(rows__of_a_trip_that_is_not_there__are_counted),
        IN_A_FOLDER(a_line__is_told_as_an_editor_counts_it),
        IN_A_FOLDER(a_zip__that_is_broken_or_holds_no_feed__is_told),
        IN_A_FOLDER(a_long_name__is_cut_between_characters),
        IN_A_FOLDER(a_name__in_another_encoding__is_made_utf_8),
        cmocka_unit_test(the_feed_of_cairns__has_622_trips_on_a_monday_and_117199_on_all_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
