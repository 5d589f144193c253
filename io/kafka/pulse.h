/* pulse - asks the cluster twice a second whether it is there, on a thread of its own: a member's session, an append or a read that goes
 * wrong tells it only after their own time-outs, and an idle node sends nothing at all. Inside io/kafka only. */
#ifndef BERTH_IO_KAFKA_PULSE_H
#define BERTH_IO_KAFKA_PULSE_H

#include "io/kafka/client.h"

typedef struct bt_pulse bt_pulse;

/* client is borrowed for the pulse's life; any broker that it knows may answer. */
bt_pulse *bt_pulse_new(rd_kafka_t *client);
/* Waits for a question that is under way: a second at most. NULL is fine. */
void bt_pulse_free(bt_pulse *pulse);
/* From now on by another client; the old one is not used any more when it returns, a second later at most. */
void bt_pulse_move(bt_pulse *pulse, rd_kafka_t *client);
/* False within two seconds of the last broker's end, true again within a second of the first one's return. Any thread. */
bool bt_pulse_beats(const bt_pulse *pulse);

#endif
