/* link - one client's connection through the proxy to a broker: two flows of frames, each with what waits in it.
 *
 * What a client has sent before it closed still arrives, as it would from a network: a frame that a delay or a black hole holds is delivered though
 * nobody waits for its answer any more. Each flow holds at most about 16 MiB before its sender is no longer read from. */
#ifndef BERTH_TESTS_FAULTS_PROXY_LINK_H
#define BERTH_TESTS_FAULTS_PROXY_LINK_H

#include "tests/faults/proxy/proxy.h"

/* Accepts what waits at a broker's listener; a watch's ready function, whose context is the broker. */
void links_accept(void *context, uint32_t events);
/* Sends what may go, frees what is closed; returns when to call again. */
int64_t links_serve(proxy *p);
/* Resets the links of these clients and brokers; returns how many. A link whose client has not spoken yet is nobody's. */
size_t links_reset(proxy *p, uint64_t clients, uint64_t brokers);
/* A black hole has ended: what it held is delivered by the next links_serve, or dies now, as the rule says. */
void links_rule_cleared(proxy *p, const rule *removed);

/* Frames that wait to be overtaken. */
size_t links_to_be_overtaken(const proxy *p);

#endif
