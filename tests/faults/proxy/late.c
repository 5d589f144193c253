/* late - see the header. */
#include "tests/faults/proxy/late.h"

#include "core/memory.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#define ANSWER_US 10000000

typedef struct late {
    struct late *next;
    proxy *owner;
    fault_kind kind;
    flow_kind flow;
    size_t broker_at;
    int16_t version;
    outcome outcome;
    uint8_t *frame;
    size_t size, sent;
    int64_t due_us; /* LOOP_NEVER: until told */
    int64_t deadline_us;
    bool is_sent, done;
    watch watch;
    frames answer;
} late;

bool late_add(proxy *p, rule *why, const flow_kind *flow, size_t broker_at, bt_bytes frame)
{
    frame_request request;
    frame_produce produce;
    if (p->late_count == LATES_MAX || p->late_bytes + frame.size > LATE_BYTES_MAX || !frame_request_read(frame, &request) ||
        !frame_produce_read(frame, &produce) || produce.acks == 0) {
        p->late_refused++;
        return false;
    }
    uint8_t *copy = bt_alloc(frame.size);
    memcpy(copy, frame.at, frame.size);
    if (why->anonymous && !frame_produce_make_anonymous(copy, frame.size)) {
        bt_release(copy);
        p->late_refused++;
        return false;
    }
    late *made = bt_alloc(sizeof *made);
    *made = (late){ .next = p->lates, .owner = p, .kind = why->kind, .flow = *flow, .broker_at = broker_at, .version = request.version, .frame = copy, .size = frame.size, .watch = { .fd = -1 } };
    made->due_us = why->ms == LATE_UNTIL_TOLD ? LOOP_NEVER : p->loop.now_us + 1000 * (why->ms + rule_random_below(why, why->jitter_ms + 1));
    made->outcome = (outcome){ .kind = why->kind, .client = flow->client, .broker = flow->broker, .partition = produce.partition, .error = OUTCOME_UNANSWERED, .base_offset = -1 };
    snprintf(made->outcome.topic, sizeof made->outcome.topic, BT_STR_FMT, BT_STR_ARG(produce.topic));
    p->lates = made;
    p->late_count++;
    p->late_bytes += frame.size;
    return true;
}

size_t lates_release(proxy *p)
{
    size_t count = 0;
    for (late *l = p->lates; l != NULL; l = l->next) {
        if (l->due_us == LOOP_NEVER) {
            l->due_us = p->loop.now_us;
            count++;
        }
    }
    return count;
}

static void finish(late *l)
{
    proxy *p = l->owner;
    if (l->outcome.error == 0)
        effect_count(&p->rules, l->kind, &l->flow, API_PRODUCE);
    p->late_unanswered += l->outcome.error == OUTCOME_UNANSWERED;
    p->outcomes[p->outcome_count++ % OUTCOMES_KEPT] = l->outcome;
    l->done = true;
}

static void on_ready(void *context, uint32_t events)
{
    late *l = context;
    if ((events & EPOLLOUT) != 0 && l->sent < l->size) {
        ssize_t size = send(l->watch.fd, l->frame + l->sent, l->size - l->sent, MSG_NOSIGNAL);
        if (size < 0 && errno != EAGAIN)
            return finish(l);
        l->sent += size > 0 ? (size_t)size : 0;
    }
    loop_rewatch(&l->owner->loop, &l->watch, l->sent < l->size ? EPOLLIN | EPOLLOUT : EPOLLIN);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    size_t room;
    uint8_t *at = frames_room(&l->answer, 1, &room);
    ssize_t size = recv(l->watch.fd, at, room, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        return finish(l);
    frames_filled(&l->answer, size > 0 ? (size_t)size : 0);
    bt_bytes answer;
    switch (frames_next(&l->answer, &answer)) {
    case FRAME_NONE:
        return;
    case FRAME_WHOLE:
        if (!frame_produce_answer_read(answer, l->version, &l->outcome.error, &l->outcome.base_offset))
            l->outcome.error = OUTCOME_UNANSWERED;
        break;
    case FRAME_OVERSIZED:
        break;
    }
    finish(l);
}

static void start(late *l)
{
    proxy *p = l->owner;
    const struct sockaddr_in *target = &p->brokers[l->broker_at].target;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    l->deadline_us = p->loop.now_us + ANSWER_US;
    if (fd < 0)
        return finish(l);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int status = connect(fd, (const struct sockaddr *)target, sizeof *target);
    int error = errno;
    loop_watch(&p->loop, &l->watch, fd, EPOLLIN | EPOLLOUT, on_ready, l);
    if (status != 0 && error != EINPROGRESS)
        finish(l);
}

static void release(late *l)
{
    loop_close(&l->owner->loop, &l->watch, false);
    l->owner->late_count--;
    l->owner->late_bytes -= l->size;
    frames_release(&l->answer);
    bt_release(l->frame);
    bt_release(l);
}

int64_t lates_serve(proxy *p)
{
    int64_t next_us = LOOP_NEVER;
    for (late **at = &p->lates; *at != NULL;) {
        late *l = *at;
        if (!l->done && !l->is_sent && l->due_us <= p->loop.now_us) {
            l->is_sent = true;
            start(l);
        } else if (!l->done && l->is_sent && l->deadline_us <= p->loop.now_us) {
            finish(l);
        }
        if (l->done) {
            *at = l->next;
            release(l);
            continue;
        }
        int64_t then_us = l->is_sent ? l->deadline_us : l->due_us;
        next_us = then_us < next_us ? then_us : next_us;
        at = &l->next;
    }
    return next_us;
}

json_t *lates_to_json(const proxy *p)
{
    json_t *outcomes = json_array();
    uint64_t from = p->outcome_count > OUTCOMES_KEPT ? p->outcome_count - OUTCOMES_KEPT : 0;
    for (uint64_t i = from; i < p->outcome_count; i++) {
        const outcome *o = &p->outcomes[i % OUTCOMES_KEPT];
        json_array_append_new(outcomes, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:I}", "fault", fault_name(o->kind), "client", p->rules.clients.at[o->client], "broker",
            p->rules.brokers.at[o->broker], "topic", o->topic, "partition", o->partition, "error", o->error, "base_offset", (json_int_t)o->base_offset));
    }
    return json_pack("{s:o, s:I, s:I, s:I, s:I}", "outcomes", outcomes, "waiting", (json_int_t)p->late_count, "answered", (json_int_t)(p->outcome_count - p->late_unanswered),
        "unanswered", (json_int_t)p->late_unanswered, "refused", (json_int_t)p->late_refused);
}
