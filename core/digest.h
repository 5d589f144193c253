/* digest - SHA-256 cut to 16 bytes: ids of records, digests of idempotency keys and of request bodies.
 * The only file of core that touches OpenSSL. Pure, any thread. */
#ifndef BERTH_CORE_DIGEST_H
#define BERTH_CORE_DIGEST_H

#include "core/base.h"

/* The id of a record (docs/protocol.md section 1.2): the first 16 bytes of SHA-256(u32 big-endian key size, key, whole value). */
bt_id bt_record_id(bt_str key, bt_bytes value);

/* The first 16 bytes of SHA-256 over the parts, each preceded by its length as u32 big-endian, so that no two
 * different lists of parts share an input. At most BT_DIGEST_PARTS_MAX parts. */
#define BT_DIGEST_PARTS_MAX 16
bt_id bt_digest_parts(const bt_str *parts, size_t part_count);

/* Digests many small pieces, for state digests: feed, then finish. Caller-owned storage. */
typedef struct bt_digest {
    uint64_t opaque[16];
} bt_digest;

void bt_digest_init(bt_digest *digest);
void bt_digest_feed(bt_digest *digest, const void *at, size_t size);
bt_id bt_digest_finish(bt_digest *digest);

#endif
