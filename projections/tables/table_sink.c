/* Writes a batch: all of it at once, as nearly always; stream by stream when Postgres takes some value not. */
#include "projections/projection.h"
#include "projections/tables/sink_internal.h"

#include <stdio.h>

bt_table_sink *bt_table_sink_new(const bt_model *model, const char *topic, const bt_pg_config *config)
{
    bt_table_sink *sink = bt_alloc(sizeof *sink);
    sink->model = model;
    sink->topic = topic;
    sink->pg = bt_pg_new(config);
    sink->write = bt_table_write_new("berth", model->tables, model->table_count);
    sink->changes = bt_changes_new(model->tables, model->table_count);
    return sink;
}

void bt_table_sink_free(bt_table_sink *sink)
{
    if (!sink)
        return;
    bt_pg_free(sink->pg);
    bt_table_write_free(sink->write);
    bt_changes_free(sink->changes);
    bt_names_release(&sink->parked);
    bt_names_release(&sink->newly_parked);
    bt_release(sink);
}

bool bt_table_sink_fold(bt_table_sink *sink, const bt_fact *fact, bt_err *err)
{
    const bt_handler *handler = bt_model_handler(sink->model, fact->event.type);
    return !handler || handler->fold(fact, sink->changes, err);
}

/* Folds a stream's records. What cannot be folded is parked from there on, what came before it stays folded. */
static bool fold_stream(bt_table_sink *sink, const bt_batch *batch, const bt_batch_stream *stream, bt_err *err)
{
    if (bt_names_has(&sink->parked, stream->name))
        return bt_table_sink_park(sink, batch, stream->first, "behind a parked event", err);
    for (uint32_t at = stream->first; at != BT_BATCH_NONE; at = batch->records[at].next) {
        const bt_batch_record *record = &batch->records[at];
        bt_err why;
        if (record->error)
            return bt_table_sink_park(sink, batch, at, record->error, err);
        if (!bt_table_sink_fold(sink, &record->fact, &why))
            return bt_table_sink_park(sink, batch, at, why.message, err);
    }
    return true;
}

static bool apply_together(bt_table_sink *sink, const bt_batch *batch, uint32_t from, uint32_t to, bt_err *err)
{
    bt_changes_reset(sink->changes);
    for (uint32_t i = from; i < to; i++)
        if (!fold_stream(sink, batch, &batch->streams[i], err))
            return false;
    return bt_table_write_changes(sink->write, sink->pg, sink->changes, err);
}

/* A stream that Postgres does not take as a whole: event by event, and what is left from the first bad one on is parked. */
static bool apply_by_event(bt_table_sink *sink, const bt_batch *batch, const bt_batch_stream *stream, bt_err *err)
{
    for (uint32_t at = stream->first; at != BT_BATCH_NONE; at = batch->records[at].next) {
        const bt_batch_record *record = &batch->records[at];
        bt_err why = { 0 };
        bt_changes_reset(sink->changes);
        if (!bt_pg_script(sink->pg, "SAVEPOINT one_event", err))
            return false;
        if (!record->error && bt_table_sink_fold(sink, &record->fact, &why) && bt_table_write_changes(sink->write, sink->pg, sink->changes, &why)) {
            if (!bt_pg_script(sink->pg, "RELEASE SAVEPOINT one_event", err))
                return false;
            continue;
        }
        if (!record->error && why.kind != BT_ERR_INPUT) {
            if (err)
                *err = why;
            return false;
        }
        return bt_pg_script(sink->pg, "ROLLBACK TO SAVEPOINT one_event", err) && bt_table_sink_park(sink, batch, at, record->error ? record->error : why.message, err);
    }
    return true;
}

/* Halves what Postgres refuses until the bad streams stand alone. Depth: the logarithm of the streams of a batch. */
static bool apply_apart(bt_table_sink *sink, const bt_batch *batch, uint32_t from, uint32_t to, bt_err *err)
{
    bt_err why = { 0 };
    if (from == to)
        return true;
    if (!bt_pg_script(sink->pg, "SAVEPOINT some_streams", err))
        return false;
    if (apply_together(sink, batch, from, to, &why))
        return bt_pg_script(sink->pg, "RELEASE SAVEPOINT some_streams", err);
    if (why.kind != BT_ERR_INPUT) {
        if (err)
            *err = why;
        return false;
    }
    if (!bt_pg_script(sink->pg, "ROLLBACK TO SAVEPOINT some_streams; RELEASE SAVEPOINT some_streams", err))
        return false;
    uint32_t middle = from + (to - from) / 2;
    if (to - from == 1)
        return apply_by_event(sink, batch, &batch->streams[from], err);
    return apply_apart(sink, batch, from, middle, err) && apply_apart(sink, batch, middle, to, err);
}

static bool write_once(bt_table_sink *sink, const bt_batch *batch, bool apart, bt_err *err)
{
    bt_names_release(&sink->newly_parked);
    if (!bt_pg_begin(sink->pg, err))
        return false;
    bool applied = bt_table_sink_move(sink, batch, err) &&
                   (apart ? apply_apart(sink, batch, 0, batch->stream_count, err) : apply_together(sink, batch, 0, batch->stream_count, err));
    if (applied)
        return bt_pg_commit(sink->pg, err);
    bt_pg_rollback(sink->pg);
    return false;
}

static bool write_batch(void *context, const bt_batch *batch, bt_err *err)
{
    bt_table_sink *sink = context;
    if (!write_once(sink, batch, false, err) && !(err->kind == BT_ERR_INPUT && write_once(sink, batch, true, err)))
        return false;
    for (size_t i = 0; i < sink->newly_parked.slot_count; i++)
        if (sink->newly_parked.slots[i].at)
            bt_names_add(&sink->parked, sink->newly_parked.slots[i]);
    bt_names_release(&sink->newly_parked);
    return true;
}

static bool wants(void *context, const bt_message_type *event)
{
    bt_table_sink *sink = context;
    return bt_model_handler(sink->model, event) != NULL;
}

static size_t parked_count(void *context)
{
    bt_table_sink *sink = context;
    return sink->parked.count;
}

bt_sink bt_table_sink_as_sink(bt_table_sink *sink)
{
    return (bt_sink){ .context = sink, .tend_ms = BT_TABLE_SINK_TEND_MS, .wants = wants, .open = bt_table_sink_open, .write = write_batch, .stop = bt_table_sink_stop, .forget = bt_table_sink_forget,
                      .tend = bt_table_sink_tend,
                      .parked_count = parked_count };
}

bool bt_table_projection_sink_new(const bt_projection *projection, const bt_projection_settings *settings, bt_sink *ret_sink, bt_err *err)
{
    char name[64];
    (void)err;
    snprintf(name, sizeof name, "berth-projections %.40s", projection->name);
    bt_pg_config config = { .dsn = settings->postgres_dsn, .application_name = name, .async_commit = settings->async_commit, .statement_timeout_ms = 60000 };
    *ret_sink = bt_table_sink_as_sink(bt_table_sink_new(projection->model, settings->topic, &config));
    return true;
}

void bt_table_projection_sink_free(bt_sink *sink) { bt_table_sink_free(sink->context); }
