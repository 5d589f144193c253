/* proxy - stands between clients and Kafka brokers and makes faults to Kafka's frames: what a network, and a broker that dies at a bad moment, can do.
 *
 * A broker advertises the proxy's port to its clients; the proxy follows the frames of each connection, so that a fault can be made to one kind of
 * request, of one client, at one broker. A client is known by the client.id in its requests: no client needs a port of its own (the decision is
 * docs/decisions/0012-a-proxy-that-knows-clients-by-their-id.md). Everything is one thread. What can be set is rule.h, how a test says it control.py. Loopback, or a namespace's own address.
 *
 * Faults that TCP cannot make within a connection (a request out of order, or twice) are made as they come about really: an old request reaches the
 * broker on another connection, after its sender has given up the one that it was sent on. */
#ifndef BERTH_TESTS_FAULTS_PROXY_PROXY_H
#define BERTH_TESTS_FAULTS_PROXY_PROXY_H

#include "tests/faults/proxy/loop.h"
#include "tests/faults/proxy/rule.h"

#include <netinet/in.h>

#define BROKERS_MAX 16
#define LINKS_MAX 1024
#define LATES_MAX 1024
#define LATE_BYTES_MAX (64 << 20)
#define OUTCOMES_KEPT 256

typedef struct proxy proxy;

typedef struct broker {
    proxy *owner;
    struct sockaddr_in listen, target;
    watch listener;
    size_t number; /* in the rules' table of names */
    uint64_t frames[DIRECTION_COUNT];
} broker;

/* What became of a request that was sent late; a test looks at it to know whether the broker took it. */
typedef struct outcome {
    fault_kind kind;
    size_t client, broker;
    char topic[64];
    int32_t partition;
    int16_t error; /* Kafka's; or OUTCOME_UNANSWERED */
    int64_t base_offset;
} outcome;
#define OUTCOME_UNANSWERED (-1000)

struct proxy {
    loop loop;
    rules rules;
    broker brokers[BROKERS_MAX];
    size_t broker_count;
    struct link *links;
    size_t link_count;
    bool serve_again;         /* a frame was freed that an earlier link of the list holds */
    struct late *lates;
    size_t late_count, late_bytes;
    outcome outcomes[OUTCOMES_KEPT]; /* a ring */
    uint64_t outcome_count;
    uint64_t late_refused;    /* over a limit */
    uint64_t late_unanswered;
    uint64_t links_refused, bad_frames, broker_unreached;
};

#endif
