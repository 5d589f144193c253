/* fuzz_query - what strangers send to the query API and what it reads from Redis: positions, cursors, and values of availability.
 *
 * The first byte chooses; nothing may crash or read past the end, and what is understood must be the same when it is written and read again. */
#include "query-api/seats/map.h"
#include "query-api/server/cursor.h"
#include "query-api/server/json_text.h"
#include "query-api/server/token.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) ((condition) ? (void)0 : fail(#condition))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Noreturn void fail(const char *condition)
{
    fprintf(stderr, "fuzz_query: not so: %s\n", condition);
    abort();
}

static void try_tokens(bt_str text)
{
    qa_token tokens[QA_TOKENS_MAX], again[QA_TOKENS_MAX];
    size_t count, count_again;
    bt_err err = { 0 };
    if (!qa_tokens_parse(text, tokens, &count, &err)) {
        MUST(err.kind == BT_ERR_INPUT && err.message[0] != 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char written[QA_TOKEN_TEXT_MAX];
        bt_id id = { { 0 } };
        memcpy(id.at, tokens[i].id, QA_TOKEN_ID_SIZE);
        size_t size = qa_token_write(tokens[i].kind, tokens[i].partition, tokens[i].offset, id, written);
        MUST(qa_tokens_parse((bt_str){ written, size }, again, &count_again, &err) && count_again == 1);
        MUST(again[0].offset == tokens[i].offset && again[0].partition == tokens[i].partition && memcmp(again[0].id, tokens[i].id, QA_TOKEN_ID_SIZE) == 0);
    }
}

static void try_cursor(bt_str text)
{
    bt_arena arena;
    bt_arena_init(&arena, 0);
    bt_str question = BT_STR("q"), fields[QA_CURSOR_FIELDS_MAX];
    for (size_t count = 0; count <= QA_CURSOR_FIELDS_MAX; count++)
        if (qa_cursor_read(&arena, text, &question, 1, fields, count))
            MUST(bt_str_equal(qa_cursor_write(&arena, &question, 1, fields, count), text));
    bt_arena_release(&arena);
}

static void try_walk(bt_str text, int depth)
{
    qa_json_walk walk = qa_json_begin(text);
    for (bt_str key, value; qa_json_next(&walk, &key, &value);) {
        MUST(value.at >= text.at && value.at + value.size <= text.at + text.size);
        if (depth < 8)
            try_walk(value, depth + 1);
    }
}

static void try_value(bt_str value)
{
    static qa_layout layout = { .references = 1, .trip_json = { "\"T\"", 3 }, .point_count = 20 };
    bt_err err = { 0 };
    if (layout.seating == NULL) {
        layout.seating = qa_seating_new(BT_STR("[{\"name\":\"1\",\"class\":\"c\",\"seats\":[\"1\",null,\"2\"],\"blocked\":[2]},{\"name\":\"D\",\"class\":\"c\",\"capacity\":9}]"), &err);
        for (size_t i = 0; i < layout.point_count; i++)
            layout.points[i] = (qa_point){ .stop_json = BT_STR("\"P\"") };
    }
    MUST(layout.seating != NULL);
    qa_availability availability;
    uint8_t states[8];
    if (!qa_availability_read(value, &layout, &availability))
        return;
    bt_buf json;
    bt_buf_init(&json, 1 << 16);
    qa_map_write(&json, &layout, &availability, 3, 17, states);
    MUST(!json.overflow && json.at[json.size - 1] == '}');
    bt_buf_release(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bt_str text = { (const char *)data + 1, size - 1 };
    switch (data[0] % 4) {
    case 0:
        try_tokens(text);
        break;
    case 1:
        try_cursor(text);
        break;
    case 2:
        try_walk(text, 0);
        break;
    default:
        try_value(text);
        break;
    }
    return 0;
}
