/* frame - Kafka's frames as bytes on a connection: where one ends, whose request it is, and what of a Produce can be read or rewritten.
 *
 * The proxy forwards whole frames only, since a fault is made to a request or an answer and not to whatever a read returned.
 * Everything here is pure: it reads bytes from peers that it does not trust, within their bounds. */
#ifndef BERTH_TESTS_FAULTS_PROXY_FRAME_H
#define BERTH_TESTS_FAULTS_PROXY_FRAME_H

#include "core/base.h"

#define FRAME_BYTES_MAX (64u << 20) /* without the length; brokers refuse far less */
#define FRAME_LENGTH_SIZE 4

/* A growing buffer between a socket and its frames. */
typedef struct frames {
    uint8_t *at;
    size_t begin, end, capacity;
} frames;

void frames_release(frames *buffer);
/* Where to read to, at least least bytes; what frames_next gave before is gone. */
uint8_t *frames_room(frames *buffer, size_t least, size_t *ret_room);
void frames_filled(frames *buffer, size_t size);

typedef enum frame_found { FRAME_NONE, FRAME_WHOLE, FRAME_OVERSIZED } frame_found;
/* The next whole frame, its length field included; it lives until the next frames_room. FRAME_OVERSIZED: the length is negative, or
 * over FRAME_BYTES_MAX: the connection speaks something else and cannot be followed any more. */
frame_found frames_next(frames *buffer, bt_bytes *ret_frame) BT_MUST_CHECK;

#define API_PRODUCE 0
#define API_COUNT 128
/* "Produce"; "Api77" for one without a name here. The text is static or, for an unnamed one, valid until the next call. */
const char *api_name(int api);
/* -1: no such name. */
int api_of(const char *name);

typedef struct frame_request {
    int16_t api, version;
    int32_t correlation;
    bt_str client; /* its client.id, borrowed from the frame; may be empty */
} frame_request;
/* False: too short for a request's header, or its api is no api. */
bool frame_request_read(bt_bytes frame, frame_request *ret_request) BT_MUST_CHECK;
bool frame_correlation_read(bt_bytes answer, int32_t *ret_correlation) BT_MUST_CHECK;

/* The first partition of a Produce request; versions 3 to 12 (later ones name topics by number). topic borrows from the frame. */
typedef struct frame_produce {
    bt_str topic;
    int32_t partition;
    int16_t acks; /* 0: it is never answered */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequence;
} frame_produce;
bool frame_produce_read(bt_bytes frame, frame_produce *ret_produce) BT_MUST_CHECK;

/* Takes the producer's id, epoch and sequence out of every batch and seals it again (CRC32C): the same records, as a producer without
 * idempotence would send them, so that the broker cannot recognise them. False, and the frame is as it was: not a Produce of
 * versions 3 to 12, transactional, or its batches are not of magic 2. */
bool frame_produce_make_anonymous(uint8_t *frame, size_t size) BT_MUST_CHECK;

/* What a broker answered to a Produce, of the first partition; base_offset is -1 with an error. version: the request's. */
bool frame_produce_answer_read(bt_bytes frame, int16_t version, int16_t *ret_error, int64_t *ret_base_offset) BT_MUST_CHECK;

uint32_t crc32c(bt_bytes data);

#endif
