/* snapshot_digest - what the C owner finds in its snapshots, as digests, for the checker to hold against its own fold from the log's start.
 *
 *   snapshot_digest FOLDER PARTITION_COUNT     FOLDER: <state.dir>/snapshots/<node>
 *
 * One JSON line a file: partition, back (0: the newest), and either next_offset, head and digest, or error: a file that is torn or damaged is
 * nobody's state. */
#include "commands/owner/owner.h"
#include "commands/snapshot/snapshot.h"
#include "commands/trip/trip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void no_append(void *context, uint64_t generation, uint64_t attempt, bt_str key, bt_bytes value, int64_t time_us)
{
    (void)context, (void)generation, (void)attempt, (void)key, (void)value, (void)time_us;
}
static void no_read(void *context, int64_t offset) { (void)context, (void)offset; }
static void no_end(void *context, uint64_t request) { (void)context, (void)request; }
static void no_fetch(void *context, uint64_t request, int64_t offset) { (void)context, (void)request, (void)offset; }
static void no_answer(void *context, void *token, const bt_answer *answer) { (void)context, (void)token, (void)answer; }
static void no_random(void *context, void *at, size_t size) { (void)context, memset(at, 0, size); }
static void say_alarm(void *context, const char *name, const char *text) { (void)context, fprintf(stderr, "%s: %s\n", name, text); }

static const bt_owner_outputs deaf = { .append = no_append, .read_from = no_read, .ask_end = no_end, .fetch_one = no_fetch, .answer = no_answer,
    .random = no_random, .alarm = say_alarm };

static void tell(const bt_owner *owner, int32_t partition, int back)
{
    char head[BT_ID_HEX_SIZE], digest[BT_ID_HEX_SIZE];
    bt_owner_stats stats;
    bt_owner_stats_of(owner, &stats);
    bt_id_to_hex(stats.proved.head, head);
    bt_id_to_hex(bt_owner_digest(owner), digest);
    printf("{\"partition\":%d,\"back\":%d,\"next_offset\":%lld,\"head\":\"%.*s\",\"digest\":\"%.*s\"}\n", (int)partition, back,
        (long long)stats.proved.next_offset, BT_ID_HEX_SIZE, head, BT_ID_HEX_SIZE, digest);
}

/* False: there is no such file. */
static bool look_at(const snapshot_place *place, int32_t partition, int32_t partition_count, int back)
{
    bt_owner_config config = { .decider = &trip_decider, .decider_settings = &trip_settings_default, .topic = BT_STR("berth.trip"),
        .node = BT_STR("checker"), .address = BT_STR("none:0"), .registry = BT_STR("berth"), .partition = partition, .partition_count = partition_count };
    bt_buf saved;
    bt_err err = { 0 };
    bt_buf_init(&saved, SNAPSHOT_BYTES_MAX);
    bool good = snapshot_read(place, back, &saved, &err);
    bool absent = !good && err.code == ENOENT;
    bt_owner *owner = bt_owner_new(&config, &deaf);
    if (good && bt_owner_load(owner, (bt_bytes){ saved.at, saved.size }, &err))
        tell(owner, partition, back);
    else if (!absent)
        printf("{\"partition\":%d,\"back\":%d,\"error\":true}\n", (int)partition, back);
    bt_owner_free(owner);
    bt_buf_release(&saved);
    return !absent;
}

int main(int argc, char *argv[])
{
    if (argc != 3 || atoi(argv[2]) < 1) {
        fprintf(stderr, "usage: snapshot_digest FOLDER PARTITION_COUNT\n");
        return 2;
    }
    int32_t partition_count = atoi(argv[2]);
    for (int32_t partition = 0; partition < partition_count; partition++) {
        snapshot_place place;
        bt_err err = { 0 };
        if (!snapshot_place_init(&place, argv[1], BT_STR("berth.trip"), partition, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        for (int back = 0; back < SNAPSHOT_KEPT && look_at(&place, partition, partition_count, back); back++)
            ;
    }
    return 0;
}
