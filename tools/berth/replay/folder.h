/* folder - folds valid records into the states of their streams on a thread of its own, so that its caller reads, hashes and judges the
 * next ones meanwhile: folding costs as much as reading does, and a replay had one core wait for the other.
 *
 * Records are copied into batches, which are handed over when they are full: the thread folds them in the order in which they were given,
 * all partitions alike. Bounded: FOLDER_BATCHES of some hundred KB; who gives more waits.
 * One thread gives, finishes, then looks. */
#ifndef BERTH_TOOLS_BERTH_REPLAY_FOLDER_H
#define BERTH_TOOLS_BERTH_REPLAY_FOLDER_H

#include "commands/owner/streams.h"

#define FOLDER_BATCHES 4
#define FOLDER_PARTITIONS_MAX 1024

/* What was folded; to be looked at after folder_finish. */
typedef struct replay_folded {
    bt_streams *streams[FOLDER_PARTITIONS_MAX]; /* NULL: nothing came of that partition */
    int64_t event_count, stopped_count;
    char first_stop[BT_ERR_MESSAGE_MAX]; /* the first stream that stopped, and why */
} replay_folded;

typedef struct replay_folder replay_folder;

/* BT_ERR_RETRY: no thread was to be had. */
bool folder_new(const bt_decider *decider, replay_folder **ret_folder, bt_err *err) BT_MUST_CHECK;
void folder_free(replay_folder *folder); /* NULL is fine; what was not yet folded is folded first */

/* A valid record of a stream; copied. May wait for the thread. */
void folder_give(replay_folder *folder, int32_t partition, const bt_record *record);
/* All that was given is folded, and the thread has ended. Again is fine; nothing may be given afterwards. */
replay_folded *folder_finish(replay_folder *folder);

#endif
