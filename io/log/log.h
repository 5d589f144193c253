/* log - what a server says while it runs: one JSON object a line on standard error, one write(2) a line, so that lines of
 * many threads never mix and a collector needs no parser of its own.
 *
 *   bt_log_warn("hold.rejected", F_STR("trip", id), F_I64("hold", hold_id), F_STR("reason", "seat_taken"));
 *   {"time":"2026-11-22T06:30:00.000120Z","level":"warn","event":"hold.rejected","server":"berth-commands","version":"0.1.0",
 *    "correlation":"4bf9...","trip":"3","hold":7,"reason":"seat_taken"}
 *
 * The name is constant, dotted and greppable; what varies is a field. Log once, where the error stops travelling.
 * Customers' data and secrets stay out: that is the caller's duty, as no code here can tell.
 *
 * Flooding: a name may write 100 lines at once and 20 a second after that; what is dropped is counted and told in the next
 * line of that name ("dropped": n), or in a line log.dropped a second or more later. A line is at most 8 KiB: fields
 * that do not fit are left out and the line says "truncated": true. Bytes that are not UTF-8 are shown as U+FFFD.
 *
 * A line that standard error does not take (the disk is full, the reader has gone) is lost, and the server goes on: bt_log_lost_count tells
 * how many, and as soon as there is room a line log.lost says so in the log as well.
 *
 * Any thread. Never fails; blocks only as long as standard error does. */
#ifndef BERTH_IO_LOG_LOG_H
#define BERTH_IO_LOG_LOG_H

#include "core/base.h"

typedef enum bt_log_level { BT_LOG_DEBUG, BT_LOG_INFO, BT_LOG_WARN, BT_LOG_ERROR } bt_log_level;

/* Once, before threads start. server and version are borrowed for good. Without it: level info, server "berth". */
void bt_log_init(const char *server, const char *version, bt_log_level level);
/* Where lines go instead of standard error (a test's pipe); -1 for standard error again. Not owned. */
void bt_log_set_fd(int fd);
/* "debug", "info", "warn", "error"; false for anything else. */
bool bt_log_level_from_text(const char *text, bt_log_level *ret_level) BT_MUST_CHECK;
/* Tells what was dropped and not yet told. Call it before a program ends. */
void bt_log_flush(void);
/* Lines that could not be written, since the start. */
int64_t bt_log_lost_count(void);

/* The correlation id that every line of this thread carries until it is set again; an empty view clears it.
 * Copied; cut at 64 bytes. */
#define BT_LOG_CORRELATION_MAX 64
void bt_log_set_correlation(bt_str correlation);

typedef enum bt_log_field_kind { BT_LOG_FIELD_STR, BT_LOG_FIELD_I64, BT_LOG_FIELD_BOOL, BT_LOG_FIELD_DOUBLE, BT_LOG_FIELD_ID } bt_log_field_kind;

typedef struct bt_log_field {
    const char *name; /* constant, snake_case */
    bt_log_field_kind kind;
    union {
        bt_str text;
        int64_t number;
        bool truth;
        double real;
        bt_id id;
    } value;
} bt_log_field;

bt_log_field bt_log_field_str(const char *name, bt_str value);
bt_log_field bt_log_field_text(const char *name, const char *value); /* NULL is written as null */
static inline bt_log_field bt_log_field_i64(const char *name, int64_t value)
{
    return (bt_log_field){ .name = name, .kind = BT_LOG_FIELD_I64, .value.number = value };
}

/* value is a bt_str, or zero-terminated text. */
#define F_STR(name, text_or_view) (_Generic((text_or_view), bt_str: bt_log_field_str, char *: bt_log_field_text, const char *: bt_log_field_text)(name, text_or_view))
#define F_I64(name, integer) bt_log_field_i64(name, (int64_t)(integer))
#define F_BOOL(name_, truth_) ((bt_log_field){ .name = (name_), .kind = BT_LOG_FIELD_BOOL, .value.truth = (truth_) })
#define F_DOUBLE(name_, real_) ((bt_log_field){ .name = (name_), .kind = BT_LOG_FIELD_DOUBLE, .value.real = (real_) })
#define F_ID(name_, id_) ((bt_log_field){ .name = (name_), .kind = BT_LOG_FIELD_ID, .value.id = (id_) })
/* The message of a bt_err, under the name "error". */
#define F_ERR(err) bt_log_field_text("error", (err)->message)

#define bt_log_debug(name, ...) BT_LOG_AT(BT_LOG_DEBUG, name, ##__VA_ARGS__)
#define bt_log_info(name, ...) BT_LOG_AT(BT_LOG_INFO, name, ##__VA_ARGS__)
#define bt_log_warn(name, ...) BT_LOG_AT(BT_LOG_WARN, name, ##__VA_ARGS__)
#define bt_log_error(name, ...) BT_LOG_AT(BT_LOG_ERROR, name, ##__VA_ARGS__)

/* The first element is a filler, so that a line without fields is no empty array; bt_log_write skips it. */
#define BT_LOG_AT(level, event, ...)                                                                                   \
    do {                                                                                                               \
        if (bt_log_is_on(level)) {                                                                                     \
            const bt_log_field bt_log_fields_[] = { { .name = NULL }, ##__VA_ARGS__ };                                 \
            bt_log_write(level, "" event, bt_log_fields_ + 1, BT_COUNT_OF(bt_log_fields_) - 1);                         \
        }                                                                                                              \
    } while (0)

/* What the Kafka library says, with syslog's levels, as lines of ours: a bt_kafka_log_fn for each server. Any thread. */
void bt_log_kafka_client(int level, const char *facility, const char *text);

bool bt_log_is_on(bt_log_level level);
void bt_log_write(bt_log_level level, const char *name, const bt_log_field *fields, size_t field_count);

#endif
