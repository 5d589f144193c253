/* buf - a growing byte buffer with a ceiling, and the JSON writer that answers and logs are built with.
 *
 * A write that would pass the ceiling writes nothing and sets overflow, and so does every later one: check it once, at
 * the end.
 * The JSON writer escapes text, keeps track of commas, and trusts its caller for the nesting. It writes what it is
 * given byte for byte otherwise: text must be UTF-8. Not thread-safe. */
#ifndef BERTH_CORE_BUF_H
#define BERTH_CORE_BUF_H

#include "core/base.h"

typedef struct bt_buf {
    uint8_t *at;
    size_t size;
    size_t capacity;
    size_t size_max;
    bool overflow;
    bool fixed;       /* the storage is the caller's and does not grow */
    bool needs_comma; /* the JSON writer's only state */
} bt_buf;

void bt_buf_init(bt_buf *buf, size_t size_max); /* nothing is allocated before the first write */
void bt_buf_init_fixed(bt_buf *buf, void *storage, size_t capacity);
void bt_buf_release(bt_buf *buf);
static inline void bt_buf_reset(bt_buf *buf)
{
    buf->size = 0;
    buf->overflow = false;
    buf->needs_comma = false;
}

/* Room for size more bytes, or NULL with overflow set. The bytes count once bt_buf_advance is called. */
uint8_t *bt_buf_reserve(bt_buf *buf, size_t size);
static inline void bt_buf_advance(bt_buf *buf, size_t size) { buf->size += size; }

void bt_buf_write(bt_buf *buf, const void *at, size_t size);
void bt_buf_text(bt_buf *buf, const char *zero_terminated);
void bt_buf_str(bt_buf *buf, bt_str text);
void bt_buf_byte(bt_buf *buf, uint8_t byte);
void bt_buf_printf(bt_buf *buf, const char *format, ...) BT_PRINTF(2, 3);
void bt_buf_i64(bt_buf *buf, int64_t value);
static inline bt_str bt_buf_view(const bt_buf *buf) { return (bt_str){ (const char *)buf->at, buf->size }; }

/* JSON. name is NULL inside an array and at the top. */
void bt_json_open(bt_buf *buf, const char *name, char bracket); /* '{' or '[' */
void bt_json_close(bt_buf *buf, char bracket);                  /* '}' or ']' */
void bt_json_str(bt_buf *buf, const char *name, bt_str text);
void bt_json_i64(bt_buf *buf, const char *name, int64_t value);
void bt_json_double(bt_buf *buf, const char *name, double value);
void bt_json_bool(bt_buf *buf, const char *name, bool value);
void bt_json_null(bt_buf *buf, const char *name);
void bt_json_id(bt_buf *buf, const char *name, bt_id id);            /* 32 hex digits */
void bt_json_time(bt_buf *buf, const char *name, int64_t time_us);   /* RFC 3339 in UTC, with microseconds only if there are any */
void bt_json_raw(bt_buf *buf, const char *name, bt_str ready_value); /* a whole JSON value, as it is */

#define BT_TIME_TEXT_MAX 40
/* 2026-11-22T06:30:00Z; years 0000 to 9999, others are clamped. Returns the length; no terminator. */
size_t bt_time_to_text(int64_t time_us, char ret_text[BT_TIME_TEXT_MAX]);
/* Reads RFC 3339: date, T, time, optional fraction to microseconds, Z or an offset. False for anything else. */
bool bt_time_from_text(bt_str text, int64_t *ret_time_us) BT_MUST_CHECK;
/* Days from 1970-01-01 of a civil date, and back (proleptic Gregorian). */
int64_t bt_days_from_civil(int64_t year, unsigned month, unsigned day);
void bt_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);

#endif
