/* snapshot - write beside, sync, rename; read with the checksum looked at first. */
#include "commands/snapshot/snapshot.h"

#include "core/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "BTHSNAP1";

typedef struct file_header {
    char magic[8];
    uint64_t size;
    bt_id digest;
} file_header;

/* What a process that was killed had not finished. */
static void remove_partial(const snapshot_place *place)
{
    DIR *folder = opendir(place->path);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *ending = strrchr(entry->d_name, '.');
        if (ending != NULL && strcmp(ending, ".partial") == 0)
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}

bool snapshot_place_init(snapshot_place *place, const char *folder, bt_str topic, int32_t partition, bt_err *err)
{
    int size = snprintf(place->path, sizeof place->path, "%s/" BT_STR_FMT "-%d", folder, BT_STR_ARG(topic), partition);
    if (size < 0 || (size_t)size >= sizeof place->path - 64)
        return bt_fail(err, BT_ERR_INPUT, ENAMETOOLONG, "the snapshot folder's name is too long: %s", folder);
    for (char *slash = place->path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        int made = mkdir(place->path, 0750);
        *slash = '/';
        if (made != 0 && errno != EEXIST)
            return bt_fail(err, BT_ERR_INPUT, errno, "cannot make the snapshot folder %s: %s", place->path, strerror(errno));
    }
    if (mkdir(place->path, 0750) != 0 && errno != EEXIST)
        return bt_fail(err, BT_ERR_INPUT, errno, "cannot make the snapshot folder %s: %s", place->path, strerror(errno));
    remove_partial(place);
    return true;
}

static bt_id digest_of(bt_str payload)
{
    bt_digest digest;
    bt_digest_init(&digest);
    bt_digest_feed(&digest, payload.at, payload.size);
    return bt_digest_finish(&digest);
}

static bool write_all(int fd, const void *at, size_t size)
{
    const char *from = at;
    while (size > 0) {
        ssize_t wrote = write(fd, from, size < (1U << 30) ? size : 1U << 30);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        from += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

static int by_height_newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Heights of the files that are there, newest first; at most max. */
static size_t heights_of(const snapshot_place *place, int64_t *ret_heights, size_t max)
{
    DIR *folder = opendir(place->path);
    size_t count = 0;
    if (folder == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL && count < max;) {
        char *end;
        long long height = strtoll(entry->d_name, &end, 10);
        if (end != entry->d_name && strcmp(end, ".snapshot") == 0)
            ret_heights[count++] = height;
    }
    closedir(folder);
    qsort(ret_heights, count, sizeof *ret_heights, by_height_newest_first);
    return count;
}

#define FILES_MAX 64

static void path_of(const snapshot_place *place, int64_t height, const char *ending, char ret_path[600])
{
    snprintf(ret_path, 600, "%s/%020lld.%s", place->path, (long long)height, ending);
}

static void remove_but(const snapshot_place *place, size_t kept)
{
    int64_t heights[FILES_MAX];
    size_t count = heights_of(place, heights, FILES_MAX);
    for (size_t i = kept; i < count; i++) {
        char path[600];
        path_of(place, heights[i], "snapshot", path);
        unlink(path);
    }
}

bool snapshot_write(const snapshot_place *place, int64_t height, bt_str payload, bt_err *err)
{
    char path[600], beside[600];
    path_of(place, height, "snapshot", path);
    path_of(place, height, "partial", beside);
    file_header header = { .size = payload.size, .digest = digest_of(payload) };
    memcpy(header.magic, magic, sizeof magic);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return bt_fail(err, BT_ERR_RETRY, errno, "cannot write %s: %s", beside, strerror(errno));
    bool ok = write_all(fd, &header, sizeof header) && write_all(fd, payload.at, payload.size) && fsync(fd) == 0;
    int code = errno;
    ok = close(fd) == 0 && ok;
    if (!ok || rename(beside, path) != 0) {
        code = ok ? errno : code;
        unlink(beside);
        return bt_fail(err, BT_ERR_RETRY, code, "cannot write %s: %s; older snapshots stay in use", path, strerror(code));
    }
    remove_but(place, SNAPSHOT_KEPT);
    return true;
}

void snapshot_forget(const snapshot_place *place) { remove_but(place, 0); }

static bool read_all(int fd, void *at, size_t size)
{
    char *to = at;
    while (size > 0) {
        ssize_t got = read(fd, to, size < (1U << 30) ? size : 1U << 30);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        size -= (size_t)got;
    }
    return true;
}

bool snapshot_read(const snapshot_place *place, int back, bt_buf *out, bt_err *err)
{
    int64_t heights[FILES_MAX];
    size_t count = heights_of(place, heights, FILES_MAX);
    if ((size_t)back >= count)
        return bt_fail(err, BT_ERR_INPUT, ENOENT, "no snapshot in %s", place->path);
    char path[600];
    path_of(place, heights[back], "snapshot", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return bt_fail(err, BT_ERR_INPUT, EIO, "cannot read %s: %s", path, strerror(errno));
    file_header header;
    struct stat stat;
    uint8_t *to = NULL;
    bool whole = read_all(fd, &header, sizeof header) && memcmp(header.magic, magic, sizeof magic) == 0 && fstat(fd, &stat) == 0 &&
                 header.size == (uint64_t)stat.st_size - sizeof header && header.size <= out->size_max && (to = bt_buf_reserve(out, header.size + 1)) != NULL &&
                 read_all(fd, to, header.size);
    close(fd);
    if (!whole)
        return bt_fail(err, BT_ERR_INPUT, EBADMSG, "%s is cut short or no snapshot", path);
    if (!bt_id_equal(digest_of((bt_str){ (const char *)to, header.size }), header.digest))
        return bt_fail(err, BT_ERR_INPUT, EBADMSG, "%s is damaged: its checksum differs", path);
    bt_buf_advance(out, header.size);
    return true;
}
