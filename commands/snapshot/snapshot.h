/* snapshot - files of proved state, so that a restart folds minutes of log and not years. A cache: any of them, or all,
 * may be lost or damaged without harm; a damaged one is ignored with a warning, and the next older one, or the log, is used.
 *
 * A file is a header (magic, format, size, the first 16 bytes of the payload's SHA-256) and the owner's own bytes. It is written beside its
 * place, synced, and renamed, so that a torn one is never found under a good name; the last SNAPSHOT_KEPT are kept. */
#ifndef BERTH_COMMANDS_SNAPSHOT_SNAPSHOT_H
#define BERTH_COMMANDS_SNAPSHOT_SNAPSHOT_H

#include "core/buf.h"

#define SNAPSHOT_KEPT 2
#define SNAPSHOT_BYTES_MAX ((size_t)8 << 30)

/* Where snapshots of one partition lie: <folder>/<topic>-<partition>/<height>.snapshot. Makes the folder. */
typedef struct snapshot_place {
    char path[512];
} snapshot_place;

bool snapshot_place_init(snapshot_place *place, const char *folder, bt_str topic, int32_t partition, bt_err *err) BT_MUST_CHECK;

/* height only names the file, so that the newest can be found. Blocks for the disk; any thread, one at a time a place.
 *   err  BT_ERR_RETRY: the disk is full or failing; nothing of an older snapshot was touched */
bool snapshot_write(const snapshot_place *place, int64_t height, bt_str payload, bt_err *err) BT_MUST_CHECK;

/* Reads the back-th newest file (0: the newest) into out, which must be empty and be able to hold it.
 *   err  BT_ERR_INPUT: there is none (code ENOENT), or it is damaged (any other code): ask for the next */
bool snapshot_read(const snapshot_place *place, int back, bt_buf *out, bt_err *err) BT_MUST_CHECK;

/* Removes them: they are of a log that is no more. */
void snapshot_forget(const snapshot_place *place);

#endif
