/* control - orders to the proxy, a JSON object a line, each answered by one: {"ok": true, ...} or {"ok": false, "why": "..."}.
 *
 *   {"do": "set", "fault": "delay", "clients": ["node1"], "brokers": "*", "apis": ["Produce"], "direction": "both", "probability": 0.5, "limit": 9, ...}   "rule": its number
 *   {"do": "clear"} or {"do": "clear", "rule": 3}    what a black hole held is delivered, or dies
 *   {"do": "reset", "clients": [...], "brokers": [...]}   these links now; "links": how many
 *   {"do": "release"}    late requests that wait to be told; "requests": how many
 *   {"do": "counters"}   "faults", "by", "frames", "links", "late" and what went wrong
 * control.py speaks it for the tests. */
#ifndef BERTH_TESTS_FAULTS_PROXY_CONTROL_H
#define BERTH_TESTS_FAULTS_PROXY_CONTROL_H

#include "tests/faults/proxy/proxy.h"

#define CONTROLLERS_MAX 16
#define ORDER_SIZE_MAX 65536

typedef struct controller {
    struct control *owner;
    watch watch;
    size_t size;
    char order[ORDER_SIZE_MAX];
} controller;

typedef struct control {
    proxy *proxy;
    watch listener;
    controller controllers[CONTROLLERS_MAX]; /* fd -1: free */
} control;

/* The listener belongs to the control from here on. */
void control_init(control *c, proxy *p, int listener);

#endif
