/* trip_body - points from the feed's times, sections from the layout. */
#include "tools/berth/import/trip_body.h"

#include "core/utf8.h"

#include <stdio.h>
#include <stdlib.h>

static bool read_section(seat_layout *layout, const char *text, bt_err *err)
{
    char shape[64];
    int used = 0;
    __typeof__(&layout->sections[0]) section = &layout->sections[layout->section_count];
    if (sscanf(text, "%40[^:,]:%40[^:,]:%63[^:,]%n", section->name, section->class_name, shape, &used) != 3 || text[used] != '\0')
        return bt_fail(err, BT_ERR_INPUT, 0, "--seats: '%s' is no section; write NAME:CLASS:ROWSxLEFT+RIGHT as A:standard:10x2+2, or NAME:CLASS:PLACES as S:standing:30", text);
    int size = 0;
    if (sscanf(shape, "%dx%d+%d%n", &section->rows, &section->left, &section->right, &size) == 3 && shape[size] == '\0') {
        if (section->rows < 1 || section->rows > 500 || section->left < 1 || section->right < 0 || section->left + section->right > 10)
            return bt_fail(err, BT_ERR_INPUT, 0, "--seats: '%s': 1 to 500 rows of at most 10 seats", text);
    } else if (sscanf(shape, "%d%n", &section->capacity, &size) != 1 || shape[size] != '\0' || section->capacity < 1 || section->capacity > 1000000) {
        return bt_fail(err, BT_ERR_INPUT, 0, "--seats: '%s' is neither ROWSxLEFT+RIGHT nor a number of places from 1 to 1,000,000", shape);
    }
    layout->section_count++;
    return true;
}

static void write_rows(bt_buf *out, int32_t rows, int32_t left, int32_t right)
{
    bt_json_open(out, "seats", '[');
    for (int32_t row = 1; row <= rows; row++) {
        for (int32_t seat = 0; seat < left + right; seat++) {
            char label[16];
            int size = snprintf(label, sizeof label, "%d%c", row, 'A' + seat);
            if (seat == left)
                bt_json_null(out, NULL);
            bt_json_str(out, NULL, (bt_str){ label, (size_t)size });
        }
        if (row < rows)
            bt_json_null(out, NULL);
    }
    bt_json_close(out, ']');
}

bool seat_layout_parse(seat_layout *layout, const char *text, bt_err *err)
{
    *layout = (seat_layout){ 0 };
    char copy[512];
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return bt_fail(err, BT_ERR_INPUT, 0, "--seats is over 511 bytes");
    char *rest = copy;
    for (char *part; (part = strsep(&rest, ",")) != NULL;) {
        if (layout->section_count == SEAT_LAYOUT_SECTIONS_MAX)
            return bt_fail(err, BT_ERR_INPUT, 0, "--seats: at most %d sections", SEAT_LAYOUT_SECTIONS_MAX);
        if (!read_section(layout, part, err))
            return false;
    }
    bt_buf_init(&layout->json, 1 << 20);
    bt_json_open(&layout->json, NULL, '[');
    for (size_t i = 0; i < layout->section_count; i++) {
        bt_json_open(&layout->json, NULL, '{');
        bt_json_str(&layout->json, "name", bt_str_of(layout->sections[i].name));
        bt_json_str(&layout->json, "class", bt_str_of(layout->sections[i].class_name));
        if (layout->sections[i].capacity > 0)
            bt_json_i64(&layout->json, "capacity", layout->sections[i].capacity);
        else
            write_rows(&layout->json, layout->sections[i].rows, layout->sections[i].left, layout->sections[i].right);
        bt_json_close(&layout->json, '}');
    }
    bt_json_close(&layout->json, ']');
    return true;
}

void seat_layout_release(seat_layout *layout) { bt_buf_release(&layout->json); }

bt_str dated_trip_id(const gtfs_trip *trip, int64_t to_day, char ret_id[96])
{
    int64_t year;
    unsigned month, day;
    bt_civil_from_days(to_day, &year, &month, &day);
    int size = snprintf(ret_id, 96, BT_STR_FMT "-%04d%02u%02u", BT_STR_ARG(trip->id), (int)year, month, day);
    return (bt_str){ ret_id, (size_t)size };
}

static bool visited_before(const gtfs_trip *trip, int32_t at)
{
    for (int32_t i = 0; i < at; i++)
        if (trip->times[i].stop == trip->times[at].stop)
            return true;
    return false;
}

static void write_point(const gtfs_feed *feed, const gtfs_trip *trip, int32_t at, int64_t day_start_us, bt_buf *out)
{
    const gtfs_stop_time *time = &trip->times[at];
    bt_str stop = feed->stops[time->stop].id;
    char name[120];
    if (visited_before(trip, at))
        stop = (bt_str){ name, (size_t)snprintf(name, sizeof name, BT_STR_FMT "@%d", BT_STR_ARG(stop), at) };
    bt_json_open(out, NULL, '{');
    bt_json_str(out, "stop", stop);
    bt_json_str(out, "name", feed->stops[time->stop].name);
    bt_json_time(out, "arrives_at", day_start_us + time->arrives_s * INT64_C(1000000));
    bt_json_time(out, "departs_at", day_start_us + time->departs_s * INT64_C(1000000));
    if (!time->board)
        bt_json_bool(out, "board", false);
    if (!time->alight)
        bt_json_bool(out, "alight", false);
    bt_json_close(out, '}');
}

void trip_body_write(const gtfs_feed *feed, const gtfs_trip *trip, bt_str id, int64_t day_start_us, const seat_layout *layout, bt_buf *out)
{
    char long_name[400], name[200];
    int size = snprintf(long_name, sizeof long_name, BT_STR_FMT "%s" BT_STR_FMT, BT_STR_ARG(trip->route_name), trip->route_name.size > 0 && trip->headsign.size > 0 ? " to " : "", BT_STR_ARG(trip->headsign));
    bt_json_open(out, NULL, '{');
    bt_json_str(out, "trip", id);
    bt_json_str(out, "name", size > 0 ? (bt_str){ name, bt_utf8_scrub((bt_str){ long_name, (size_t)size }, name, sizeof name) } : trip->id);
    bt_json_str(out, "timezone", feed->timezone.size > 0 ? feed->timezone : BT_STR("UTC"));
    bt_json_open(out, "points", '[');
    for (int32_t i = 0; i < trip->time_count; i++)
        write_point(feed, trip, i, day_start_us, out);
    bt_json_close(out, ']');
    bt_json_raw(out, "sections", bt_buf_view(&layout->json));
    bt_json_close(out, '}');
}
