/* link - see the header. */
#include "tests/faults/proxy/link.h"

#include "core/memory.h"
#include "tests/faults/proxy/late.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define QUEUED_MAX (16u << 20)
#define ASKED_MAX 4096      /* requests of a connection without an answer; clients have a handful */
#define WRITES_A_TURN 64    /* of one flow, so that a thousand slices do not keep the others waiting */
#define THROTTLE_STEPS 50   /* portions a second */

/* A frame, or half of one, on its way. */
typedef struct piece {
    struct piece *next;
    uint8_t *at;
    size_t size, sent;
    int api;
    int64_t due_us;
    bool reset_after, throttled;
    int64_t gap_us;
    size_t slice_left;            /* bytes that still go one by one */
    int64_t reorder_rule, overtakers_left, reorder_until_us;
    int64_t held_by;              /* number of the black hole that it fell into; 0: none */
} piece;

typedef struct flow {
    frames in;
    piece *first, **end;
    size_t queued;
    int64_t last_due_us, next_us; /* next_us: gap of slices and throttles */
    bool eof, blocked;            /* its source is gone; its target takes no more for now */
} flow;

/* A request that the broker has not answered yet. */
typedef struct asked {
    int32_t correlation;
    int16_t api;
    bool swallow; /* the answer to a duplicate */
} asked;

typedef struct link {
    struct link *next;
    broker *to;
    watch ends[DIRECTION_COUNT]; /* where that direction leads: ends[TO_BROKER] is the socket to the broker */
    flow flows[DIRECTION_COUNT];
    asked *asked;                /* oldest first */
    size_t asked_count, asked_capacity;
    size_t client;
    bool client_known, connecting, dead;
} link;

static direction other(direction d)
{
    return d == TO_BROKER ? TO_CLIENT : TO_BROKER;
}

static flow_kind kind_of(const link *l, direction d)
{
    return (flow_kind){ l->client, l->to->number, d };
}

/* --- ending --- */

static void drop_first(flow *f)
{
    piece *gone = f->first;
    f->first = gone->next;
    if (f->first == NULL)
        f->end = &f->first;
    f->queued -= gone->size;
    bt_release(gone->at);
    bt_release(gone);
}

static void close_link(link *l, bool with_reset)
{
    for (int d = 0; d < DIRECTION_COUNT; d++)
        loop_close(&l->to->owner->loop, &l->ends[d], with_reset);
    l->dead = true;
}

/* One side has closed or died. What it had sent is still on its way; what was on the way to it is gone. */
static void end_gone(link *l, direction end)
{
    loop_close(&l->to->owner->loop, &l->ends[end], false);
    while (l->flows[end].first != NULL)
        drop_first(&l->flows[end]);
    flow *rest = &l->flows[other(end)];
    rest->eof = true;
    if (rest->first == NULL || l->ends[other(end)].fd < 0)
        close_link(l, false);
}

static void release(link *l)
{
    for (int d = 0; d < DIRECTION_COUNT; d++) {
        while (l->flows[d].first != NULL)
            drop_first(&l->flows[d]);
        frames_release(&l->flows[d].in);
    }
    l->to->owner->link_count--;
    bt_release(l->asked);
    bt_release(l);
}

size_t links_reset(proxy *p, uint64_t clients, uint64_t brokers)
{
    size_t count = 0;
    for (link *l = p->links; l != NULL; l = l->next) {
        if (!l->dead && l->client_known && (clients >> l->client & 1) != 0 && (brokers >> l->to->number & 1) != 0) {
            close_link(l, true);
            count++;
        }
    }
    return count;
}

/* --- frames that came in --- */

static piece *enqueue(link *l, direction d, bt_bytes frame, int api)
{
    flow *f = &l->flows[d];
    piece *made = bt_alloc(sizeof *made);
    *made = (piece){ .at = bt_alloc(frame.size), .size = frame.size, .api = api };
    memcpy(made->at, frame.at, frame.size);
    *f->end = made;
    f->end = &made->next;
    f->queued += frame.size;
    return made;
}

/* The faults that any frame can have, in either direction. */
static void afflict(link *l, direction d, piece *made, rule *r)
{
    flow *f = &l->flows[d];
    flow_kind kind = kind_of(l, d);
    proxy *p = l->to->owner;
    switch (r->kind) {
    case FAULT_DELAY:
        made->due_us = p->loop.now_us + 1000 * (r->ms + rule_random_below(r, r->jitter_ms + 1));
        if (made->due_us < f->last_due_us)
            made->due_us = f->last_due_us; /* as it would have to wait for the frame before it anyhow */
        f->last_due_us = made->due_us;
        effect_count(&p->rules, FAULT_DELAY, &kind, made->api);
        break;
    case FAULT_SLICE:
        made->gap_us = r->gap_us;
        made->slice_left = (size_t)r->slice_bytes;
        break;
    case FAULT_RESET:
        f->queued -= made->size - made->size / 2;
        made->size /= 2;
        made->reset_after = true;
        break;
    case FAULT_REORDER:
        made->reorder_rule = r->number;
        made->overtakers_left = r->overtakers;
        made->reorder_until_us = p->loop.now_us + 1000 * r->ms;
        break;
    case FAULT_NAMELESS:
        if (frame_produce_make_anonymous(made->at, made->size))
            effect_count(&p->rules, FAULT_NAMELESS, &kind, made->api);
        break;
    case FAULT_THROTTLE: /* these are states of a flow (may_go), or made where the frame is read */
    case FAULT_BLACK_HOLE:
    case FAULT_LOSE_ANSWER:
    case FAULT_DUPLICATE:
    case FAULT_STRAY:
    case FAULT_REPLAY:
    case FAULT_COUNT:
        break;
    }
}

static bool is_made_on_reading(fault_kind kind)
{
    return kind == FAULT_LOSE_ANSWER || kind == FAULT_DUPLICATE || kind == FAULT_STRAY || kind == FAULT_REPLAY;
}

static bool is_state(fault_kind kind)
{
    return kind == FAULT_THROTTLE || kind == FAULT_BLACK_HOLE;
}

static void forward(link *l, direction d, bt_bytes frame, int api)
{
    rules *all = &l->to->owner->rules;
    flow_kind kind = kind_of(l, d);
    piece *made = enqueue(l, d, frame, api);
    l->to->frames[d]++;
    for (size_t i = 0; i < all->count; i++) {
        if (!is_made_on_reading(all->at[i].kind) && !is_state(all->at[i].kind) && rule_hits(&all->at[i], &kind, api))
            afflict(l, d, made, &all->at[i]);
    }
}

/* The first rule of this kind that hits, or NULL. */
static rule *hit(link *l, direction d, fault_kind fault, int api)
{
    rules *all = &l->to->owner->rules;
    flow_kind kind = kind_of(l, d);
    for (size_t i = 0; i < all->count; i++) {
        if (all->at[i].kind == fault && rule_hits(&all->at[i], &kind, api))
            return &all->at[i];
    }
    return NULL;
}

static void ask(link *l, const frame_request *request, bool swallow)
{
    if (l->asked_count == ASKED_MAX) { /* requests that want no answer (acks=0) are not told apart until a later one is answered */
        memmove(l->asked, l->asked + 1, --l->asked_count * sizeof *l->asked);
    } else if (l->asked_count == l->asked_capacity) {
        l->asked_capacity = l->asked_capacity == 0 ? 16 : l->asked_capacity * 2;
        l->asked = bt_resize(l->asked, l->asked_capacity * sizeof *l->asked);
    }
    l->asked[l->asked_count++] = (asked){ request->correlation, request->api, swallow };
}

static void on_request(link *l, bt_bytes frame)
{
    proxy *p = l->to->owner;
    frame_request request;
    if (!frame_request_read(frame, &request)) {
        p->bad_frames++;
        close_link(l, true);
        return;
    }
    if (!l->client_known)
        l->client = name_number(&p->rules.clients, request.client);
    l->client_known = true;
    flow_kind kind = kind_of(l, TO_BROKER);
    size_t broker_at = (size_t)(l->to - p->brokers);
    rule *stray = hit(l, TO_BROKER, FAULT_STRAY, request.api), *replay = stray == NULL ? hit(l, TO_BROKER, FAULT_REPLAY, request.api) : NULL;
    if (stray != NULL && late_add(p, stray, &kind, broker_at, frame)) {
        if (stray->then == THEN_CLOSE)
            close_link(l, true);
        return;
    }
    if (replay != NULL)
        (void)!late_add(p, replay, &kind, broker_at, frame);
    ask(l, &request, false);
    forward(l, TO_BROKER, frame, request.api);
    if (hit(l, TO_BROKER, FAULT_DUPLICATE, request.api) != NULL) {
        ask(l, &request, true);
        forward(l, TO_BROKER, frame, request.api);
    }
}

/* A request has been answered, or an answer has gone: who waits to be overtaken by such a one was. (Answered and not sent, for a broker
 * reads its connections in no order.) */
static void tell_overtaken(link *by, direction d, int api)
{
    rules *all = &by->to->owner->rules;
    for (link *l = by->to->owner->links; l != NULL; l = l->next) {
        piece *p = l->flows[d].first;
        if (l == by || l->dead || l->to != by->to || p == NULL || p->overtakers_left == 0)
            continue;
        flow_kind kind = kind_of(by, d), waiting = kind_of(l, d);
        for (size_t i = 0; i < all->count; i++) {
            if (all->at[i].number != p->reorder_rule || !rule_fits(&all->at[i], &kind, api) || --p->overtakers_left > 0)
                continue;
            effect_count(all, FAULT_REORDER, &waiting, p->api);
            by->to->owner->serve_again = true;
            break;
        }
    }
}

static void on_answer(link *l, bt_bytes frame)
{
    proxy *p = l->to->owner;
    flow_kind kind = kind_of(l, TO_CLIENT);
    int32_t correlation;
    size_t at = 0;
    if (!frame_correlation_read(frame, &correlation)) {
        p->bad_frames++;
        close_link(l, true);
        return;
    }
    /* A broker answers a connection's requests in their order; those before this one wanted no answer. */
    while (at < l->asked_count && l->asked[at].correlation != correlation)
        at++;
    if (at == l->asked_count || l->ends[TO_CLIENT].fd < 0) /* nobody asked, or nobody is there any more */
        return;
    asked found = l->asked[at];
    l->asked_count -= at + 1;
    memmove(l->asked, l->asked + at + 1, l->asked_count * sizeof *l->asked);
    tell_overtaken(l, TO_BROKER, found.api);
    if (found.swallow) {
        effect_count(&p->rules, FAULT_DUPLICATE, &kind, found.api);
        return;
    }
    rule *lost = hit(l, TO_CLIENT, FAULT_LOSE_ANSWER, found.api);
    if (lost != NULL) {
        effect_count(&p->rules, FAULT_LOSE_ANSWER, &kind, found.api);
        if (lost->then == THEN_CLOSE)
            close_link(l, true);
        return;
    }
    forward(l, TO_CLIENT, frame, found.api);
    if (hit(l, TO_CLIENT, FAULT_DUPLICATE, found.api) != NULL) {
        forward(l, TO_CLIENT, frame, found.api);
        effect_count(&p->rules, FAULT_DUPLICATE, &kind, found.api);
    }
}

static void read_from(link *l, direction end)
{
    direction d = other(end);
    flow *f = &l->flows[d];
    size_t room;
    uint8_t *at = frames_room(&f->in, 1, &room);
    ssize_t size = recv(l->ends[end].fd, at, room, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        end_gone(l, end);
        return;
    }
    frames_filled(&f->in, (size_t)size);
    for (bt_bytes frame; !l->dead;) {
        switch (frames_next(&f->in, &frame)) {
        case FRAME_WHOLE:
            (d == TO_BROKER ? on_request : on_answer)(l, frame);
            break;
        case FRAME_OVERSIZED:
            l->to->owner->bad_frames++;
            close_link(l, true);
            return;
        case FRAME_NONE:
            return;
        }
    }
}

/* --- frames that go out --- */

/* When this piece may go on: now or earlier; LOOP_NEVER: when a rule is cleared. */
static int64_t may_go_us(link *l, direction d, piece *p)
{
    proxy *owner = l->to->owner;
    flow_kind kind = kind_of(l, d);
    for (size_t i = 0; i < owner->rules.count; i++) {
        const rule *r = &owner->rules.at[i];
        if (r->kind != FAULT_BLACK_HOLE || !rule_fits(r, &kind, p->api))
            continue;
        if (p->held_by == 0)
            effect_count(&owner->rules, FAULT_BLACK_HOLE, &kind, p->api);
        p->held_by = r->number;
        return LOOP_NEVER;
    }
    if (p->due_us > owner->loop.now_us)
        return p->due_us;
    if (p->overtakers_left > 0 && p->reorder_until_us > owner->loop.now_us)
        return p->reorder_until_us;
    return l->flows[d].next_us;
}

/* How much of the piece goes at once, and when the next may. */
static size_t portion(link *l, direction d, piece *p, int64_t *ret_pause_us)
{
    rules *all = &l->to->owner->rules;
    flow_kind kind = kind_of(l, d);
    size_t rest = p->size - p->sent;
    *ret_pause_us = 0;
    if (p->slice_left > 0) {
        *ret_pause_us = p->gap_us;
        return 1;
    }
    for (size_t i = 0; i < all->count; i++) {
        const rule *r = &all->at[i];
        if (r->kind != FAULT_THROTTLE || !rule_fits(r, &kind, p->api))
            continue;
        size_t most = (size_t)r->bytes_per_s / THROTTLE_STEPS + 1;
        size_t size = rest < most ? rest : most;
        *ret_pause_us = (int64_t)size * 1000000 / r->bytes_per_s;
        if (!p->throttled)
            effect_count(all, FAULT_THROTTLE, &kind, p->api);
        p->throttled = true;
        return size;
    }
    return rest;
}

static void piece_gone(link *l, direction d)
{
    flow_kind kind = kind_of(l, d);
    piece *p = l->flows[d].first;
    int api = p->api;
    bool reset_after = p->reset_after;
    if (p->gap_us > 0 || p->slice_left > 0)
        effect_count(&l->to->owner->rules, FAULT_SLICE, &kind, api);
    drop_first(&l->flows[d]);
    if (reset_after) {
        effect_count(&l->to->owner->rules, FAULT_RESET, &kind, api);
        close_link(l, true);
        return;
    }
    if (d == TO_CLIENT)
        tell_overtaken(l, d, api);
}

static int64_t pump(link *l, direction d)
{
    flow *f = &l->flows[d];
    loop *now = &l->to->owner->loop;
    for (int writes = 0; f->first != NULL && !f->blocked && !l->connecting; writes++) {
        piece *p = f->first;
        int64_t at_us = may_go_us(l, d, p), pause_us;
        if (at_us > now->now_us)
            return at_us;
        if (writes == WRITES_A_TURN)
            return now->now_us;
        size_t most = portion(l, d, p, &pause_us);
        ssize_t size = send(l->ends[d].fd, p->at + p->sent, most, MSG_NOSIGNAL);
        if (size < 0 && errno == EAGAIN) {
            f->blocked = true;
            return LOOP_NEVER;
        }
        if (size < 0) {
            close_link(l, false);
            return LOOP_NEVER;
        }
        p->sent += (size_t)size;
        p->slice_left -= p->slice_left > 0 && size > 0;
        f->next_us = pause_us > 0 ? now->now_us + pause_us : 0;
        if (p->sent == p->size)
            piece_gone(l, d);
        if (l->dead)
            return LOOP_NEVER;
    }
    if (f->first == NULL && f->eof)
        close_link(l, false);
    return LOOP_NEVER;
}

static void rewatch(link *l)
{
    for (int d = 0; d < DIRECTION_COUNT; d++) {
        bool takes = l->flows[other((direction)d)].queued < QUEUED_MAX;
        bool waits = l->flows[d].blocked || (d == TO_BROKER && l->connecting);
        loop_rewatch(&l->to->owner->loop, &l->ends[d], (takes ? EPOLLIN : 0) | (waits ? EPOLLOUT : 0));
    }
}

int64_t links_serve(proxy *p)
{
    int64_t next_us = LOOP_NEVER;
    p->serve_again = false;
    for (link **at = &p->links; *at != NULL;) {
        link *l = *at;
        for (int d = 0; d < DIRECTION_COUNT && !l->dead; d++) {
            int64_t then_us = pump(l, (direction)d);
            next_us = then_us < next_us ? then_us : next_us;
        }
        if (l->dead) {
            *at = l->next;
            release(l);
            continue;
        }
        rewatch(l);
        at = &l->next;
    }
    return p->serve_again ? p->loop.now_us : next_us;
}

void links_rule_cleared(proxy *p, const rule *removed)
{
    for (link *l = p->links; l != NULL; l = l->next) {
        for (int d = 0; d < DIRECTION_COUNT && !l->dead; d++) {
            piece *first = l->flows[d].first;
            if (first == NULL || first->held_by != removed->number)
                continue;
            if (removed->then == THEN_DROP)
                close_link(l, true);
        }
    }
}

size_t links_to_be_overtaken(const proxy *p)
{
    size_t count = 0;
    for (const link *l = p->links; l != NULL; l = l->next) {
        for (int d = 0; d < DIRECTION_COUNT; d++)
            count += l->flows[d].first != NULL && l->flows[d].first->overtakers_left > 0;
    }
    return count;
}

/* --- beginning --- */

static void on_end_ready(link *l, direction end, uint32_t events)
{
    if (end == TO_BROKER && l->connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(l->ends[end].fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            l->to->owner->broker_unreached++;
            close_link(l, true);
            return;
        }
        l->connecting = (events & EPOLLOUT) == 0;
    }
    if ((events & EPOLLOUT) != 0)
        l->flows[end].blocked = false;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        read_from(l, end);
}

static void on_client_ready(void *context, uint32_t events)
{
    on_end_ready(context, TO_CLIENT, events);
}

static void on_broker_ready(void *context, uint32_t events)
{
    on_end_ready(context, TO_BROKER, events);
}

static void open_link(broker *to, int client)
{
    proxy *p = to->owner;
    int upstream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    bt_assert(upstream >= 0);
    link *l = bt_alloc(sizeof *l);
    *l = (link){ .next = p->links, .to = to, .connecting = true };
    p->links = l;
    p->link_count++;
    for (int d = 0; d < DIRECTION_COUNT; d++)
        l->flows[d].end = &l->flows[d].first;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(upstream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int status = connect(upstream, (const struct sockaddr *)&to->target, sizeof to->target), error = errno;
    loop_watch(&p->loop, &l->ends[TO_CLIENT], client, EPOLLIN, on_client_ready, l);
    loop_watch(&p->loop, &l->ends[TO_BROKER], upstream, EPOLLOUT, on_broker_ready, l);
    if (status != 0 && error != EINPROGRESS) {
        p->broker_unreached++;
        close_link(l, true);
    }
}

void links_accept(void *context, uint32_t events)
{
    (void)events;
    broker *to = context;
    int client = accept4(to->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return;
    if (to->owner->link_count < LINKS_MAX) {
        open_link(to, client);
        return;
    }
    to->owner->links_refused++;
    watch refused;
    loop_watch(&to->owner->loop, &refused, client, 0, NULL, NULL);
    loop_close(&to->owner->loop, &refused, true);
}
