/* codec_pipe - our codec as a filter of lines, for oracles in other languages (test_fastavro.py) and to make golden files.
 *
 *   codec_pipe emit COUNT SEED   for every event's newest version, COUNT lines: id, hex of the value, its JSON
 *   codec_pipe absorb            for each line "id hex" on stdin: "ok", JSON, hex written again by the newest version; or "refused", why
 * Cells are separated by tabs. hex is of the Avro alone, without the prefix of 5 bytes. */
#include "core/avro.h"
#include "tests/support/sample.h"

#include <stdio.h>
#include <stdlib.h>

static void print_tab(bt_buf *out)
{
    bt_buf_byte(out, '\t');
    fwrite(out->at, 1, out->size, stdout);
    bt_buf_reset(out);
}

static void print_end(bt_buf *out)
{
    bt_assert(!out->overflow);
    fwrite(out->at, 1, out->size, stdout);
    putchar('\n');
    bt_buf_reset(out);
}

static void emit_one(const bt_schema_version *version, uint64_t seed, bt_arena *arena, bt_buf *bytes, bt_buf *out)
{
    sample s = { .state = seed, .tame = true, .arena = arena };
    const void *data = sample_new(&s, version->type->record);
    bt_err err;
    if (!bt_avro_encode(version->type->record, data, bytes, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    bt_buf_printf(out, "%u", version->id);
    print_tab(out);
    hex_put((bt_bytes){ bytes->at, bytes->size }, out);
    print_tab(out);
    bt_record_to_json(version->type->record, data, NULL, out);
    print_end(out);
    bt_buf_reset(bytes);
    bt_arena_reset(arena);
}

static void emit(uint64_t count, uint64_t seed, bt_arena *arena, bt_buf *bytes, bt_buf *out)
{
    for (size_t v = 0; v < bt_schemas.version_count; v++) {
        const bt_schema_version *version = &bt_schemas.versions[v];
        for (uint64_t i = 0; version->id == version->type->schema_id && i < count; i++)
            emit_one(version, bt_mix64(seed ^ bt_str_hash(bt_str_of(version->subject))) + i, arena, bytes, out);
    }
}

static void absorb_one(uint32_t id, bt_str hex, bt_arena *arena, bt_buf *bytes, bt_buf *out)
{
    bt_event event;
    bt_err err = { 0 };
    uint8_t prefix[] = { 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id };
    bt_buf_write(bytes, prefix, sizeof prefix);
    if (!hex_take(hex, bytes) || !bt_event_decode((bt_bytes){ bytes->at, bytes->size }, arena, &event, &err)) {
        bt_buf_printf(out, "refused\t%s", err.message);
        print_end(out);
        return;
    }
    bt_buf_text(out, "ok");
    print_tab(out);
    bt_record_to_json(event.type->record, event.data, NULL, out);
    print_tab(out);
    bt_buf again;
    bt_buf_init(&again, 8 * BT_RECORD_VALUE_MAX);
    if (!bt_avro_encode(event.type->record, event.data, &again, &err))
        exit(1);
    hex_put((bt_bytes){ again.at, again.size }, out);
    bt_buf_release(&again);
    print_end(out);
}

static void absorb(bt_arena *arena, bt_buf *bytes, bt_buf *out)
{
    char *line = NULL;
    size_t room = 0;
    for (ssize_t size = getline(&line, &room, stdin); size > 0; size = getline(&line, &room, stdin)) {
        char *hex;
        uint32_t id = (uint32_t)strtoul(line, &hex, 10);
        while (*hex == '\t' || *hex == ' ')
            hex++;
        hex[strcspn(hex, "\n")] = 0;
        absorb_one(id, bt_str_of(hex), arena, bytes, out);
        bt_buf_reset(bytes);
        bt_arena_reset(arena);
    }
    free(line);
}

int main(int argc, char **argv)
{
    bt_arena arena;
    bt_buf bytes, out;
    bt_arena_init(&arena, 0);
    bt_buf_init(&bytes, 8 * BT_RECORD_VALUE_MAX);
    bt_buf_init(&out, 32 * BT_RECORD_VALUE_MAX);
    bool emits = argc == 4 && strcmp(argv[1], "emit") == 0, absorbs = argc == 2 && strcmp(argv[1], "absorb") == 0;
    if (emits)
        emit(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), &arena, &bytes, &out);
    else if (absorbs)
        absorb(&arena, &bytes, &out);
    else
        fprintf(stderr, "usage: codec_pipe emit COUNT SEED | codec_pipe absorb\n");
    bt_arena_release(&arena);
    bt_buf_release(&bytes);
    bt_buf_release(&out);
    return emits || absorbs ? 0 : 2;
}
