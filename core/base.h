/* base - the words that every other file is written in: byte views, errors whose kind is the caller's next action, asserts.
 *
 * A view (bt_str, bt_bytes) borrows: it never owns, is not terminated, and lives as long as what it points into.
 * A fallible function returns bool, fills the bt_err passed last, and leaves its ret_ outputs untouched on failure. */
#ifndef BERTH_CORE_BASE_H
#define BERTH_CORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BT_MUST_CHECK __attribute__((warn_unused_result))
#define BT_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define BT_CLEANUP(function) __attribute__((cleanup(function)))
#define BT_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What only a bug can break; always on, in release builds too. Prints where and aborts. */
#define bt_assert(condition) ((condition) ? (void)0 : bt_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void bt_assert_failed(const char *condition, const char *file, int line);

/* A borrowed run of text or bytes. at may be NULL only when size is 0. */
typedef struct bt_str {
    const char *at;
    size_t size;
} bt_str;

#define BT_STR(literal) ((bt_str){ "" literal, sizeof(literal) - 1 })
#define BT_STR_FMT "%.*s"
#define BT_STR_ARG(view) (int)(view).size, (view).at

static inline bt_str bt_str_of(const char *zero_terminated) { return (bt_str){ zero_terminated, strlen(zero_terminated) }; }
static inline bool bt_str_equal(bt_str a, bt_str b) { return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0); }
static inline bool bt_str_is(bt_str a, const char *text) { return bt_str_equal(a, bt_str_of(text)); }
int bt_str_compare(bt_str a, bt_str b);

typedef struct bt_bytes {
    const uint8_t *at;
    size_t size;
} bt_bytes;

/* 16 bytes: a record's id, a partition's head, a digest of a key or a body, the id of a hold. */
typedef struct bt_id {
    uint8_t at[16];
} bt_id;

static inline bool bt_id_equal(bt_id a, bt_id b) { return memcmp(a.at, b.at, sizeof a.at) == 0; }
static inline bool bt_id_is_zero(bt_id a) { return bt_id_equal(a, (bt_id){ { 0 } }); }

#define BT_ID_HEX_SIZE 32
/* Writes 32 lower-case hex digits, without a terminator. */
void bt_id_to_hex(bt_id id, char ret_hex[BT_ID_HEX_SIZE]);
/* False unless hex is exactly 32 hex digits. */
bool bt_id_from_hex(bt_str hex, bt_id *ret_id) BT_MUST_CHECK;

/* The kind of an error is what its receiver does next. */
typedef enum bt_err_kind {
    BT_OK = 0,
    BT_ERR_INPUT,   /* the caller's input is wrong: tell them what and how to mend it; trying again will not help */
    BT_ERR_RETRY,   /* nothing happened; the same call may succeed later */
    BT_ERR_UNKNOWN, /* it may or may not have happened: find out before answering */
    BT_ERR_FATAL,   /* this program cannot go on with what it was doing: stop it and say so */
} bt_err_kind;

#define BT_ERR_MESSAGE_MAX 512

typedef struct bt_err {
    bt_err_kind kind;
    int code; /* the library's own code, or 0 */
    char message[BT_ERR_MESSAGE_MAX];
} bt_err;

/* Fills err (which may be NULL) and returns false, so that a failure is one line: return bt_fail(err, ...). */
bool bt_fail(bt_err *err, bt_err_kind kind, int code, const char *format, ...) BT_PRINTF(4, 5);

/* True for what ids of streams and customers may be: 1 to 80 of [A-Za-z0-9._~-], but not "." or "..". */
#define BT_NAME_MAX 80
bool bt_name_is_valid(bt_str name);

/* SplitMix64 finaliser: spreads a 64-bit value over all bits, for hash tables of trusted keys. */
static inline uint64_t bt_mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static inline uint64_t bt_id_hash(bt_id id)
{
    uint64_t low;
    memcpy(&low, id.at, sizeof low);
    return bt_mix64(low);
}

/* FNV-1a with a final mix; for tables keyed by stream id. */
uint64_t bt_str_hash(bt_str text);

/* The Java client's murmur2, seed 0x9747b28c: partition = (murmur2(key) & 0x7fffffff) % partition_count. */
uint32_t bt_murmur2(bt_str key);
static inline int32_t bt_partition_of(bt_str key, int32_t partition_count) { return (int32_t)((bt_murmur2(key) & 0x7fffffffU) % (uint32_t)partition_count); }

#endif
