/* token - a position in the log as a client carries it: "trip/3@1042-1a2b3c4d".
 *
 * Berth-Position of an answer names the record that the answer rests on: kind of stream, partition, offset, and the first 4 bytes of
 * that record's id. Sent back as Berth-Min-Position, a read waits until the read model has folded that record, and the 4
 * bytes tell a token of this log from one of another log, or of a suffix that Kafka lost. Pure; any thread. */
#ifndef BERTH_QUERY_API_SERVER_TOKEN_H
#define BERTH_QUERY_API_SERVER_TOKEN_H

#include "core/buf.h"

#define QA_TOKENS_MAX 16          /* in one request: an order of several trips has one a trip */
#define QA_PARTITIONS_MAX 1024
#define QA_TOKEN_ID_SIZE 4

typedef struct qa_token {
    bt_str kind;      /* "trip"; borrowed from the text */
    int32_t partition;
    int64_t offset;
    uint8_t id[QA_TOKEN_ID_SIZE];
} qa_token;

/* Reads "trip/3@1042-1a2b3c4d, trip/0@7-00112233". Blanks around commas are fine.
 *   err  BT_ERR_INPUT says which one is wrong, and how it should look */
bool qa_tokens_parse(bt_str text, qa_token ret_tokens[QA_TOKENS_MAX], size_t *ret_count, bt_err *err) BT_MUST_CHECK;

#define QA_TOKEN_TEXT_MAX 160
/* Writes one; returns its length. No terminator. */
size_t qa_token_write(bt_str kind, int32_t partition, int64_t offset, bt_id id, char ret_text[QA_TOKEN_TEXT_MAX]);

/* Of tokens with commas between, no blanks, as SQL made them: that of one partition, or with -1 all of them. Empty: it is not among
 * them, or they are more than one request may send back. */
bt_str qa_tokens_pick(bt_str tokens, int32_t partition);

#endif
