/* parse - HTTP/1.1 from bytes, for the loop backend: the head in one go once it is there whole, a chunked body as it comes.
 *
 * Strict on purpose: one space between the words of the first line, CR LF at each end of line, nothing folded. What is let through here
 * still goes through head.c. Pure; no I/O, no clock. */
#ifndef BERTH_IO_HTTP_PARSE_H
#define BERTH_IO_HTTP_PARSE_H

#include "core/buf.h"
#include "io/http/front.h"

/* Bytes up to and with the empty line, or 0 if it is not there yet. from: how many bytes were already searched. */
size_t bt_head_size(bt_str bytes, size_t from);

/* head: as bt_head_size found it; its bytes must live as long as the views. The list of headers is taken from arena; of more than
 * BT_HTTP_HEADERS_MAX the first are given, which head.c refuses. False if it is malformed. client is left alone. */
bool bt_head_parse(bt_str head, bt_arena *arena, bt_front_head *ret_head) BT_MUST_CHECK;

typedef enum bt_chunks_state {
    BT_CHUNKS_SIZE,
    BT_CHUNKS_EXTENSION,
    BT_CHUNKS_SIZE_LF,
    BT_CHUNKS_DATA,
    BT_CHUNKS_DATA_CR,
    BT_CHUNKS_DATA_LF,
    BT_CHUNKS_TRAILER_START,
    BT_CHUNKS_TRAILER,
    BT_CHUNKS_TRAILER_LF,
    BT_CHUNKS_END_LF,
    BT_CHUNKS_DONE,
    BT_CHUNKS_BAD,
    BT_CHUNKS_TOO_LARGE,
} bt_chunks_state;

typedef struct bt_chunks {
    bt_chunks_state state;
    uint64_t left;   /* of this chunk */
    int digits;      /* of this chunk's size */
    size_t overhead; /* bytes of extensions and trailers so far: they are thrown away, but not without end */
} bt_chunks;

/* Takes from bytes what it can, appends the decoded body (whose ceiling is the limit of the body). Returns how many bytes it took: all of
 * them unless the state is now DONE, BAD or TOO_LARGE. */
size_t bt_chunks_feed(bt_chunks *chunks, bt_str bytes, bt_buf *body);

#endif
