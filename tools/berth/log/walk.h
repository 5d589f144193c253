/* walk - reads the partitions of a topic from their start and folds each by the fast-forward rule, a record at a time.
 *
 * Always from the start, also to show the end: whether a record counts is known only to who has folded all before it.
 * Without follow it ends at what was the end when it began. A jump in offsets is read again once; the second time it is told. */
#ifndef BERTH_TOOLS_BERTH_LOG_WALK_H
#define BERTH_TOOLS_BERTH_LOG_WALK_H

#include "core/forward.h"
#include "tools/berth/cli.h"

#define WALK_PARTITIONS_MAX 1024

typedef struct walk_step {
    int32_t partition;
    const bt_record *record;
    bt_forward_verdict verdict; /* never JUMP */
    bt_id id;                   /* of a valid one */
    const bt_forward *at;       /* after it */
} walk_step;

typedef struct walk_outputs {
    void *context;
    void (*record)(void *context, const walk_step *step);
    /* Records are missing, or the partition cannot be read further: its walk has ended here. */
    void (*broken)(void *context, int32_t partition, int64_t offset, const char *why);
} walk_outputs;

typedef struct walk_options {
    const char *topic;
    int32_t partition; /* -1: all */
    bool follow;       /* go on after the end, until a signal comes */
    const char *label; /* of the progress; NULL: none */
} walk_options;

typedef struct walk_result {
    int32_t partition_count; /* that the topic has */
    bt_forward at[WALK_PARTITIONS_MAX];
    int64_t end[WALK_PARTITIONS_MAX]; /* at the beginning of the walk */
    bool complete;                    /* false: stopped by a signal, or broken somewhere */
} walk_result;

/* False when nothing could be read: no broker, no topic. */
bool walk(const cli_call *call, const walk_options *options, const walk_outputs *outputs, walk_result *ret_result, bt_err *err) BT_MUST_CHECK;

const char *walk_verdict_text(bt_forward_verdict verdict); /* valid, void: parent, void: malformed */

#endif
