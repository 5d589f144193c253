/* fuzz_decode - hostile record values: our decoder must not crash, and must agree with avro-c about what they mean.
 *
 * What we take, avro-c takes, with the same values, and it is the same after it was written and read again. What we refuse and avro-c takes
 * is either against a rule that it does not know (ceilings, UTF-8, booleans), or not in the one form that writers use: avro-c's own writing
 * of it we then take. Built with BERTH_FUZZ=ON it is a libFuzzer target; else a program that replays the files and folders it is given. */
#include "core/avro.h"
#include "tests/support/oracle.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) ((condition) ? (void)0 : fail(#condition))
#define ORACLES_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char stage[BT_ERR_MESSAGE_MAX];

static _Noreturn void fail(const char *condition)
{
    fprintf(stderr, "fuzz_decode: not so: %s (%s)\n", condition, stage);
    abort();
}

static const oracle *oracle_of(const bt_schema_version *version)
{
    static oracle oracles[ORACLES_MAX];
    MUST(version->id < ORACLES_MAX);
    oracle *o = &oracles[version->id];
    if (o->schema == NULL)
        oracle_init(o, version->avsc);
    return o;
}

/* Ours in the newest form, out and back. */
static void check_again(bt_event event, bt_arena *arena)
{
    bt_buf out;
    bt_err err;
    bt_event back;
    bt_buf_init(&out, 4 * BT_RECORD_VALUE_MAX);
    MUST(bt_event_encode(event, &out, &err));
    MUST(bt_event_decode((bt_bytes){ out.at, out.size }, arena, &back, &err));
    MUST(back.type == event.type && bt_record_equal(event.type->record, event.data, back.data));
    bt_buf_reset(&out);
    bt_record_to_json(event.type->record, event.data, NULL, &out);
    bt_buf_release(&out);
}

/* avro-c took what we refused: then its own form of it is one that we take, or breaks a rule that it does not know. */
static void check_refused(const bt_schema_version *version, const avro_value_t *value, bt_arena *arena)
{
    if (!oracle_within_rules(version->writer, value))
        return;
    bt_buf out;
    bt_err err;
    bt_buf_init(&out, 4 * BT_RECORD_VALUE_MAX);
    oracle_encode(value, &out);
    void *data = bt_arena_take(arena, version->writer->struct_size);
    bool good = bt_avro_decode(version->writer, (bt_bytes){ out.at, out.size }, 0, arena, data, &err);
    snprintf(stage, sizeof stage, "%s", good ? "" : err.message);
    MUST(good);
    MUST(oracle_equal(version->type->record, data, value));
    bt_buf_release(&out);
}

static void check_against_oracle(const bt_schema_version *version, bt_bytes body, bool taken, bt_event event, bt_arena *arena)
{
    const oracle *o = oracle_of(version);
    avro_value_t value;
    size_t used;
    oracle_bound();
    MUST(avro_generic_value_new(o->iface, &value) == 0);
    int rc = oracle_decode(&value, body, &used);
    if (taken) {
        MUST(rc == 0 && used == body.size);
        MUST(oracle_equal(event.type->record, event.data, &value));
    } else if (rc == 0) {
        check_refused(version, &value, arena);
    }
    avro_value_decref(&value);
    oracle_unbound();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bt_bytes value = { data, size };
    bt_err err = { 0 };
    bt_event event = { 0 };
    bt_arena arena;
    bt_arena_init(&arena, 0);
    bool taken = bt_event_decode(value, &arena, &event, &err);
    snprintf(stage, sizeof stage, "%s", taken ? "taken" : err.message);
    const bt_schema_version *version =
        size < BT_WIRE_PREFIX_SIZE || data[0] != 0 ? NULL : bt_schema_set_find(&bt_schemas, bt_record_schema_id(value));
    MUST(!taken || version != NULL);
    if (taken)
        check_again(event, &arena);
    if (version != NULL)
        check_against_oracle(version, (bt_bytes){ data + BT_WIRE_PREFIX_SIZE, size - BT_WIRE_PREFIX_SIZE }, taken, event, &arena);
    bt_arena_release(&arena);
    return 0;
}
