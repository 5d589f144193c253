/* bytes - numbers and texts in a row of bytes, as the layout's canonical form and the snapshot use them.
 *
 * A number is an unsigned LEB128 of at most 10 bytes; a text is its size and its bytes. The reader trusts nothing: once
 * something does not fit, failed is set and all further reads give zero, so that it is checked once, at the end. */
#ifndef BERTH_COMMANDS_TRIP_BYTES_H
#define BERTH_COMMANDS_TRIP_BYTES_H

#include "core/buf.h"

typedef struct byte_reader {
    const uint8_t *at, *end;
    bool failed;
} byte_reader;

static inline void put_number(bt_buf *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    bt_buf_write(out, bytes, size);
}

static inline void put_text(bt_buf *out, bt_str text)
{
    put_number(out, text.size);
    bt_buf_str(out, text);
}

/* The next number, at most max; only its shortest form is taken, so that equal values have equal bytes. */
static inline uint64_t take_number(byte_reader *reader, uint64_t max)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end && !reader->failed; shift += 7) {
        uint8_t byte = *reader->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            if (value > max || (byte == 0 && shift > 0))
                break;
            return value;
        }
    }
    reader->failed = true;
    return 0;
}

/* Borrowed from what is read. */
static inline bt_str take_run(byte_reader *reader, size_t size)
{
    if (reader->failed || (size_t)(reader->end - reader->at) < size) {
        reader->failed = true;
        return (bt_str){ 0 };
    }
    bt_str run = { (const char *)reader->at, size };
    reader->at += size;
    return run;
}

static inline bt_str take_text(byte_reader *reader, size_t size_max) { return take_run(reader, (size_t)take_number(reader, size_max)); }

#endif
