/* bench_codec - codec.encode and codec.decode: events a second of our codec beside avro-c's generic value API, in one run.
 *
 * The event is SeatsHeld with four places. Both sides touch every field: an encode starts from values that the caller holds,
 * a decode ends with a sum over all that was read. avro-c is used as fast as it goes: by index, one value reused. The
 * sides take turns, and the median round of each counts, so that a disturbance of the machine hits both or neither.
 *
 *   bench_codec [--json] [--seconds N]     N: about how long in all, default 4 */
#include "core/avro.h"
#include "schemas/trip.h"

#include <avro.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUND_COUNT 15
#define WANT 10.0
#define MUST(call) ((call) == 0 ? (void)0 : must_failed(#call))

static _Noreturn void must_failed(const char *what)
{
    fprintf(stderr, "bench_codec: %s: %s\n", what, avro_strerror());
    exit(1);
}

typedef struct subject {
    struct trip_seats_held held;
    bt_buf out;
    bt_arena arena;
    avro_value_t value;
    char *room; /* avro-c's writer */
    uint8_t encoded[512];
    size_t encoded_size; /* with the prefix */
    uint64_t sum;        /* what decodes add up to: a compiler cannot leave them out, and both sides must agree */
} subject;

typedef void (*work)(subject *s, int count);

static void encode_ours(subject *s, int count)
{
    bt_err err;
    bt_event event = { &trip_seats_held_message, &s->held };
    for (int i = 0; i < count; i++) {
        s->held.meta.version = i & 0xfff;
        bt_buf_reset(&s->out);
        bt_assert(bt_event_encode(event, &s->out, &err));
    }
}

static void set_by_index(avro_value_t *record, size_t index, avro_value_t *ret_field)
{
    MUST(avro_value_get_by_index(record, index, ret_field, NULL));
}

static void set_id(avro_value_t *record, size_t index, bt_id *id)
{
    avro_value_t field;
    set_by_index(record, index, &field);
    MUST(avro_value_set_fixed(&field, id->at, sizeof id->at));
}

static void set_long(avro_value_t *record, size_t index, int64_t number)
{
    avro_value_t field;
    set_by_index(record, index, &field);
    MUST(avro_value_set_long(&field, number));
}

static void set_int(avro_value_t *record, size_t index, int32_t number)
{
    avro_value_t field;
    set_by_index(record, index, &field);
    MUST(avro_value_set_int(&field, number));
}

static void set_text(avro_value_t *record, size_t index, bt_str text)
{
    avro_value_t field;
    set_by_index(record, index, &field);
    MUST(avro_value_set_string_len(&field, (char *)(uintptr_t)text.at, text.size + 1)); /* literals: the zero is there */
}

static void set_all(avro_value_t *value, struct trip_seats_held *held)
{
    avro_value_t meta, places, place;
    set_by_index(value, 0, &meta);
    set_id(&meta, 0, &held->meta.parent);
    set_long(&meta, 1, held->meta.version);
    set_long(&meta, 2, held->meta.time);
    set_id(&meta, 3, &held->meta.command);
    set_id(&meta, 4, &held->meta.body);
    set_text(&meta, 5, held->meta.actor);
    set_id(value, 1, &held->hold);
    set_int(value, 2, held->from);
    set_int(value, 3, held->to);
    set_by_index(value, 4, &places);
    for (uint32_t i = 0; i < held->places_count; i++) {
        MUST(avro_value_append(&places, &place, NULL));
        set_int(&place, 0, held->places[i].section);
        set_int(&place, 1, held->places[i].seat);
    }
    set_text(value, 5, held->customer);
    set_long(value, 6, held->expires_at);
}

static void encode_theirs(subject *s, int count)
{
    avro_writer_t writer = avro_writer_memory(s->room, 4096);
    for (int i = 0; i < count; i++) {
        s->held.meta.version = i & 0xfff;
        MUST(avro_value_reset(&s->value));
        set_all(&s->value, &s->held);
        avro_writer_reset(writer);
        MUST(avro_value_write(writer, &s->value));
    }
    bt_assert((size_t)avro_writer_tell(writer) == s->out.size - BT_WIRE_PREFIX_SIZE);
    bt_assert(memcmp(s->room, s->out.at + BT_WIRE_PREFIX_SIZE, (size_t)avro_writer_tell(writer)) == 0);
    avro_writer_free(writer);
}

static uint64_t sum_of(const void *at, size_t size) { return ((const uint8_t *)at)[0] + ((const uint8_t *)at)[size - 1] + size; }

static void decode_ours(subject *s, int count)
{
    bt_err err;
    for (int i = 0; i < count; i++) {
        bt_event event;
        bt_arena_reset(&s->arena);
        bt_assert(bt_event_decode((bt_bytes){ s->encoded, s->encoded_size }, &s->arena, &event, &err));
        const struct trip_seats_held *held = event.data;
        uint64_t sum = sum_of(&held->meta.parent, 16) + (uint64_t)held->meta.version + (uint64_t)held->meta.time +
                       sum_of(&held->meta.command, 16) + sum_of(&held->meta.body, 16) + sum_of(held->meta.actor.at, held->meta.actor.size) +
                       sum_of(&held->hold, 16) + (uint64_t)held->from + (uint64_t)held->to +
                       sum_of(held->customer.at, held->customer.size) + (uint64_t)held->expires_at;
        for (uint32_t p = 0; p < held->places_count; p++)
            sum += (uint64_t)held->places[p].section + (uint64_t)held->places[p].seat;
        s->sum += sum;
    }
}

static uint64_t get_number(const avro_value_t *record, size_t index)
{
    avro_value_t field;
    int32_t narrow;
    int64_t wide;
    MUST(avro_value_get_by_index(record, index, &field, NULL));
    if (avro_value_get_type(&field) == AVRO_INT32) {
        MUST(avro_value_get_int(&field, &narrow));
        return (uint64_t)narrow;
    }
    MUST(avro_value_get_long(&field, &wide));
    return (uint64_t)wide;
}

static uint64_t get_id(const avro_value_t *record, size_t index)
{
    avro_value_t field;
    const void *at;
    size_t size;
    MUST(avro_value_get_by_index(record, index, &field, NULL));
    MUST(avro_value_get_fixed(&field, &at, &size));
    return sum_of(at, size);
}

static uint64_t get_text(const avro_value_t *record, size_t index)
{
    avro_value_t field;
    const char *at;
    size_t size;
    MUST(avro_value_get_by_index(record, index, &field, NULL));
    MUST(avro_value_get_string(&field, &at, &size));
    return sum_of(at, size - 1);
}

static uint64_t get_all(const avro_value_t *value)
{
    avro_value_t meta, places, place;
    size_t count;
    MUST(avro_value_get_by_index(value, 0, &meta, NULL));
    uint64_t sum = get_id(&meta, 0) + get_number(&meta, 1) + get_number(&meta, 2) + get_id(&meta, 3) + get_id(&meta, 4) +
                   get_text(&meta, 5) + get_id(value, 1) + get_number(value, 2) + get_number(value, 3) + get_text(value, 5) +
                   get_number(value, 6);
    MUST(avro_value_get_by_index(value, 4, &places, NULL));
    MUST(avro_value_get_size(&places, &count));
    for (size_t i = 0; i < count; i++) {
        MUST(avro_value_get_by_index(&places, i, &place, NULL));
        sum += get_number(&place, 0) + get_number(&place, 1);
    }
    return sum;
}

static void decode_theirs(subject *s, int count)
{
    avro_reader_t reader = avro_reader_memory(NULL, 0);
    for (int i = 0; i < count; i++) {
        avro_reader_memory_set_source(reader, (const char *)s->encoded + BT_WIRE_PREFIX_SIZE,
                                      (int64_t)(s->encoded_size - BT_WIRE_PREFIX_SIZE));
        MUST(avro_value_reset(&s->value));
        MUST(avro_value_read(reader, &s->value));
        s->sum -= get_all(&s->value);
    }
    avro_reader_free(reader);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double ns_per_event(work run, subject *s, int count)
{
    double start = seconds_now();
    run(s, count);
    return (seconds_now() - start) * 1e9 / count;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The sides take turns; the first round of each is for warming up. */
static void measure(const char *name, work ours, work theirs, subject *s, double seconds, bool json)
{
    double ours_ns[ROUND_COUNT], theirs_ns[ROUND_COUNT];
    ns_per_event(ours, s, 1000);
    double guess = ns_per_event(ours, s, 1000) + ns_per_event(theirs, s, 1000);
    int count = (int)(seconds * 1e9 / ROUND_COUNT / guess) + 1;
    for (int round = 0; round < ROUND_COUNT; round++) {
        ours_ns[round] = ns_per_event(ours, s, count);
        theirs_ns[round] = ns_per_event(theirs, s, count);
    }
    qsort(ours_ns, ROUND_COUNT, sizeof ours_ns[0], compare);
    qsort(theirs_ns, ROUND_COUNT, sizeof theirs_ns[0], compare);
    double mine = ours_ns[ROUND_COUNT / 2], rival = theirs_ns[ROUND_COUNT / 2], ratio = rival / mine;
    if (json)
        printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"events/s\",\"limit\":%.0f,\"ratio\":%.2f,\"want\":%.1f,\"met\":%s,"
               "\"ns\":%.1f,\"limit_ns\":%.1f,\"bytes\":%zu}\n",
               name, 1e9 / mine, 1e9 / rival, ratio, WANT, ratio >= WANT ? "true" : "false", mine, rival, s->encoded_size);
    else
        printf("%-14s %8.1f ns, avro-c %8.1f ns: %5.1f times (want %.0f)  [%zu bytes, %d events x %d rounds]\n", name, mine, rival, ratio,
               WANT, s->encoded_size, count, ROUND_COUNT);
}

static void subject_init(subject *s, const struct trip_place *places, size_t place_count)
{
    avro_schema_t schema;
    bt_err err;
    *s = (subject){ .held = { .meta = { .version = 41, .time = INT64_C(1795328096000001), .actor = BT_STR("web-shop-7") },
                              .from = 2,
                              .to = 9,
                              .places = places,
                              .places_count = (uint32_t)place_count,
                              .customer = BT_STR("customer-0001234567"),
                              .expires_at = INT64_C(1795328696000001) } };
    memset(s->held.meta.parent.at, 0x5a, 16);
    memset(s->held.meta.command.at, 0xa5, 16);
    memset(s->held.meta.body.at, 0x3c, 16);
    memset(s->held.hold.at, 0xc3, 16);
    bt_buf_init(&s->out, 4096);
    bt_arena_init(&s->arena, 0);
    s->room = bt_alloc(4096);
    MUST(avro_schema_from_json_length(trip_seats_held_message.avsc, strlen(trip_seats_held_message.avsc), &schema));
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    MUST(avro_generic_value_new(iface, &s->value));
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    bt_assert(bt_event_encode((bt_event){ &trip_seats_held_message, &s->held }, &s->out, &err) && s->out.size <= sizeof s->encoded);
    memcpy(s->encoded, s->out.at, s->out.size);
    s->encoded_size = s->out.size;
}

int main(int argc, char **argv)
{
    static const struct trip_place places[] = { { 1, 17 }, { 1, 18 }, { 1, 97 }, { 2, 101 } };
    bool json = false;
    double seconds = 4;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else
            return fprintf(stderr, "usage: bench_codec [--json] [--seconds N]\n"), 2;
    }
    subject s;
    subject_init(&s, places, BT_COUNT_OF(places));
    decode_ours(&s, 10);
    decode_theirs(&s, 10);
    bt_assert(s.sum == 0); /* both read the same */
    measure("codec.encode", encode_ours, encode_theirs, &s, seconds / 2, json);
    measure("codec.decode", decode_ours, decode_theirs, &s, seconds / 2, json);
    bt_buf_release(&s.out);
    bt_arena_release(&s.arena);
    avro_value_decref(&s.value);
    bt_release(s.room);
    return 0;
}
