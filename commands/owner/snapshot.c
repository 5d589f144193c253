/* snapshot - the proved state as bytes, and as a digest.
 *
 * A snapshot is a cache: the log alone is the truth, so a damaged or foreign one is refused as a whole and the log is
 * folded instead. Its position is that just after its last valid record. It ends in a digest of all before it; the
 * numbers are in the machine's own order, as no other machine reads it. */
#include "commands/owner/internal.h"

static const char MAGIC[8] = "berthsn1";

enum { FLAG_STOPPED = 1, FLAG_ENDED = 2, FLAG_STATE = 4 };

static void put_str(bt_buf *out, bt_str text)
{
    uint64_t size = text.size;
    bt_buf_write(out, &size, sizeof size);
    bt_buf_write(out, text.at, text.size);
}

#define PUT(out, value) bt_buf_write(out, &(value), sizeof(value))

static bt_id digest_of(const uint8_t *at, size_t size)
{
    bt_digest digest;
    bt_digest_init(&digest);
    bt_digest_feed(&digest, at, size);
    return bt_digest_finish(&digest);
}

static void put_header(const bt_owner *owner, bt_buf *out)
{
    const bt_owner_config *config = &owner->config;
    bt_buf_write(out, MAGIC, sizeof MAGIC);
    PUT(out, owner->schemas);
    put_str(out, bt_str_of(config->decider->kind));
    put_str(out, config->topic);
    put_str(out, config->registry);
    PUT(out, config->partition);
    PUT(out, config->partition_count);
    PUT(out, owner->log_id);
    PUT(out, owner->last_valid_offset);
    bt_forward at = owner->proved;
    at.void_count -= at.next_offset - (owner->last_valid_offset + 1);
    at.next_offset = owner->last_valid_offset + 1;
    PUT(out, at);
    PUT(out, owner->log_version);
    PUT(out, owner->loss);
    put_str(out, (bt_str){ owner->routed.node, owner->routed.node_size });
    put_str(out, (bt_str){ owner->routed.address, owner->routed.address_size });
}

static void put_stream(const bt_owner *owner, const bt_stream *stream, bt_buf *out)
{
    put_str(out, stream->id);
    bool has_state = stream->state != NULL;
    uint8_t flags = (uint8_t)((stream->stopped ? FLAG_STOPPED : 0) | (stream->ended ? FLAG_ENDED : 0) | (has_state ? FLAG_STATE : 0));
    PUT(out, flags);
    if (stream->state == NULL)
        return;
    size_t size_at = out->size;
    uint64_t size = 0;
    PUT(out, size);
    owner->config.decider->save(stream->state, out);
    if (out->overflow)
        return;
    size = out->size - size_at - sizeof size;
    memcpy(out->at + size_at, &size, sizeof size);
}

bool bt_owner_save(const bt_owner *owner, bt_buf *out, bt_err *err)
{
    if (!MUTANT(SAVE_UNPROVED) && (bt_pipeline_count(&owner->pipeline) > 0 || owner->must_verify))
        return bt_fail(err, BT_ERR_RETRY, 0, "records are in flight: their events are folded, but not proved");
    if (owner->hollow)
        return bt_fail(err, BT_ERR_RETRY, 0, "it follows without its state: there is nothing to save");
    size_t begin = out->size;
    put_header(owner, out);
    uint64_t key_count = bt_keys_count(&owner->keys);
    PUT(out, key_count);
    for (size_t i = 0; i < key_count; i++)
        bt_buf_write(out, bt_keys_at(&owner->keys, i), sizeof(bt_key_entry));
    uint64_t stream_count = owner->streams.count;
    PUT(out, stream_count);
    bt_stream **streams = bt_streams_sorted(&owner->streams);
    for (size_t i = 0; i < stream_count; i++)
        put_stream(owner, streams[i], out);
    bt_release(streams);
    if (out->overflow)
        return bt_fail(err, BT_ERR_INPUT, 0, "the snapshot is larger than its buffer may grow");
    bt_id digest = digest_of(out->at + begin, out->size - begin);
    PUT(out, digest);
    return out->overflow ? bt_fail(err, BT_ERR_INPUT, 0, "the snapshot is larger than its buffer may grow") : true;
}

/* ---- load ---- */

typedef struct reader {
    const uint8_t *at, *end;
    bool short_of;
} reader;

static void take(reader *from, void *to, size_t size)
{
    if ((size_t)(from->end - from->at) < size) {
        from->short_of = true;
        memset(to, 0, size);
        return;
    }
    memcpy(to, from->at, size);
    from->at += size;
}

#define TAKE(from, value) take(from, &(value), sizeof(value))

static bt_str take_str(reader *from)
{
    uint64_t size;
    TAKE(from, size);
    if (from->short_of || size > (uint64_t)(from->end - from->at)) {
        from->short_of = true;
        return (bt_str){ "", 0 };
    }
    bt_str text = { (const char *)from->at, (size_t)size };
    from->at += size;
    return text;
}

static bool take_header(bt_owner *owner, reader *from, bt_err *err)
{
    const bt_owner_config *config = &owner->config;
    char magic[sizeof MAGIC];
    bt_id schemas;
    int32_t partition, partition_count;
    TAKE(from, magic);
    TAKE(from, schemas);
    bt_str kind = take_str(from), topic = take_str(from), registry = take_str(from);
    TAKE(from, partition);
    TAKE(from, partition_count);
    if (memcmp(magic, MAGIC, sizeof MAGIC) != 0 || !bt_id_equal(schemas, owner->schemas))
        return bt_fail(err, BT_ERR_INPUT, 0, "the snapshot was written by another version of this program");
    if (!bt_str_is(kind, config->decider->kind) || !bt_str_equal(topic, config->topic) || !bt_str_equal(registry, config->registry) ||
        partition != config->partition || partition_count != config->partition_count)
        return bt_fail(err, BT_ERR_INPUT, 0, "the snapshot is of " BT_STR_FMT "/%d of %d with registry " BT_STR_FMT, BT_STR_ARG(topic),
            partition,
            partition_count, BT_STR_ARG(registry));
    TAKE(from, owner->log_id);
    TAKE(from, owner->last_valid_offset);
    TAKE(from, owner->proved);
    TAKE(from, owner->log_version);
    TAKE(from, owner->loss);
    owner->log_version_hoped = owner->log_version;
    if (owner->proved.height > 0)
        owner_mark(owner);
    bt_str node = take_str(from), address = take_str(from);
    routing *routed = &owner->routed;
    if (from->short_of || node.size > sizeof routed->node || address.size > sizeof routed->address ||
        owner->proved.next_offset != owner->last_valid_offset + 1)
        return bt_fail(err, BT_ERR_INPUT, 0, "the snapshot's header is damaged");
    memcpy(routed->node, node.at, routed->node_size = node.size);
    memcpy(routed->address, address.at, routed->address_size = address.size);
    return true;
}

static bool take_keys(bt_owner *owner, reader *from, bt_err *err)
{
    uint64_t count;
    TAKE(from, count);
    for (uint64_t i = 0; i < count && !from->short_of; i++) {
        bt_key_entry entry;
        TAKE(from, entry);
        if (!from->short_of && entry.offset <= owner->last_valid_offset)
            bt_keys_push(&owner->keys, &entry);
    }
    return from->short_of ? bt_fail(err, BT_ERR_INPUT, 0, "the snapshot's keys are cut short") : true;
}

static bool take_stream(bt_owner *owner, reader *from, bt_err *err)
{
    bt_str id = take_str(from);
    uint8_t flags;
    TAKE(from, flags);
    bt_str saved = flags & FLAG_STATE ? take_str(from) : (bt_str){ "", 0 };
    if (from->short_of || bt_streams_find(&owner->streams, id) != NULL)
        return bt_fail(err, BT_ERR_INPUT, 0, "the snapshot's streams are cut short or repeat");
    void *state = NULL;
    if (flags & FLAG_STATE) {
        state = owner->config.decider->load((bt_bytes){ (const uint8_t *)saved.at, saved.size }, err);
        if (state == NULL)
            return false;
    }
    bt_stream *stream = bt_streams_get(&owner->streams, id);
    stream->state = state;
    stream->ended = (flags & FLAG_ENDED) != 0;
    owner->streams.ended_count += stream->ended;
    if (flags & FLAG_STOPPED)
        bt_streams_stop(&owner->streams, stream);
    bt_streams_touch(&owner->streams, stream);
    return true;
}

static bool take_all(bt_owner *owner, bt_bytes saved, bt_err *err)
{
    bt_id digest;
    if (saved.size < sizeof digest)
        return bt_fail(err, BT_ERR_INPUT, 0, "the snapshot is cut short");
    reader from = { saved.at, saved.at + saved.size - sizeof digest, false };
    memcpy(&digest, from.end, sizeof digest);
    if (!bt_id_equal(digest, digest_of(saved.at, saved.size - sizeof digest)))
        return bt_fail(err, BT_ERR_INPUT, 0, "the snapshot is damaged: its digest is another");
    if (!take_header(owner, &from, err) || !take_keys(owner, &from, err))
        return false;
    uint64_t count;
    TAKE(&from, count);
    for (uint64_t i = 0; i < count; i++) {
        if (!take_stream(owner, &from, err))
            return false;
    }
    return from.short_of || from.at != from.end ? bt_fail(err, BT_ERR_INPUT, 0, "the snapshot has bytes to spare") : true;
}

void owner_forget_proved(bt_owner *owner)
{
    bt_streams_clear(&owner->streams);
    bt_keys_clear(&owner->keys);
    owner->log_id = (bt_id){ { 0 } };
    memset(owner->marks, 0, sizeof owner->marks);
    owner->proved = (bt_forward){ 0 };
    owner->last_valid_offset = -1;
    owner->log_version = owner->log_version_hoped = 0;
    owner->routed = (routing){ .node_size = 0 };
    owner->loss = (bt_loss){ 0 };
    owner_forget_probes(owner);
}

bool bt_owner_load(bt_owner *owner, bt_bytes saved, bt_err *err)
{
    bt_assert(owner->phase == BT_OWNER_IDLE && owner->proved.height == 0 && owner->streams.count == 0);
    if (take_all(owner, saved, err))
        return true;
    owner_forget_proved(owner);
    return false;
}

/* ---- digest ---- */

bt_id bt_owner_digest(const bt_owner *owner)
{
    bt_digest digest;
    bt_digest_init(&digest);
    bt_stream **streams = bt_streams_sorted(&owner->streams);
    for (size_t i = 0; i < owner->streams.count; i++) {
        const bt_stream *stream = streams[i];
        /* When a stream leaves memory is chance; that it is over is not. */
        if (stream->state == NULL || bt_streams_is_over(&owner->streams, stream, owner->proved.time_us))
            continue;
        uint32_t size = (uint32_t)stream->id.size;
        uint8_t big_endian[4] = { (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size };
        bt_digest_feed(&digest, big_endian, sizeof big_endian);
        bt_digest_feed(&digest, stream->id.at, stream->id.size);
        owner->config.decider->digest(stream->state, &digest);
    }
    bt_release(streams);
    return bt_digest_finish(&digest);
}
