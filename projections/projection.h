/* projection - a read model as the program meets it: what it is called, which topic it reads, and where it is kept.
 *
 * Each folder of projections/ that holds a model defines <folder>_projection; the build finds it (bt_projection() in its CMakeLists.txt) and
 * the program runs it on a thread of its own. */
#ifndef BERTH_PROJECTIONS_PROJECTION_H
#define BERTH_PROJECTIONS_PROJECTION_H

#include "projections/loop/sink.h"
#include "projections/model.h"

typedef struct bt_projection_settings {
    const char *topic; /* berth.trip */
    const char *postgres_dsn;
    const char *redis_url;
    bool async_commit; /* see io/pg */
} bt_projection_settings;

typedef struct bt_projection {
    const char *name;
    const char *kind; /* of the streams that it folds: trip; the topic is berth.trip */
    const bt_model *model; /* of one kept in Postgres; else NULL */
    /* Does not connect. Settings are copied as far as they are needed. BT_ERR_INPUT: a setting is wrong. */
    bool (*sink_new)(const struct bt_projection *projection, const bt_projection_settings *settings, bt_sink *ret_sink, bt_err *err);
    void (*sink_free)(bt_sink *sink);
} bt_projection;

/* For models in Postgres: const bt_projection trips_projection = BT_TABLE_PROJECTION(trips_model, "trips", "trip"); */
bool bt_table_projection_sink_new(const bt_projection *projection, const bt_projection_settings *settings, bt_sink *ret_sink, bt_err *err);
void bt_table_projection_sink_free(bt_sink *sink);
#define BT_TABLE_PROJECTION(model_, name_, kind_)                                                                                                      \
    {                                                                                                                                                  \
        .name = (name_), .kind = (kind_), .model = &(model_), .sink_new = bt_table_projection_sink_new, .sink_free = bt_table_projection_sink_free    \
    }

/* Every read model that was built in; the list is generated. */
extern const bt_projection *const bt_projections[];
extern const size_t bt_projection_count;

#endif
