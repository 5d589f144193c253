/* gtfs - reads the six files that matter for selling seats and mends what real feeds get wrong. */
#include "tools/berth/import/gtfs.h"

#include "core/utf8.h"
#include "tools/berth/import/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zip.h>

#define NAME_SIZE_MAX 200 /* bytes, as the API takes them */
#define TRIP_ID_SIZE_MAX 70 /* bytes: with the day it must fit into 80 */

/* Names to indices; open addressing, doubled when half full. */
typedef struct names {
    struct { bt_str name; int32_t index; } *slots;
    size_t capacity, count;
} names;

static int32_t *names_slot(names *table, bt_str name)
{
    size_t at = bt_str_hash(name) & (table->capacity - 1);
    while (table->slots[at].name.at != NULL && !bt_str_equal(table->slots[at].name, name))
        at = (at + 1) & (table->capacity - 1);
    if (table->slots[at].name.at == NULL)
        table->slots[at].index = -1;
    return &table->slots[at].index;
}

static int32_t names_find(names *table, bt_str name) { return table->capacity == 0 ? -1 : *names_slot(table, name); }

static void names_put(names *table, bt_str name, int32_t index)
{
    if (table->count * 2 >= table->capacity) {
        names bigger = { .capacity = table->capacity == 0 ? 1024 : table->capacity * 2, .count = table->count };
        bigger.slots = bt_alloc(bigger.capacity * sizeof bigger.slots[0]);
        for (size_t i = 0; i < table->capacity; i++)
            if (table->slots[i].name.at != NULL) {
                size_t at = bt_str_hash(table->slots[i].name) & (bigger.capacity - 1);
                while (bigger.slots[at].name.at != NULL)
                    at = (at + 1) & (bigger.capacity - 1);
                bigger.slots[at].name = table->slots[i].name;
                bigger.slots[at].index = table->slots[i].index;
            }
        bt_release(table->slots);
        *table = bigger;
    }
    size_t at = bt_str_hash(name) & (table->capacity - 1);
    while (table->slots[at].name.at != NULL)
        at = (at + 1) & (table->capacity - 1);
    table->slots[at].name = name;
    table->slots[at].index = index;
    table->count++;
}

typedef struct loading {
    gtfs_feed *feed;
    names stops, services, trips, routes;
    bt_str *route_names;
    int32_t route_count;
    size_t stop_capacity, service_capacity, trip_capacity, route_capacity;
    const char *path;
    zip_t *zip; /* NULL: a folder */
} loading;

/* Room for one more item behind *items. */
static void grow(void **items, size_t *capacity, int32_t count, size_t item_size)
{
    if ((size_t)count < *capacity)
        return;
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    *items = bt_resize(*items, *capacity * item_size);
}

static bool number_of(bt_str text, int32_t *ret_value)
{
    if (text.size == 0 || text.size > 9)
        return false;
    int32_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        value = value * 10 + (text.at[i] - '0');
    }
    *ret_value = value;
    return true;
}

bool gtfs_day_from_text(bt_str text, int64_t *ret_day)
{
    char plain[9] = { 0 };
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] == '-' && (i == 4 || i == 7))
            continue;
        if (size == 8)
            return false;
        plain[size++] = text.at[i];
    }
    int32_t year, month, day;
    if (size != 8 || !number_of((bt_str){ plain, 4 }, &year) || !number_of((bt_str){ plain + 4, 2 }, &month) || !number_of((bt_str){ plain + 6, 2 }, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    *ret_day = bt_days_from_civil(year, (unsigned)month, (unsigned)day);
    int64_t back_year;
    unsigned back_month, back_day;
    bt_civil_from_days(*ret_day, &back_year, &back_month, &back_day);
    return back_day == (unsigned)day;
}

int64_t gtfs_day_start_us(int64_t day)
{
    int64_t year;
    unsigned month, month_day;
    bt_civil_from_days(day, &year, &month, &month_day);
    struct tm noon = { .tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)month_day, .tm_hour = 12, .tm_isdst = -1 };
    return ((int64_t)mktime(&noon) - 12 * 3600) * INT64_C(1000000);
}

bool gtfs_service_runs(const gtfs_service *service, int64_t day)
{
    for (int32_t i = 0; i < service->exception_count; i++)
        if (service->exceptions[i].day == day)
            return service->exceptions[i].added;
    int64_t weekday = ((day + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    return day >= service->first_day && day <= service->last_day && service->weekday[weekday];
}

/* A copy of at most size_max bytes that is UTF-8, whatever the feed is, and ends with a whole character. */
static bt_str copy_text(bt_arena *arena, bt_str text, size_t size_max)
{
    char *copy = bt_arena_take(arena, size_max);
    return (bt_str){ copy, bt_utf8_scrub(text, copy, size_max) };
}

#define SKIP(feed, trip, ...) ((trip)->skip_reason != NULL ? (void)0 : (void)((trip)->skip_reason = bt_arena_printf(&(feed)->arena, __VA_ARGS__).at)) /* the first reason stays */

/* As much of a field as a message needs, and never more. */
static bt_str cut(bt_str text) { return (bt_str){ text.at, text.size < 120 ? text.size : 120 }; }

static bool on_agency(void *context, size_t line, const bt_str *fields, bt_err *err)
{
    (void)line;
    (void)err;
    gtfs_feed *feed = ((loading *)context)->feed;
    if (feed->timezone.size == 0)
        feed->timezone = bt_arena_copy(&feed->arena, fields[0]);
    return true;
}

static bool on_stop(void *context, size_t line, const bt_str *fields, bt_err *err)
{
    (void)err;
    loading *l = context;
    gtfs_feed *feed = l->feed;
    grow((void **)&feed->stops, &l->stop_capacity, feed->stop_count, sizeof feed->stops[0]);
    feed->stops[feed->stop_count].id = bt_arena_copy(&feed->arena, fields[0]);
    feed->stops[feed->stop_count].line = line;
    feed->stops[feed->stop_count].name = copy_text(&feed->arena, fields[1], NAME_SIZE_MAX);
    names_put(&l->stops, feed->stops[feed->stop_count].id, feed->stop_count);
    feed->stop_count++;
    return true;
}

static bool on_route(void *context, size_t line, const bt_str *fields, bt_err *err)
{
    (void)line;
    (void)err;
    loading *l = context;
    grow((void **)&l->route_names, &l->route_capacity, l->route_count, sizeof l->route_names[0]);
    bt_str short_name = copy_text(&l->feed->arena, fields[1], 40), long_name = copy_text(&l->feed->arena, fields[2], 100);
    bt_str name = bt_arena_printf(&l->feed->arena, BT_STR_FMT "%s" BT_STR_FMT, BT_STR_ARG(short_name), short_name.size > 0 && long_name.size > 0 ? " " : "", BT_STR_ARG(long_name));
    l->route_names[l->route_count] = name;
    names_put(&l->routes, bt_arena_copy(&l->feed->arena, fields[0]), l->route_count++);
    return true;
}

static int32_t service_of(loading *l, bt_str id)
{
    int32_t index = names_find(&l->services, id);
    if (index >= 0)
        return index;
    gtfs_feed *feed = l->feed;
    grow((void **)&feed->services, &l->service_capacity, feed->service_count, sizeof feed->services[0]);
    feed->services[feed->service_count] = (gtfs_service){ .id = bt_arena_copy(&feed->arena, id), .first_day = 1, .last_day = 0 };
    names_put(&l->services, feed->services[feed->service_count].id, feed->service_count);
    return feed->service_count++;
}

static bool on_calendar(void *context, size_t line, const bt_str *fields, bt_err *err)
{
    (void)line;
    loading *l = context;
    int32_t index = service_of(l, fields[0]); /* may move the services */
    gtfs_service *service = &l->feed->services[index];
    for (int i = 0; i < 7; i++)
        service->weekday[i] = bt_str_is(fields[1 + i], "1");
    if (!gtfs_day_from_text(fields[8], &service->first_day) || !gtfs_day_from_text(fields[9], &service->last_day))
        return bt_fail(err, BT_ERR_INPUT, 0, "start_date and end_date must be YYYYMMDD");
    return true;
}

static bool on_calendar_date(void *context, size_t line, const bt_str *fields, bt_err *err)
{
    (void)line;
    loading *l = context;
    int32_t index = service_of(l, fields[0]); /* may move the services */
    gtfs_service *service = &l->feed->services[index];
    int64_t day;
    if (!gtfs_day_from_text(fields[1], &day))
        return bt_fail(err, BT_ERR_INPUT, 0, "date must be YYYYMMDD");
    if (service->exception_count == (int32_t)BT_COUNT_OF(service->exceptions))
        return bt_fail(err, BT_ERR_INPUT, 0, "more than %zu exceptions of one service", BT_COUNT_OF(service->exceptions));
    service->exceptions[service->exception_count].day = day;
    service->exceptions[service->exception_count++].added = bt_str_is(fields[2], "1");
    return true;
}

static bool on_trip(void *context, size_t line, const bt_str *fields, bt_err *err)
{
    (void)err;
    loading *l = context;
    gtfs_feed *feed = l->feed;
    grow((void **)&feed->trips, &l->trip_capacity, feed->trip_count, sizeof feed->trips[0]);
    int32_t route = names_find(&l->routes, fields[3]);
    feed->trips[feed->trip_count] = (gtfs_trip){ .line = line, .id = bt_arena_copy(&feed->arena, fields[0]), .service = service_of(l, fields[1]),
        .headsign = copy_text(&feed->arena, fields[2], NAME_SIZE_MAX), .route_name = route < 0 ? (bt_str){ "", 0 } : l->route_names[route] };
    gtfs_trip *trip = &feed->trips[feed->trip_count++];
    if (!bt_name_is_valid(trip->id) || trip->id.size > TRIP_ID_SIZE_MAX)
        SKIP(feed, trip, "trips.txt line %zu: the trip's id is not 1 to %d of A-Z a-z 0-9 . _ ~ -; give it another, there and in stop_times.txt", line, TRIP_ID_SIZE_MAX);
    names_put(&l->trips, trip->id, feed->trip_count - 1);
    return true;
}

/* H:MM:SS or HH:MM:SS, hours past 23 allowed; blank gives -1. */
static bool seconds_of(bt_str text, int32_t *ret_seconds)
{
    if (text.size == 0) {
        *ret_seconds = -1;
        return true;
    }
    size_t colon = 0;
    while (colon < text.size && text.at[colon] != ':')
        colon++;
    int32_t hours, minutes, seconds;
    if (text.size != colon + 6 || text.at[colon + 3] != ':' || !number_of((bt_str){ text.at, colon }, &hours) ||
        !number_of((bt_str){ text.at + colon + 1, 2 }, &minutes) || !number_of((bt_str){ text.at + colon + 4, 2 }, &seconds) || hours > 99 || minutes > 59 || seconds > 59)
        return false;
    *ret_seconds = hours * 3600 + minutes * 60 + seconds;
    return true;
}

static bool on_stop_time(void *context, size_t line, const bt_str *fields, bt_err *err)
{
    (void)err;
    loading *l = context;
    gtfs_feed *feed = l->feed;
    int32_t trip_index = names_find(&l->trips, fields[0]), stop = names_find(&l->stops, fields[1]);
    if (trip_index < 0) {
        feed->stray_line = feed->stray_count++ == 0 ? line : feed->stray_line;
        return true;
    }
    gtfs_trip *trip = &feed->trips[trip_index];
    gtfs_stop_time time = { .stop = stop, .board = !bt_str_is(fields[5], "1"), .alight = !bt_str_is(fields[6], "1") };
    if (stop < 0)
        SKIP(feed, trip, "stop_times.txt line %zu: the stop '" BT_STR_FMT "' is not in stops.txt; add it there, or take the row out", line, BT_STR_ARG(cut(fields[1])));
    else if (!bt_name_is_valid(fields[1]))
        SKIP(feed, trip, "stop_times.txt line %zu: the stop's id '" BT_STR_FMT "' is not 1 to 80 of A-Z a-z 0-9 . _ ~ -; give it another, there and in stops.txt (line %zu)", line,
            BT_STR_ARG(cut(fields[1])), feed->stops[stop].line);
    else if (!number_of(fields[2], &time.sequence))
        SKIP(feed, trip, "stop_times.txt line %zu: stop_sequence '" BT_STR_FMT "' is no number; write one", line, BT_STR_ARG(cut(fields[2])));
    else if (!seconds_of(fields[3], &time.arrives_s) || !seconds_of(fields[4], &time.departs_s))
        SKIP(feed, trip, "stop_times.txt line %zu: the times '" BT_STR_FMT "' and '" BT_STR_FMT "' must be HH:MM:SS, or blank", line, BT_STR_ARG(cut(fields[3])), BT_STR_ARG(cut(fields[4])));
    if (trip->time_count == trip->time_capacity) {
        trip->time_capacity = trip->time_capacity == 0 ? 32 : trip->time_capacity * 2;
        trip->times = bt_resize(trip->times, (size_t)trip->time_capacity * sizeof trip->times[0]);
    }
    trip->times[trip->time_count++] = time;
    return true;
}

static int by_sequence(const void *a, const void *b)
{
    const gtfs_stop_time *x = a, *y = b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* Spreads blank times evenly between the timed points around them. */
static void interpolate(gtfs_feed *feed, gtfs_trip *trip)
{
    int32_t timed = 0;
    for (int32_t i = 1; i < trip->time_count; i++) {
        if (trip->times[i].arrives_s < 0)
            continue;
        int32_t from_s = trip->times[timed].departs_s, gap_s = trip->times[i].arrives_s - from_s, steps = i - timed;
        for (int32_t blank = timed + 1; blank < i; blank++, feed->blank_count++)
            trip->times[blank].arrives_s = trip->times[blank].departs_s = from_s + (int32_t)((int64_t)gap_s * (blank - timed) / steps);
        timed = i;
    }
}

static void mend(gtfs_feed *feed, gtfs_trip *trip)
{
    if (trip->time_count > 1) /* no times: no array either */
        qsort(trip->times, (size_t)trip->time_count, sizeof trip->times[0], by_sequence);
    for (int32_t i = 0; i < trip->time_count; i++) {
        gtfs_stop_time *time = &trip->times[i];
        if (time->arrives_s < 0)
            time->arrives_s = time->departs_s;
        if (time->departs_s < 0)
            time->departs_s = time->arrives_s;
    }
    if (trip->time_count < 2)
        SKIP(feed, trip, "trips.txt line %zu: the trip has under 2 stops in stop_times.txt; add them, or take the trip out", trip->line);
    else if (trip->time_count > GTFS_POINTS_MAX)
        SKIP(feed, trip, "trips.txt line %zu: the trip has %d stops, over %d; split it", trip->line, trip->time_count, GTFS_POINTS_MAX);
    else if (trip->times[0].arrives_s < 0 || trip->times[trip->time_count - 1].arrives_s < 0)
        SKIP(feed, trip, "trips.txt line %zu: the trip has no time at its first or last stop; write it into stop_times.txt", trip->line);
    if (trip->skip_reason != NULL) {
        feed->skipped_count++;
        return;
    }
    interpolate(feed, trip);
    int32_t latest_s = 0;
    for (int32_t i = 0; i < trip->time_count; i++) {
        gtfs_stop_time *time = &trip->times[i];
        feed->raised_count += time->arrives_s < latest_s || time->departs_s < time->arrives_s;
        time->arrives_s = time->arrives_s < latest_s ? latest_s : time->arrives_s;
        time->departs_s = time->departs_s < time->arrives_s ? time->arrives_s : time->departs_s;
        latest_s = time->departs_s;
        for (int32_t before = 0; before < i; before++)
            if (trip->times[before].stop == time->stop) {
                feed->repeated_stop_count++;
                break;
            }
    }
}

static bool read_zip_entry(loading *l, const char *name, bt_str *ret_text, bt_err *err)
{
    zip_stat_t stat;
    zip_int64_t index = zip_name_locate(l->zip, name, ZIP_FL_NODIR);
    if (index < 0 || zip_stat_index(l->zip, (zip_uint64_t)index, 0, &stat) != 0)
        return bt_fail(err, BT_ERR_INPUT, ENOENT, "%s has no %s", l->path, name);
    if (stat.size > GTFS_FILE_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "%s in %s is over 1 GiB", name, l->path);
    char *text = bt_alloc(stat.size + 1);
    zip_file_t *file = zip_fopen_index(l->zip, (zip_uint64_t)index, 0);
    bool whole = file != NULL && zip_fread(file, text, stat.size) == (zip_int64_t)stat.size;
    if (file != NULL)
        zip_fclose(file);
    if (!whole) {
        bt_release(text);
        return bt_fail(err, BT_ERR_INPUT, 0, "%s in %s cannot be unpacked", name, l->path);
    }
    *ret_text = (bt_str){ text, stat.size };
    return true;
}

static bool read_folder_file(loading *l, const char *name, bt_str *ret_text, bt_err *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", l->path, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0 || (size_t)stat.st_size > GTFS_FILE_MAX) {
        int cause = fd < 0 ? errno : EFBIG;
        if (fd >= 0)
            close(fd);
        return bt_fail(err, BT_ERR_INPUT, cause, "%s cannot be read: %s", path, strerror(cause));
    }
    char *text = bt_alloc((size_t)stat.st_size + 1);
    ssize_t size = 0, got = 1;
    while (size < stat.st_size && (got = read(fd, text + size, (size_t)(stat.st_size - size))) > 0)
        size += got;
    close(fd);
    *ret_text = (bt_str){ text, (size_t)size };
    return true;
}

static bool load(loading *l, const char *name, bool required, const char *const *columns, size_t required_count, table_row_fn *on_row, bt_err *err)
{
    bt_str text;
    bt_err cause = { 0 };
    bool read = l->zip != NULL ? read_zip_entry(l, name, &text, &cause) : read_folder_file(l, name, &text, &cause);
    if (!read && !required && cause.code == ENOENT)
        return true;
    if (!read)
        return bt_fail(err, cause.kind, cause.code, "%s", cause.message);
    bool ok = table_read(name, text, columns, required_count, on_row, l, err);
    bt_release((void *)text.at);
    return ok;
}

static const char *const agency_columns[] = { "agency_timezone", NULL };
static const char *const stop_columns[] = { "stop_id", "stop_name", NULL };
static const char *const route_columns[] = { "route_id", "route_short_name", "route_long_name", NULL };
static const char *const calendar_columns[] = { "service_id", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "start_date", "end_date", NULL };
static const char *const calendar_date_columns[] = { "service_id", "date", "exception_type", NULL };
static const char *const trip_columns[] = { "trip_id", "service_id", "trip_headsign", "route_id", NULL };
static const char *const stop_time_columns[] = { "trip_id", "stop_id", "stop_sequence", "arrival_time", "departure_time", "pickup_type", "drop_off_type", NULL };

static bool load_all(loading *l, bt_err *err)
{
    return load(l, "agency.txt", true, agency_columns, 1, on_agency, err) && load(l, "stops.txt", true, stop_columns, 1, on_stop, err) &&
           load(l, "routes.txt", false, route_columns, 1, on_route, err) && load(l, "calendar.txt", false, calendar_columns, 10, on_calendar, err) &&
           load(l, "calendar_dates.txt", false, calendar_date_columns, 3, on_calendar_date, err) &&
           load(l, "trips.txt", true, trip_columns, 2, on_trip, err) && load(l, "stop_times.txt", true, stop_time_columns, 5, on_stop_time, err);
}

static void find_days(gtfs_feed *feed)
{
    feed->first_day = INT64_MAX;
    feed->last_day = INT64_MIN;
    for (int32_t s = 0; s < feed->service_count; s++) {
        const gtfs_service *service = &feed->services[s];
        if (service->first_day <= service->last_day && service->first_day < feed->first_day)
            feed->first_day = service->first_day;
        if (service->first_day <= service->last_day && service->last_day > feed->last_day)
            feed->last_day = service->last_day;
        for (int32_t i = 0; i < service->exception_count; i++) {
            int64_t day = service->exceptions[i].day;
            if (service->exceptions[i].added && day < feed->first_day)
                feed->first_day = day;
            if (service->exceptions[i].added && day > feed->last_day)
                feed->last_day = day;
        }
    }
}

bool gtfs_feed_open(gtfs_feed *feed, const char *path, bt_err *err)
{
    *feed = (gtfs_feed){ 0 };
    bt_arena_init(&feed->arena, (size_t)4 << 30);
    loading l = { .feed = feed, .path = path };
    struct stat stat_of_path;
    if (stat(path, &stat_of_path) != 0)
        return bt_fail(err, BT_ERR_INPUT, errno, "%s: %s; give a GTFS zip or a folder with its .txt files", path, strerror(errno));
    int zip_error = 0;
    if (!S_ISDIR(stat_of_path.st_mode) && (l.zip = zip_open(path, ZIP_RDONLY, &zip_error)) == NULL)
        return bt_fail(err, BT_ERR_INPUT, zip_error, "%s is not a readable zip; give a GTFS zip or a folder with its .txt files", path);
    bool ok = load_all(&l, err);
    if (l.zip != NULL)
        zip_discard(l.zip);
    names *const tables[] = { &l.stops, &l.services, &l.trips, &l.routes };
    for (size_t i = 0; i < BT_COUNT_OF(tables); i++)
        bt_release(tables[i]->slots);
    bt_release(l.route_names);
    if (!ok) {
        gtfs_feed_release(feed);
        return false;
    }
    for (int32_t i = 0; i < feed->trip_count; i++)
        mend(feed, &feed->trips[i]);
    find_days(feed);
    return true;
}

void gtfs_feed_release(gtfs_feed *feed)
{
    for (int32_t i = 0; i < feed->trip_count; i++)
        bt_release(feed->trips[i].times);
    bt_release(feed->trips);
    bt_release(feed->stops);
    bt_release(feed->services);
    bt_arena_release(&feed->arena);
    *feed = (gtfs_feed){ 0 };
}
