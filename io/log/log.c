/* log - builds a line on the stack, asks the rate limiter, writes it at once. */
#include "io/log/log.h"

#include "core/buf.h"
#include "core/utf8.h"
#include "io/clock/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192
#define TEXT_MAX 2048        /* of one field, after repair */
#define BURST 100            /* lines of one name at once */
#define REFILL_US 50000      /* one more line each 50 ms: 20 a second */
#define NAMES_MAX 256        /* limiter slots; names beyond share by hash */
#define SWEEP_US 1000000     /* how often dropped lines of quiet names are told */
#define WRITE_TRIES 50       /* a full pipe is waited for 50 x 20 ms, then the line is lost: logging must not stop a server */
#define WRITE_WAIT_MS 20

static const char *server_name = "berth", *server_version = "";
static _Atomic int level_now = BT_LOG_INFO;
static _Atomic int output_fd = -1;
static _Atomic int64_t lost, lost_total; /* lines that could not be written: not yet told; ever */
static _Atomic int lost_errno;
static _Atomic bool torn; /* the last of them was written in part, so that the next begins in the middle of a line */
static _Thread_local char correlation[BT_LOG_CORRELATION_MAX];
static _Thread_local size_t correlation_size;

typedef struct limiter {
    char name[64];
    int64_t full_at_us; /* when the bucket is full again; the debt is what lies between now and then */
    int64_t dropped;
} limiter;

static pthread_mutex_t limiter_lock = PTHREAD_MUTEX_INITIALIZER;
static limiter limiters[NAMES_MAX];
static int64_t swept_at_us;

void bt_log_init(const char *server, const char *version, bt_log_level level)
{
    server_name = server;
    server_version = version;
    atomic_store(&level_now, (int)level);
}

void bt_log_set_fd(int fd) { atomic_store(&output_fd, fd); }
bool bt_log_is_on(bt_log_level level) { return (int)level >= atomic_load_explicit(&level_now, memory_order_relaxed); }

static const char *const level_names[] = { "debug", "info", "warn", "error" };

bool bt_log_level_from_text(const char *text, bt_log_level *ret_level)
{
    for (size_t i = 0; i < BT_COUNT_OF(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (bt_log_level)i;
            return true;
        }
    }
    return false;
}

void bt_log_set_correlation(bt_str value)
{
    correlation_size = value.size < sizeof correlation ? value.size : sizeof correlation;
    if (correlation_size > 0)
        memcpy(correlation, value.at, correlation_size);
}


bt_log_field bt_log_field_str(const char *name, bt_str value)
{
    return (bt_log_field){ .name = name, .kind = BT_LOG_FIELD_STR, .value.text = value };
}

bt_log_field bt_log_field_text(const char *name, const char *value)
{
    return bt_log_field_str(name, value == NULL ? (bt_str){ NULL, 0 } : bt_str_of(value));
}

static void write_text(bt_buf *line, const char *name, bt_str text)
{
    if (text.at == NULL) {
        bt_json_null(line, name);
        return;
    }
    char repaired[TEXT_MAX];
    size_t size = bt_utf8_scrub(text, repaired, sizeof repaired);
    bt_json_str(line, name, (bt_str){ repaired, size });
}

static void write_field(bt_buf *line, const bt_log_field *field)
{
    switch (field->kind) {
    case BT_LOG_FIELD_STR:
        write_text(line, field->name, field->value.text);
        return;
    case BT_LOG_FIELD_I64:
        bt_json_i64(line, field->name, field->value.number);
        return;
    case BT_LOG_FIELD_BOOL:
        bt_json_bool(line, field->name, field->value.truth);
        return;
    case BT_LOG_FIELD_DOUBLE:
        bt_json_double(line, field->name, field->value.real);
        return;
    case BT_LOG_FIELD_ID:
        bt_json_id(line, field->name, field->value.id);
        return;
    }
}

/* A field that does not fit is taken back whole: a line is always valid JSON. 32 bytes are kept for the end. */
static void write_fields(bt_buf *line, const bt_log_field *fields, size_t field_count)
{
    bool truncated = false;
    line->size_max -= 32;
    for (size_t i = 0; i < field_count; i++) {
        size_t size_before = line->size;
        bool comma_before = line->needs_comma;
        write_field(line, &fields[i]);
        if (!line->overflow)
            continue;
        truncated = true;
        line->overflow = false;
        line->size = size_before;
        line->needs_comma = comma_before;
    }
    line->size_max += 32;
    if (truncated)
        bt_json_bool(line, "truncated", true);
}

/* False: it was not written, or in part. */
static bool write_out(const bt_buf *line)
{
    int fd = atomic_load(&output_fd);
    fd = fd >= 0 ? fd : STDERR_FILENO;
    size_t done = 0;
    for (int tries = 0; done < line->size && tries < WRITE_TRIES;) {
        ssize_t wrote = write(fd, line->at + done, line->size - done);
        if (wrote >= 0) {
            done += (size_t)wrote;
            tries += wrote == 0;
        } else if (errno == EAGAIN) {
            struct pollfd room = { .fd = fd, .events = POLLOUT };
            atomic_store(&lost_errno, EAGAIN);
            poll(&room, 1, WRITE_WAIT_MS);
            tries++;
        } else if (errno != EINTR) {
            atomic_store(&lost_errno, errno);
            break;
        } else {
            tries++;
        }
    }
    if (done > 0 && done < line->size)
        atomic_store(&torn, true);
    return done == line->size;
}

static void open_line(bt_buf *line, bt_log_level level, const char *name)
{
    bt_json_open(line, NULL, '{');
    bt_json_time(line, "time", bt_clock_realtime_us());
    bt_json_str(line, "level", bt_str_of(level_names[level]));
    bt_json_str(line, "event", bt_str_of(name));
    bt_json_str(line, "server", bt_str_of(server_name));
    bt_json_str(line, "version", bt_str_of(server_version));
}

static void close_line(bt_buf *line)
{
    bt_json_close(line, '}');
    bt_buf_byte(line, '\n');
}

/* Once there is room again, the first line says how many are missing; a line of which only a part was written is ended first. */
static bool tell_lost(void)
{
    int64_t count = atomic_exchange(&lost, 0);
    if (count == 0)
        return true;
    char storage[1024];
    bt_buf line;
    bool was_torn = atomic_exchange(&torn, false);
    bt_buf_init_fixed(&line, storage, sizeof storage);
    if (was_torn)
        bt_buf_byte(&line, '\n');
    open_line(&line, BT_LOG_ERROR, "log.lost");
    bt_json_i64(&line, "count", count);
    bt_json_str(&line, "error", bt_str_of(strerror(atomic_load(&lost_errno))));
    close_line(&line);
    if (write_out(&line))
        return true;
    if (was_torn)
        atomic_store(&torn, true);
    atomic_fetch_add(&lost, count);
    return false;
}

static void write_line(bt_log_level level, const char *name, const bt_log_field *fields, size_t field_count, int64_t dropped)
{
    char storage[LINE_MAX_BYTES];
    bt_buf line;
    bt_buf_init_fixed(&line, storage, sizeof storage);
    open_line(&line, level, name);
    if (correlation_size > 0)
        write_text(&line, "correlation", (bt_str){ correlation, correlation_size });
    if (dropped > 0)
        bt_json_i64(&line, "dropped", dropped);
    write_fields(&line, fields, field_count);
    close_line(&line);
    if ((atomic_load_explicit(&lost, memory_order_relaxed) > 0 && !tell_lost()) || !write_out(&line)) {
        atomic_fetch_add(&lost, 1);
        atomic_fetch_add(&lost_total, 1);
    }
}

int64_t bt_log_lost_count(void) { return atomic_load(&lost_total); }

/* The name's slot: its own, a free one, or in a full table the one it hashes to, whose debt it then shares. */
static limiter *limiter_of(const char *name)
{
    uint64_t hash = bt_str_hash(bt_str_of(name));
    for (size_t i = 0; i < 8; i++) {
        limiter *slot = &limiters[(hash + i) % NAMES_MAX];
        if (slot->name[0] == '\0') {
            strncpy(slot->name, name, sizeof slot->name - 1);
            return slot;
        }
        if (strncmp(slot->name, name, sizeof slot->name - 1) == 0)
            return slot;
    }
    return &limiters[hash % NAMES_MAX];
}

static bool may_write(const char *name, int64_t now_us, int64_t *ret_dropped)
{
    pthread_mutex_lock(&limiter_lock);
    limiter *slot = limiter_of(name);
    if (slot->full_at_us < now_us)
        slot->full_at_us = now_us;
    bool may = slot->full_at_us - now_us <= (int64_t)(BURST - 1) * REFILL_US;
    *ret_dropped = may ? slot->dropped : 0;
    slot->dropped = may ? 0 : slot->dropped + 1;
    if (may)
        slot->full_at_us += REFILL_US;
    pthread_mutex_unlock(&limiter_lock);
    return may;
}

/* A name that flooded and then fell silent would keep its count to itself. */
static void tell_dropped(int64_t now_us, bool all)
{
    pthread_mutex_lock(&limiter_lock);
    bool due = all || now_us - swept_at_us >= SWEEP_US;
    if (due)
        swept_at_us = now_us;
    for (size_t i = 0; due && i < NAMES_MAX; i++) {
        int64_t dropped = limiters[i].dropped;
        if (dropped == 0)
            continue;
        limiters[i].dropped = 0;
        bt_log_field fields[] = { F_STR("name", (const char *)limiters[i].name), F_I64("count", dropped) };
        write_line(BT_LOG_WARN, "log.dropped", fields, BT_COUNT_OF(fields), 0);
    }
    pthread_mutex_unlock(&limiter_lock);
}

void bt_log_write(bt_log_level level, const char *name, const bt_log_field *fields, size_t field_count)
{
    int64_t now_us = bt_clock_monotonic_us(), dropped;
    tell_dropped(now_us, false);
    if (may_write(name, now_us, &dropped))
        write_line(level, name, fields, field_count, dropped);
}

void bt_log_flush(void) { tell_dropped(bt_clock_monotonic_us(), true); }

void bt_log_kafka_client(int level, const char *facility, const char *text)
{
    if (level <= 4) /* a warning of syslog */
        bt_log_warn("kafka.client", F_STR("facility", facility), F_STR("text", text));
    else
        bt_log_debug("kafka.client", F_STR("facility", facility), F_STR("text", text));
}
