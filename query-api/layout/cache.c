/* cache - the trips that were asked for lately: a hash table and a list by last use, in 16 parts with a lock each, so that readers on
 * many threads seldom meet. Nothing but pointers moves under a lock; loading and freeing happen outside.
 *
 * Two workers that miss the same trip at once both load it; one copy stays. That costs a read now and then and needs no waiting. */
#include "query-api/layout/load.h"
#include "query-api/server/json_text.h"
#include "query-api/server/server.h"

#include "core/digest.h"

#include <pthread.h>
#include <stdatomic.h>

#define PARTS 16
#define BUCKETS 1024 /* a part */
#define SEATINGS_MAX 256

typedef struct cached_trip {
    struct cached_trip *same_bucket, *newer, *older;
    uint64_t hash;
    const qa_layout *layout;
    const qa_masks *masks;
} cached_trip;

typedef struct cache_part {
    pthread_mutex_t lock;
    cached_trip *buckets[BUCKETS];
    cached_trip *newest, *oldest;
    size_t bytes;
} cache_part;

struct qa_layouts {
    size_t part_bytes_max;
    _Atomic uint32_t epoch; /* of qa_layouts_forget */
    cache_part parts[PARTS];
    pthread_mutex_t seatings_lock;
    qa_seating *seatings[SEATINGS_MAX]; /* a direct-mapped table by digest: one that is pushed out lives on in its layouts */
};

qa_layouts *qa_layouts_new(size_t bytes_max)
{
    qa_layouts *layouts = bt_alloc(sizeof *layouts);
    layouts->part_bytes_max = bytes_max / PARTS;
    for (size_t i = 0; i < PARTS; i++)
        pthread_mutex_init(&layouts->parts[i].lock, NULL);
    pthread_mutex_init(&layouts->seatings_lock, NULL);
    return layouts;
}

static size_t entry_bytes(const cached_trip *entry) { return sizeof *entry + entry->layout->bytes + (entry->masks == NULL ? 0 : entry->masks->size); }

static void entry_free(cached_trip *entry)
{
    qa_layout_release(entry->layout);
    qa_masks_release(entry->masks);
    bt_release(entry);
}

void qa_layouts_free(qa_layouts *layouts)
{
    if (layouts == NULL)
        return;
    for (size_t i = 0; i < PARTS; i++) {
        for (cached_trip *entry = layouts->parts[i].newest, *older; entry != NULL; entry = older) {
            older = entry->older;
            entry_free(entry);
        }
        pthread_mutex_destroy(&layouts->parts[i].lock);
    }
    for (size_t i = 0; i < SEATINGS_MAX; i++)
        qa_seating_release(layouts->seatings[i]);
    pthread_mutex_destroy(&layouts->seatings_lock);
    bt_release(layouts);
}

static cache_part *part_of(qa_layouts *layouts, uint64_t hash) { return &layouts->parts[hash % PARTS]; }
static cached_trip **bucket_of(cache_part *part, uint64_t hash) { return &part->buckets[hash / PARTS % BUCKETS]; }

static cached_trip *find(cache_part *part, uint64_t hash, bt_str trip)
{
    cached_trip *entry = *bucket_of(part, hash);
    while (entry != NULL && (entry->hash != hash || !bt_str_equal(entry->layout->trip, trip)))
        entry = entry->same_bucket;
    return entry;
}

static void unlink_use(cache_part *part, cached_trip *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &part->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &part->oldest) = entry->newer;
}

static void link_newest(cache_part *part, cached_trip *entry)
{
    entry->newer = NULL;
    entry->older = part->newest;
    *(part->newest != NULL ? &part->newest->newer : &part->oldest) = entry;
    part->newest = entry;
}

/* Takes the least recently used out until the part fits; returns them chained by same_bucket, to be freed without the lock. The
 * newest one always stays. */
static cached_trip *shrink(qa_layouts *layouts, cache_part *part)
{
    cached_trip *out = NULL;
    while (part->bytes > layouts->part_bytes_max && part->oldest != part->newest) {
        cached_trip *victim = part->oldest;
        cached_trip **at = bucket_of(part, victim->hash);
        while (*at != victim)
            at = &(*at)->same_bucket;
        *at = victim->same_bucket;
        unlink_use(part, victim);
        part->bytes -= entry_bytes(victim);
        victim->same_bucket = out;
        out = victim;
    }
    return out;
}

static void free_chain(cached_trip *chain)
{
    for (cached_trip *next; chain != NULL; chain = next) {
        next = chain->same_bucket;
        entry_free(chain);
    }
}

bool qa_layouts_find(qa_layouts *layouts, bt_str trip, const qa_layout **ret_layout, const qa_masks **ret_masks)
{
    uint64_t hash = bt_str_hash(trip);
    cache_part *part = part_of(layouts, hash);
    pthread_mutex_lock(&part->lock);
    cached_trip *entry = find(part, hash, trip);
    if (entry != NULL) {
        if (entry != part->newest) {
            unlink_use(part, entry);
            link_newest(part, entry);
        }
        atomic_fetch_add((_Atomic int32_t *)&entry->layout->references, 1);
        *ret_layout = entry->layout;
        if (ret_masks != NULL && entry->masks != NULL)
            atomic_fetch_add((_Atomic int32_t *)&entry->masks->references, 1);
        if (ret_masks != NULL)
            *ret_masks = entry->masks;
    }
    pthread_mutex_unlock(&part->lock);
    return entry != NULL;
}

void qa_layouts_keep_masks(qa_layouts *layouts, bt_str trip, const qa_masks *masks)
{
    uint64_t hash = bt_str_hash(trip);
    cache_part *part = part_of(layouts, hash);
    const qa_masks *replaced = NULL;
    cached_trip *pushed_out = NULL;
    pthread_mutex_lock(&part->lock);
    cached_trip *entry = find(part, hash, trip);
    if (entry != NULL && (entry->masks == NULL || entry->masks->read_at_mono_us < masks->read_at_mono_us)) {
        part->bytes -= entry_bytes(entry);
        replaced = entry->masks;
        atomic_fetch_add((_Atomic int32_t *)&masks->references, 1);
        entry->masks = masks;
        part->bytes += entry_bytes(entry);
        pushed_out = shrink(layouts, part);
    }
    pthread_mutex_unlock(&part->lock);
    qa_masks_release(replaced);
    free_chain(pushed_out);
}

void qa_layouts_forget(qa_layouts *layouts)
{
    atomic_fetch_add(&layouts->epoch, 1);
    for (size_t i = 0; i < PARTS; i++) {
        cache_part *part = &layouts->parts[i];
        pthread_mutex_lock(&part->lock);
        cached_trip *all = NULL;
        for (cached_trip *entry = part->newest, *older; entry != NULL; entry = older) {
            older = entry->older;
            entry->same_bucket = all;
            all = entry;
        }
        memset(part->buckets, 0, sizeof part->buckets);
        part->newest = part->oldest = NULL;
        part->bytes = 0;
        pthread_mutex_unlock(&part->lock);
        free_chain(all);
    }
}

/* Takes one of the caller's two references. What was read in an earlier epoch is not kept. */
static void insert(qa_layouts *layouts, const qa_layout *layout, uint32_t epoch)
{
    cached_trip *fresh = bt_alloc(sizeof *fresh);
    fresh->hash = bt_str_hash(layout->trip);
    fresh->layout = layout;
    cache_part *part = part_of(layouts, fresh->hash);
    cached_trip *pushed_out = fresh;
    pthread_mutex_lock(&part->lock);
    if (find(part, fresh->hash, layout->trip) == NULL && atomic_load(&layouts->epoch) == epoch) {
        cached_trip **bucket = bucket_of(part, fresh->hash);
        fresh->same_bucket = *bucket;
        *bucket = fresh;
        link_newest(part, fresh);
        part->bytes += entry_bytes(fresh);
        pushed_out = shrink(layouts, part);
    }
    pthread_mutex_unlock(&part->lock);
    free_chain(pushed_out);
}

/* The seating of that text: one that another trip has already, or a new one. One reference, the caller's. */
static qa_seating *seating_of(qa_layouts *layouts, bt_str sections, bt_err *err)
{
    bt_id digest = bt_digest_parts(&sections, 1);
    qa_seating **place = &layouts->seatings[bt_id_hash(digest) % SEATINGS_MAX], *found = NULL, *replaced = NULL;
    pthread_mutex_lock(&layouts->seatings_lock);
    if (*place != NULL && bt_id_equal((*place)->digest, digest)) {
        found = *place;
        atomic_fetch_add(&found->references, 1);
    }
    pthread_mutex_unlock(&layouts->seatings_lock);
    if (found != NULL)
        return found;
    qa_seating *made = qa_seating_new(sections, err);
    if (made == NULL)
        return NULL;
    atomic_fetch_add(&made->references, 1);
    pthread_mutex_lock(&layouts->seatings_lock);
    replaced = *place;
    *place = made;
    pthread_mutex_unlock(&layouts->seatings_lock);
    qa_seating_release(replaced);
    return made;
}

bool qa_layouts_get(qa_layouts *layouts, qa_worker *worker, bt_str trip, const qa_layout **ret_layout, bt_err *err)
{
    if (qa_layouts_find(layouts, trip, ret_layout, NULL)) {
        bt_counter_inc(worker->server->layout_hits);
        return true;
    }
    uint32_t epoch = atomic_load(&layouts->epoch);
    BT_PG_RESULT trips = { 0 };
    BT_PG_RESULT points = { 0 };
    if (!qa_layout_select(worker, trip, &trips, &points, err))
        return false;
    if (trips.row_count == 0) {
        *ret_layout = NULL;
        return true;
    }
    bt_counter_inc(worker->server->layout_misses);
    bt_str sections;
    if (!qa_json_member(bt_pg_get_str(&trips, 0, 3), "sections", &sections))
        return bt_fail(err, BT_ERR_FATAL, 0, "the layout of trip " BT_STR_FMT " has no sections", BT_STR_ARG(trip));
    qa_seating *seating = seating_of(layouts, sections, err);
    if (seating == NULL)
        return false;
    const qa_layout *layout = qa_layout_made(trip, &trips, &points, seating);
    atomic_fetch_add((_Atomic int32_t *)&layout->references, 1);
    insert(layouts, layout, epoch);
    *ret_layout = layout;
    return true;
}
