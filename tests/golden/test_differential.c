/* differential - our codec against avro-c's: for random values of every event, the same bytes, read the same, both ways. */
#include "tests/unit/test.h"

#include "core/avro.h"
#include "tests/support/oracle.h"
#include "tests/support/sample.h"

#define ROUNDS 300
#ifndef EVENTS_MIN
#define EVENTS_MIN 13
#endif

typedef struct round {
    bt_arena arena;
    bt_buf ours, theirs;
    bt_err err;
    avro_value_t value;
} round_state;

/* Ours to them: they read our bytes as the same values and write the same bytes. */
static void check_ours_to_them(round_state *r, const bt_record_type *type, const void *data)
{
    size_t used;
    assert_true(bt_avro_encode(type, data, &r->ours, &r->err));
    assert_int_equal(avro_value_reset(&r->value), 0);
    assert_int_equal(oracle_decode(&r->value, (bt_bytes){ r->ours.at, r->ours.size }, &used), 0);
    assert_int_equal(used, r->ours.size);
    assert_true(oracle_equal(type, data, &r->value));
}

/* Theirs to us: from the same values they make the same bytes, which we read as the same values. */
static void check_theirs_to_us(round_state *r, const bt_record_type *type, const void *data)
{
    assert_int_equal(avro_value_reset(&r->value), 0);
    oracle_fill(type, data, &r->value);
    oracle_encode(&r->value, &r->theirs);
    assert_true(bt_str_equal(bt_buf_view(&r->ours), bt_buf_view(&r->theirs)));
    void *back = bt_arena_take(&r->arena, type->struct_size);
    assert_true(bt_avro_decode(type, (bt_bytes){ r->theirs.at, r->theirs.size }, 0, &r->arena, back, &r->err));
    assert_true(bt_record_equal(type, data, back));
}

static void check_version(const bt_schema_version *version, uint64_t seed)
{
    const bt_record_type *type = version->type->record;
    round_state r = { 0 };
    oracle o;
    oracle_init(&o, version->avsc);
    bt_arena_init(&r.arena, 0);
    bt_buf_init(&r.ours, BT_RECORD_VALUE_MAX * 8);
    bt_buf_init(&r.theirs, BT_RECORD_VALUE_MAX * 8);
    assert_int_equal(avro_generic_value_new(o.iface, &r.value), 0);
    for (int i = 0; i < ROUNDS; i++) {
        sample s = { .state = seed + (uint64_t)i, .arena = &r.arena };
        const void *data = sample_new(&s, type);
        check_ours_to_them(&r, type, data);
        check_theirs_to_us(&r, type, data);
        bt_buf_reset(&r.ours);
        bt_buf_reset(&r.theirs);
        bt_arena_reset(&r.arena);
    }
    avro_value_decref(&r.value);
    oracle_release(&o);
    bt_buf_release(&r.ours);
    bt_buf_release(&r.theirs);
    bt_arena_release(&r.arena);
}

static void every_event__of_random_values__has_the_bytes_of_avro_c(void **unused)
{
    size_t newest = 0;
    for (size_t i = 0; i < bt_schemas.version_count; i++) {
        const bt_schema_version *version = &bt_schemas.versions[i];
        if (version->id != version->type->schema_id)
            continue; /* an older version is written by nobody here; test_fastavro.py reads it */
        check_version(version, i << 32);
        newest++;
    }
    assert_true(newest >= EVENTS_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_event__of_random_values__has_the_bytes_of_avro_c) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
