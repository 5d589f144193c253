/* layout - reads a trip's layout from Postgres and shows pieces of it. The cache is cache.c. */
#include "query-api/layout/load.h"

#include "query-api/server/server.h"

#include <stdatomic.h>

#define LAYOUT_BYTES_MAX ((size_t)8 << 20)

static const char select_trip[] = "SELECT name, timezone, opened_at, layout::text FROM berth.trips WHERE trip = $1";
static const char select_points[] =
    "SELECT stop, name, arrives_at, departs_at, board, alight,"
    " extract(epoch FROM (arrives_at AT TIME ZONE timezone) - (arrives_at AT TIME ZONE 'UTC'))::int,"
    " extract(epoch FROM (departs_at AT TIME ZONE timezone) - (departs_at AT TIME ZONE 'UTC'))::int"
    " FROM berth.trip_points WHERE trip = $1 ORDER BY index";

void qa_layout_release(const qa_layout *layout)
{
    qa_layout *owned = (qa_layout *)layout; /* constant to all but its counter */
    if (owned == NULL || atomic_fetch_sub(&owned->references, 1) > 1)
        return;
    qa_seating_release(owned->seating);
    bt_arena_release(&owned->arena);
    bt_release(owned);
}

qa_masks *qa_masks_new(size_t size)
{
    qa_masks *masks = bt_alloc(sizeof *masks + size);
    masks->references = 1;
    masks->size = size;
    return masks;
}

void qa_masks_release(const qa_masks *masks)
{
    qa_masks *owned = (qa_masks *)masks;
    if (owned != NULL && atomic_fetch_sub(&owned->references, 1) == 1)
        bt_release(owned);
}

int qa_layout_point(const qa_layout *layout, bt_str stop)
{
    for (size_t i = 0; i < layout->point_count; i++)
        if (bt_str_equal(layout->points[i].stop, stop))
            return (int)i;
    return -1;
}

static bt_str json_of(qa_layout *layout, bt_str text)
{
    bt_buf json;
    bt_buf_init(&json, LAYOUT_BYTES_MAX);
    bt_json_str(&json, NULL, text);
    bt_str copy = bt_arena_copy(&layout->arena, bt_buf_view(&json));
    bt_buf_release(&json);
    return copy;
}

static void take_points(qa_layout *layout, const bt_pg_result *rows)
{
    layout->point_count = (size_t)rows->row_count;
    for (int row = 0; row < rows->row_count; row++) {
        bt_str stop = bt_arena_copy(&layout->arena, bt_pg_get_str(rows, row, 0));
        layout->points[row] = (qa_point){ .stop = stop,
            .stop_json = json_of(layout, stop),
            .name_json = json_of(layout, bt_pg_get_str(rows, row, 1)),
            .arrives_at = bt_pg_get_time(rows, row, 2),
            .departs_at = bt_pg_get_time(rows, row, 3),
            .board = bt_pg_get_bool(rows, row, 4),
            .alight = bt_pg_get_bool(rows, row, 5),
            .arrives_offset_s = (int32_t)bt_pg_get_i64(rows, row, 6),
            .departs_offset_s = (int32_t)bt_pg_get_i64(rows, row, 7) };
    }
}

static void show_points(qa_layout *layout)
{
    bt_buf json;
    bt_buf_init(&json, LAYOUT_BYTES_MAX);
    bt_json_open(&json, NULL, '[');
    for (size_t i = 0; i < layout->point_count; i++) {
        const qa_point *point = &layout->points[i];
        bt_json_open(&json, NULL, '{');
        bt_json_raw(&json, "stop", point->stop_json);
        bt_json_raw(&json, "name", point->name_json);
        bt_json_time(&json, "arrives_at", point->arrives_at);
        qa_json_local_time(&json, "arrives_local", point->arrives_at, point->arrives_offset_s);
        bt_json_time(&json, "departs_at", point->departs_at);
        qa_json_local_time(&json, "departs_local", point->departs_at, point->departs_offset_s);
        bt_json_bool(&json, "board", point->board);
        bt_json_bool(&json, "alight", point->alight);
        bt_json_close(&json, '}');
    }
    bt_json_close(&json, ']');
    layout->points_json = bt_arena_copy(&layout->arena, bt_buf_view(&json));
    bt_buf_release(&json);
}


const qa_layout *qa_layout_made(bt_str trip, const bt_pg_result *trips, const bt_pg_result *points, qa_seating *seating)
{
    qa_layout *layout = bt_alloc(sizeof *layout);
    layout->references = 1;
    bt_arena_init(&layout->arena, LAYOUT_BYTES_MAX);
    layout->seating = seating;
    layout->trip = bt_arena_copy(&layout->arena, trip);
    layout->trip_json = json_of(layout, trip);
    layout->name_json = json_of(layout, bt_pg_get_str(trips, 0, 0));
    layout->timezone_json = json_of(layout, bt_pg_get_str(trips, 0, 1));
    layout->opened_at = bt_pg_get_time(trips, 0, 2);
    take_points(layout, points);
    show_points(layout);
    layout->bytes = sizeof *layout + layout->arena.taken;
    return layout;
}

bool qa_layout_select(qa_worker *worker, bt_str trip, bt_pg_result *ret_trips, bt_pg_result *ret_points, bt_err *err)
{
    bt_pg_param params[] = { bt_pg_text(trip) };
    if (!qa_worker_query(worker, select_trip, params, 1, ret_trips, err))
        return false;
    if (ret_trips->row_count == 0)
        return true;
    if (!qa_worker_query(worker, select_points, params, 1, ret_points, err))
        return false;
    if (ret_points->row_count < 2 || ret_points->row_count > QA_POINTS_MAX)
        return bt_fail(err, BT_ERR_FATAL, 0, "trip " BT_STR_FMT " has %d points", BT_STR_ARG(trip), ret_points->row_count);
    return true;
}

bool qa_layout_of(qa_call *call, bt_str trip, const qa_layout **ret_layout)
{
    const qa_layout *layout = NULL;
    bt_err err = { 0 };
    if (!qa_layouts_get(call->server->layouts, call->worker, trip, &layout, &err)) {
        qa_refuse_failed(call, "layout", &err);
        return false;
    }
    if (layout == NULL) {
        qa_refuse(call, &bt_problem_not_found, "trip", "there is no trip " BT_STR_FMT, BT_STR_ARG(trip));
        return false;
    }
    *ret_layout = layout;
    return true;
}

void qa_json_stretch(bt_buf *json, const qa_layout *layout, int64_t from, int64_t to)
{
    if (from < 0 || to < 0 || (size_t)from >= layout->point_count || (size_t)to >= layout->point_count)
        return; /* rows of another layout: a bug of the projector, seen by what is missing */
    const qa_point *boards = &layout->points[from], *alights = &layout->points[to];
    bt_json_raw(json, "from", boards->stop_json);
    bt_json_raw(json, "from_name", boards->name_json);
    bt_json_time(json, "departs_at", boards->departs_at);
    qa_json_local_time(json, "departs_local", boards->departs_at, boards->departs_offset_s);
    bt_json_raw(json, "to", alights->stop_json);
    bt_json_raw(json, "to_name", alights->name_json);
    bt_json_time(json, "arrives_at", alights->arrives_at);
    qa_json_local_time(json, "arrives_local", alights->arrives_at, alights->arrives_offset_s);
}

void qa_json_places(bt_buf *json, const char *name, const qa_layout *layout, const int32_t *pairs, int pair_count)
{
    const qa_seating *seating = layout->seating;
    bt_json_open(json, name, '[');
    for (int i = 0; i < pair_count; i++) {
        int32_t section_index = pairs[2 * i], seat = pairs[2 * i + 1];
        if (section_index < 0 || (size_t)section_index >= seating->section_count)
            continue;
        const qa_section *section = &seating->sections[section_index];
        bt_json_open(json, NULL, '{');
        bt_json_raw(json, "section", section->name_json);
        bool numbered = seat >= 0 && (uint32_t)seat < section->entry_count && seating->labels_json[section->first_entry + (uint32_t)seat].size > 0;
        bt_json_raw(json, "seat", numbered ? seating->labels_json[section->first_entry + (uint32_t)seat] : BT_STR("null"));
        bt_json_raw(json, "class", section->class_json);
        bt_json_close(json, '}');
    }
    bt_json_close(json, ']');
}
