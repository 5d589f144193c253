/* model - a read model in Postgres: its tables, and for each event that it cares about, which rows that event changes.
 *
 * A model is written once. Live writes the changed rows of a batch; a rebuild folds everything and COPYs the rows: both run
 * these handlers. A handler is pure: event in, columns out. It reads no row, no clock and no other model. An event that no handler names
 * is of no interest to the model.
 *
 * Adding one: a folder, a tables.sql, a bt_model; see projections/README.md. */
#ifndef BERTH_PROJECTIONS_MODEL_H
#define BERTH_PROJECTIONS_MODEL_H

#include "projections/fact.h"
#include "projections/tables/changes.h"

typedef struct bt_handler {
    const bt_message_type *event;
    /* False (BT_ERR_INPUT): the event cannot be applied and its stream is parked; then nothing was changed. */
    bool (*fold)(const bt_fact *fact, bt_changes *changes, bt_err *err);
} bt_handler;

typedef struct bt_model {
    const char *name;   /* trips: the key in berth.positions */
    int32_t layout;     /* one higher when tables.sql or what the handlers write changes: the old tables must be rebuilt */
    const char *sql;    /* tables.sql; may run again */
    const bt_table *tables;
    size_t table_count;
    const bt_handler *handlers;
    size_t handler_count;
    /* After an accepted loss a partition's rows go, and are folded anew: the names of all streams that have rows (one column of text);
     * statements that delete the rows of the streams $1 (text[]), NULL at the end; one that deletes what no stream has any more, or NULL. */
    const char *streams_sql;
    const char *const *forget_sql;
    const char *orphans_sql;
} bt_model;

/* NULL: the model does not care about this event. */
static inline const bt_handler *bt_model_handler(const bt_model *model, const bt_message_type *event)
{
    for (size_t i = 0; i < model->handler_count; i++)
        if (model->handlers[i].event == event)
            return &model->handlers[i];
    return NULL;
}

#endif
