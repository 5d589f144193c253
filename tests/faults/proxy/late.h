/* late - old Produce requests on their way to a broker, each on a connection of its own: zombie appends.
 *
 * At most LATES_MAX and LATE_BYTES_MAX wait; what is over that is counted as refused. A broker has 10 s to answer. */
#ifndef BERTH_TESTS_FAULTS_PROXY_LATE_H
#define BERTH_TESTS_FAULTS_PROXY_LATE_H

#include "tests/faults/proxy/proxy.h"

/* Takes a copy of the frame, to be sent when the rule says. False: a limit, or a frame that the rule cannot be made to. */
bool late_add(proxy *p, rule *why, const flow_kind *flow, size_t broker_at, bt_bytes frame);
/* Those that wait to be told are due now. Returns how many. */
size_t lates_release(proxy *p);
/* Sends what is due, frees what is done; returns when to call again. */
int64_t lates_serve(proxy *p);
json_t *lates_to_json(const proxy *p);

#endif
