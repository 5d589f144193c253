/* parse - see parse.h. */
#include "io/http/parse.h"

#define OVERHEAD_MAX 4096

size_t bt_head_size(bt_str bytes, size_t from)
{
    size_t start = from > 3 ? from - 3 : 0; /* the end may have been cut by the last read */
    if (bytes.size < 4)
        return 0;
    const char *end = memmem(bytes.at + start, bytes.size - start, "\r\n\r\n", 4);
    return end == NULL ? 0 : (size_t)(end - bytes.at) + 4;
}

/* The next word up to a space; false without one or when it is empty. */
static bool take_word(bt_str *line, bt_str *ret_word)
{
    const char *space = line->size == 0 ? NULL : memchr(line->at, ' ', line->size);
    if (space == NULL || space == line->at)
        return false;
    *ret_word = (bt_str){ line->at, (size_t)(space - line->at) };
    *line = (bt_str){ space + 1, line->size - ret_word->size - 1 };
    return true;
}

static bool parse_first_line(bt_str line, bt_front_head *head)
{
    if (!take_word(&line, &head->method) || !take_word(&line, &head->target))
        return false;
    for (size_t i = 0; i < head->method.size; i++) {
        if (head->method.at[i] < 'A' || head->method.at[i] > 'Z')
            return false;
    }
    head->http_1_0 = bt_str_is(line, "HTTP/1.0");
    return head->http_1_0 || bt_str_is(line, "HTTP/1.1");
}

static bt_str without_blanks(bt_str text)
{
    while (text.size > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = (bt_str){ text.at + 1, text.size - 1 };
    while (text.size > 0 && (text.at[text.size - 1] == ' ' || text.at[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Up to the next CR LF, which is taken too. A lone CR or LF stays in the line, where head.c refuses it. */
static bt_str take_line(bt_str *left)
{
    const char *end = memmem(left->at, left->size, "\r\n", 2);
    bt_str line = { left->at, end == NULL ? left->size : (size_t)(end - left->at) };
    size_t taken = end == NULL ? left->size : line.size + 2;
    *left = (bt_str){ left->at + taken, left->size - taken };
    return line;
}

bool bt_head_parse(bt_str head, bt_arena *arena, bt_front_head *ret_head)
{
    bt_str left = head;
    bt_front_head parsed = { .size = head.size, .client = ret_head->client };
    if (!parse_first_line(take_line(&left), &parsed))
        return false;
    parsed.headers = bt_arena_take(arena, sizeof *parsed.headers * BT_HTTP_HEADERS_MAX);
    while (left.size > 2 && parsed.header_count < BT_HTTP_HEADERS_MAX) {
        bt_str line = take_line(&left);
        const char *colon = line.size == 0 ? NULL : memchr(line.at, ':', line.size);
        if (colon == NULL)
            return false;
        bt_str name = { line.at, (size_t)(colon - line.at) };
        bt_str value = without_blanks((bt_str){ colon + 1, line.size - name.size - 1 });
        parsed.headers[parsed.header_count++] = (bt_http_pair){ name, value };
    }
    *ret_head = parsed;
    return true;
}

static int hex_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bt_chunks_state after_size(bt_chunks *chunks, uint8_t c)
{
    int digit = hex_of(c);
    if (digit >= 0) {
        /* 8 digits hold 4 GiB: longer ones would only be tricks with zeros and overflows. */
        chunks->left = chunks->left << 4 | (uint64_t)digit;
        return ++chunks->digits <= 8 ? BT_CHUNKS_SIZE : BT_CHUNKS_BAD;
    }
    if (chunks->digits == 0)
        return BT_CHUNKS_BAD;
    return c == '\r' ? BT_CHUNKS_SIZE_LF : c == ';' ? BT_CHUNKS_EXTENSION : BT_CHUNKS_BAD;
}

/* Everything but the data goes byte by byte. */
static bt_chunks_state step(bt_chunks *chunks, uint8_t c)
{
    bool text = (c >= 0x20 && c != 0x7f) || c == '\t';
    switch (chunks->state) {
    case BT_CHUNKS_SIZE:
        return after_size(chunks, c);
    case BT_CHUNKS_EXTENSION:
        if (++chunks->overhead > OVERHEAD_MAX)
            return BT_CHUNKS_BAD;
        return c == '\r' ? BT_CHUNKS_SIZE_LF : text ? BT_CHUNKS_EXTENSION : BT_CHUNKS_BAD;
    case BT_CHUNKS_SIZE_LF:
        return c != '\n' ? BT_CHUNKS_BAD : chunks->left == 0 ? BT_CHUNKS_TRAILER_START : BT_CHUNKS_DATA;
    case BT_CHUNKS_DATA_CR:
        return c == '\r' ? BT_CHUNKS_DATA_LF : BT_CHUNKS_BAD;
    case BT_CHUNKS_DATA_LF:
        chunks->digits = 0;
        return c == '\n' ? BT_CHUNKS_SIZE : BT_CHUNKS_BAD;
    case BT_CHUNKS_TRAILER_START:
        return c == '\r' ? BT_CHUNKS_END_LF : text ? BT_CHUNKS_TRAILER : BT_CHUNKS_BAD;
    case BT_CHUNKS_TRAILER:
        if (++chunks->overhead > OVERHEAD_MAX)
            return BT_CHUNKS_BAD;
        return c == '\r' ? BT_CHUNKS_TRAILER_LF : text ? BT_CHUNKS_TRAILER : BT_CHUNKS_BAD;
    case BT_CHUNKS_TRAILER_LF:
        return c == '\n' ? BT_CHUNKS_TRAILER_START : BT_CHUNKS_BAD;
    case BT_CHUNKS_END_LF:
        return c == '\n' ? BT_CHUNKS_DONE : BT_CHUNKS_BAD;
    case BT_CHUNKS_DATA:
    case BT_CHUNKS_DONE:
    case BT_CHUNKS_BAD:
    case BT_CHUNKS_TOO_LARGE:
        break;
    }
    return chunks->state;
}

size_t bt_chunks_feed(bt_chunks *chunks, bt_str bytes, bt_buf *body)
{
    size_t at = 0;
    while (at < bytes.size && chunks->state < BT_CHUNKS_DONE) {
        if (chunks->state != BT_CHUNKS_DATA) {
            chunks->state = step(chunks, (uint8_t)bytes.at[at++]);
            continue;
        }
        size_t size = bytes.size - at < chunks->left ? bytes.size - at : (size_t)chunks->left;
        bt_buf_write(body, bytes.at + at, size);
        if (body->overflow) {
            chunks->state = BT_CHUNKS_TOO_LARGE;
            return at;
        }
        at += size;
        chunks->left -= size;
        if (chunks->left == 0)
            chunks->state = BT_CHUNKS_DATA_CR;
    }
    return at;
}
