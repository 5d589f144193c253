/* probe - does the head that this owner stood on while the log stood still, stand there yet?
 *
 * Kafka loses acknowledged records only when all replicas of a partition do, or when one is elected that lacks them: for seconds nobody can read or write. Whoever
 * looks before the log has grown again is shown an end that is too early, and knows. But the log may grow past what was lost before this owner looks, by
 * another's appends or late copies of its own; then all that it reads from there on fits what it remembers, and it would decide upon lost records
 * until somebody restarts it. So when a record is read or proved after the log had stood still for probe_after_us, the head of that silence
 * is read back by its offset, beside the work; and also when a void record names a parent that is not known, which another history may be behind. If another
 * record stands there, the partition turns READ_ONLY. It costs one record that is read twice after each silence, and nothing under load. */
#include "commands/owner/internal.h"

static bool is_watched(const bt_owner *owner) { return owner->phase != BT_OWNER_IDLE && owner->phase != BT_OWNER_READ_ONLY; }

void owner_send_probe(bt_owner *owner)
{
    if (owner->probe_count == 0 || owner->probe_request != 0 || owner->fetch_count >= owner->config.fetches_max || owner->timer < owner->probe_after)
        return;
    owner->probe_request = ++owner->fetch_request;
    owner->fetch_count++;
    owner->stats.probes++;
    owner->outputs.fetch_one(owner->outputs.context, owner->probe_request, owner->probes[0].offset);
}

/* Each silence has its own head, and none stands for another: what was lost in one of them may stand in for the later one's. */
static void probe(bt_owner *owner)
{
    bool known = owner->probe_count > 0 && owner->probes[owner->probe_count - 1].height == owner->proved.height;
    if (known || owner->probe_count == PROBES_MAX || owner->proved.height == 0 || MUTANT(HEAD_NOT_PROBED))
        return;
    owner->probes[owner->probe_count++] = (mark){ owner->last_valid_offset, owner->proved.height, owner->proved.head };
    owner_send_probe(owner);
}

void owner_stir(bt_owner *owner)
{
    if (owner->timer - owner->stirred >= owner->config.probe_after_us)
        probe(owner);
    owner->stirred = owner->timer;
}

void owner_doubt(bt_owner *owner, bt_id parent)
{
    if (owner->timer - owner->doubted < owner->config.probe_after_us)
        return;
    for (size_t i = 0; i < MARKS; i++) {
        if (owner->marks[i].height > 0 && bt_id_equal(owner->marks[i].id, parent))
            return;
    }
    owner->doubted = owner->timer;
    probe(owner);
}

bool owner_probe_fetched(bt_owner *owner, uint64_t request, const bt_record *record)
{
    if (request != owner->probe_request || request == 0)
        return false;
    owner->probe_request = 0;
    if (owner->probe_count == 0) /* what it was asked for was given up meanwhile */
        return true;
    mark asked = owner->probes[0];
    if (record == NULL || record->offset != asked.offset) { /* nobody could read it: again, later */
        owner->probe_after = owner->timer + owner->config.probe_after_us;
        return true;
    }
    memmove(owner->probes, owner->probes + 1, --owner->probe_count * sizeof asked);
    if (is_watched(owner) && (record->key.at == NULL || !bt_id_equal(bt_record_id(record->key, record->value), asked.id)))
        owner_read_only(owner, "log.lost",
            "the record at offset %lld is not the one that was proved there: the log was cut back and has grown again; compare the replicas, then: berth log accept-loss",
            (long long)asked.offset);
    return true;
}

void owner_forget_probes(bt_owner *owner)
{
    owner->probe_count = 0;
    owner->probe_request = 0; /* its answer is for nobody then */
}

int64_t owner_probe_due(const bt_owner *owner)
{
    bool waits = owner->probe_count > 0 && owner->probe_request == 0 && owner->fetch_count < owner->config.fetches_max;
    return is_watched(owner) && waits ? owner->probe_after : INT64_MAX;
}
