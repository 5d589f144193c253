/* sample - random values of any record type, for tests that must not know the schemas: edges on purpose (zero, the
 * largest, the ceiling, empty, absent), the same for the same seed on every machine. */
#ifndef BERTH_TESTS_SUPPORT_SAMPLE_H
#define BERTH_TESTS_SUPPORT_SAMPLE_H

#include "core/memory.h"
#include "core/schema.h"

typedef struct sample {
    uint64_t state; /* the seed */
    bool tame;      /* times that RFC 3339 can say, and few items: for what is compared as JSON or committed as a file */
    bt_arena *arena;
} sample;

uint64_t sample_next(sample *s);
static inline uint64_t sample_below(sample *s, uint64_t limit) { return sample_next(s) % limit; }
/* Fills a struct of the newest version; what it points to comes from the arena. */
void sample_record(sample *s, const bt_record_type *type, void *to);
/* Takes one from the arena and fills it. */
void *sample_new(sample *s, const bt_record_type *type);

/* "0a1b" of bytes, and back. */
void hex_put(bt_bytes bytes, bt_buf *out);
bool hex_take(bt_str hex, bt_buf *out);

#endif
