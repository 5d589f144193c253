/* directory - a table under one mutex, and beside it, for the way that most commands take, one atomic a partition. */
#include "commands/forward/directory.h"

#include "core/memory.h"

#include <pthread.h>
#include <stdatomic.h>

struct bt_directory {
    int32_t partition_count;
    atomic_uint_fast64_t version;
    atomic_int *where;
    pthread_mutex_t lock;
    bt_whereabouts *table;
};

bt_directory *bt_directory_new(int32_t partition_count)
{
    bt_directory *directory = bt_alloc(sizeof *directory);
    directory->partition_count = partition_count;
    directory->where = bt_alloc((size_t)partition_count * sizeof directory->where[0]);
    directory->table = bt_alloc((size_t)partition_count * sizeof directory->table[0]);
    pthread_mutex_init(&directory->lock, NULL);
    return directory;
}

void bt_directory_free(bt_directory *directory)
{
    if (directory == NULL)
        return;
    pthread_mutex_destroy(&directory->lock);
    bt_release(directory->where);
    bt_release(directory->table);
    bt_release(directory);
}

static void put_text(char *to, size_t size_max, bt_str text)
{
    size_t size = text.size < size_max ? text.size : size_max;
    memcpy(to, text.at, size);
    to[size] = '\0';
}

bool bt_directory_put(bt_directory *directory, int32_t partition, bt_where where, bool takes, bt_str node, bt_str address)
{
    bt_whereabouts *at = &directory->table[partition];
    /* This thread alone writes, so it may look without the lock. */
    if (at->where == where && at->takes == takes && bt_str_is(node, at->node) && bt_str_is(address, at->address))
        return false;
    pthread_mutex_lock(&directory->lock);
    at->where = where;
    at->takes = takes;
    put_text(at->node, BT_NAME_MAX, node);
    put_text(at->address, BT_ADDRESS_MAX, address);
    pthread_mutex_unlock(&directory->lock);
    atomic_store_explicit(&directory->where[partition], (int)where, memory_order_release);
    atomic_fetch_add(&directory->version, 1);
    return true;
}

bt_where bt_directory_where(const bt_directory *directory, int32_t partition)
{
    return (bt_where)atomic_load_explicit(&directory->where[partition], memory_order_acquire);
}

void bt_directory_get(bt_directory *directory, int32_t partition, bt_whereabouts *ret_whereabouts)
{
    pthread_mutex_lock(&directory->lock);
    *ret_whereabouts = directory->table[partition];
    pthread_mutex_unlock(&directory->lock);
}

uint64_t bt_directory_version(const bt_directory *directory) { return atomic_load(&directory->version); }
