/* fuzz_http - the loop's parser on any bytes: the head as one, and what follows as chunks cut at a place that the input chooses.
 *
 * Checked besides memory: the views of a parsed head lie within it, and a chunked body decodes the same whole or cut in two. */
#include "core/memory.h"
#include "io/http/parse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(bt_str outer, bt_str view)
{
    bt_assert(view.size == 0 || (view.at >= outer.at && view.at + view.size <= outer.at + outer.size));
}

static void fuzz_head(bt_str head)
{
    bt_arena arena;
    bt_front_head parsed = { .client = BT_STR("127.0.0.1") };
    bt_arena_init(&arena, 1 << 20);
    if (bt_head_parse(head, &arena, &parsed)) {
        check_within(head, parsed.method);
        check_within(head, parsed.target);
        bt_assert(parsed.header_count <= BT_HTTP_HEADERS_MAX);
        for (size_t i = 0; i < parsed.header_count; i++) {
            check_within(head, parsed.headers[i].name);
            check_within(head, parsed.headers[i].value);
        }
    }
    bt_arena_release(&arena);
}

static bt_chunks_state decode(bt_str bytes, size_t cut, bt_buf *body)
{
    bt_chunks chunks = { .state = BT_CHUNKS_SIZE };
    bt_buf_init(body, 1000);
    size_t taken = bt_chunks_feed(&chunks, (bt_str){ bytes.at, cut }, body);
    if (taken == cut && chunks.state < BT_CHUNKS_DONE)
        taken += bt_chunks_feed(&chunks, (bt_str){ bytes.at + cut, bytes.size - cut }, body);
    bt_assert(taken <= bytes.size);
    return chunks.state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bt_str bytes = { (const char *)data, size };
    size_t head_size = bt_head_size(bytes, 0);
    for (size_t from = 1; from < size && from < 64; from++) /* found wherever the reads were cut */
        bt_assert(head_size < from + 1 || bt_head_size(bytes, from) == head_size);
    if (head_size > 0)
        fuzz_head((bt_str){ bytes.at, head_size });
    bt_str rest = { bytes.at + head_size, size - head_size };
    if (rest.size == 0)
        return 0;
    bt_buf whole, pieces;
    bt_chunks_state state = decode(rest, rest.size, &whole), again = decode(rest, (size_t)data[size - 1] % rest.size, &pieces);
    bt_assert(state == again);
    bt_assert(state == BT_CHUNKS_TOO_LARGE || bt_str_equal(bt_buf_view(&whole), bt_buf_view(&pieces)));
    bt_buf_release(&whole);
    bt_buf_release(&pieces);
    return 0;
}
