/* forward - one thread, one list of what is open; see the header for what happens to it. */
#include "commands/forward/forward.h"

#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/http/caller.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS 10 /* while something is open: how exact limits and retries are */
#define HEADERS_MAX 8

typedef enum outcome { ANSWERED, HERE, DISOWNED, BROKEN, GIVEN_UP, RESULT_COUNT } outcome;
static const char *const result_names[RESULT_COUNT] = { "answered", "here", "not_owner", "broken", "given_up" };

struct bt_forwarder {
    bt_forward_options options;
    bt_http_caller *caller;
    pthread_t thread;
    pthread_mutex_t lock;
    bt_forward_item *taken_first, **taken_last; /* under the lock */
    atomic_bool stopping;
    atomic_int count;
    bt_forward_item *open;     /* the thread's */
    uint64_t version_seen;
    int64_t scanned_mono_us;
    bt_counter *results[RESULT_COUNT];
    bt_gauge *open_gauge;
    bt_counter *opened;
};

/* ---- the list of what is open ---- */

static void link_open(bt_forwarder *self, bt_forward_item *item)
{
    item->previous = NULL;
    item->next = self->open;
    if (item->next != NULL)
        item->next->previous = item;
    self->open = item;
}

/* The item is its giver's again after this. */
static void let_go(bt_forwarder *self, bt_forward_item *item, outcome became)
{
    if (item->calling != NULL)
        bt_http_caller_cancel(self->caller, item->calling);
    item->calling = NULL;
    *(item->previous != NULL ? &item->previous->next : &self->open) = item->next;
    if (item->next != NULL)
        item->next->previous = item->previous;
    atomic_fetch_sub(&self->count, 1);
    bt_counter_inc(self->results[became]);
}

static void give_up(bt_forwarder *self, bt_forward_item *item)
{
    item->may_be_applied |= item->calling != NULL; /* whoever has it has not answered yet, and may be paused with it */
    let_go(self, item, GIVEN_UP);
    self->options.given_up(self->options.context, item);
}

/* ---- sending ---- */

static void add(bt_http_pair *headers, size_t *count, const char *name, bt_str value)
{
    headers[(*count)++] = (bt_http_pair){ bt_str_of(name), value };
}

static void add_as_it_came(bt_http_pair *headers, size_t *count, const bt_http_request *request, const char *name)
{
    bt_str value;
    if (bt_http_header(request, name, &value))
        add(headers, count, name, value);
}

static void send_to(bt_forwarder *self, bt_forward_item *item, const char *address, int64_t now_mono_us)
{
    const bt_http_request *request = item->request;
    bt_http_pair headers[HEADERS_MAX];
    size_t count = 0;
    add(headers, &count, BT_HOP_HEADER, bt_str_of(self->options.node));
    add(headers, &count, "X-Request-Id", request->correlation);
    add_as_it_came(headers, &count, request, "Idempotency-Key");
    add_as_it_came(headers, &count, request, "If-Match");
    add_as_it_came(headers, &count, request, "Berth-Actor");
    add_as_it_came(headers, &count, request, "Content-Type");
    add_as_it_came(headers, &count, request, "traceparent");
    char base_url[BT_ADDRESS_MAX + 16];
    snprintf(base_url, sizeof base_url, "http://%s", address);
    snprintf(item->sent_to, sizeof item->sent_to, "%s", address);
    bt_http_call call = { .method = bt_http_method_name(request->method), .target = request->path, .headers = headers, .header_count = count, .body = request->body };
    bt_http_calling *calling = NULL;
    bt_err err;
    int64_t left_ms = (item->until_mono_us - now_mono_us + 999) / 1000;
    if (bt_http_caller_start(self->caller, base_url, &call, left_ms, item, &calling, &err))
        item->calling = calling;
    else
        item->again_mono_us = item->until_mono_us; /* an address that is none: only another route helps */
}

static void try_again_later(bt_forwarder *self, bt_forward_item *item)
{
    item->again_mono_us = bt_clock_monotonic_us() + self->options.retry_ms * 1000;
}

/* Sends it, gives it back, gives it up or leaves it; the item may be gone after this. */
static void look_at(bt_forwarder *self, bt_forward_item *item, bool news, int64_t now_mono_us)
{
    bt_whereabouts where;
    if (now_mono_us >= item->until_mono_us) {
        give_up(self, item);
        return;
    }
    if (!news && (item->calling != NULL || now_mono_us < item->again_mono_us))
        return;
    bt_directory_get(self->options.directory, item->partition, &where);
    bool same = where.where == BT_WHERE_THERE && strcmp(where.address, item->sent_to) == 0;
    if (item->calling != NULL) {
        if (same || where.where == BT_WHERE_UNKNOWN)
            return;
        bt_http_caller_cancel(self->caller, item->calling); /* whoever has it may be paused or gone: its successor knows the key */
        item->calling = NULL;
        item->may_be_applied = true;
    }
    switch (where.where) {
    case BT_WHERE_UNKNOWN: return;
    case BT_WHERE_HERE:
        let_go(self, item, HERE);
        self->options.here(self->options.context, item);
        return;
    case BT_WHERE_THERE:
        if (!same || now_mono_us >= item->again_mono_us)
            send_to(self, item, where.address, now_mono_us);
        return;
    }
}

static void on_done(void *context, void *token, const bt_http_answer *answer, const bt_err *err)
{
    bt_forwarder *self = context;
    bt_forward_item *item = token;
    bt_str owner;
    item->calling = NULL;
    if (answer == NULL) {
        item->may_be_applied |= err->kind == BT_ERR_UNKNOWN;
        bt_counter_inc(self->results[BROKEN]);
        try_again_later(self, item);
        return;
    }
    if (answer->status == 503 && bt_http_answer_header(answer, BT_OWNER_HEADER, &owner)) {
        bt_counter_inc(self->results[DISOWNED]);
        item->may_be_applied |= memmem(answer->body.at, answer->body.size, BT_APPLIED_UNKNOWN, strlen(BT_APPLIED_UNKNOWN)) != NULL;
        try_again_later(self, item);
        self->options.disowned(self->options.context, item->partition);
        return;
    }
    let_go(self, item, ANSWERED);
    self->options.answered(self->options.context, item, answer);
}

static void on_opening(void *context) { bt_counter_inc(((bt_forwarder *)context)->opened); }

/* ---- the thread ---- */

static bt_forward_item *take_all(bt_forwarder *self)
{
    pthread_mutex_lock(&self->lock);
    bt_forward_item *first = self->taken_first;
    self->taken_first = NULL;
    self->taken_last = &self->taken_first;
    pthread_mutex_unlock(&self->lock);
    return first;
}

static void look_at_all(bt_forwarder *self)
{
    int64_t now_mono_us = bt_clock_monotonic_us();
    for (bt_forward_item *item = take_all(self), *next; item != NULL; item = next) {
        next = item->next;
        link_open(self, item);
        look_at(self, item, true, now_mono_us);
    }
    uint64_t version = bt_directory_version(self->options.directory);
    bool news = version != self->version_seen;
    if (!news && now_mono_us - self->scanned_mono_us < TICK_MS * 1000)
        return;
    self->version_seen = version;
    self->scanned_mono_us = now_mono_us;
    for (bt_forward_item *item = self->open, *next; item != NULL; item = next) {
        next = item->next;
        look_at(self, item, news, now_mono_us);
    }
    bt_gauge_set(self->open_gauge, atomic_load(&self->count));
}

static void *run(void *context)
{
    bt_forwarder *self = context;
    while (!atomic_load(&self->stopping)) {
        look_at_all(self);
        bt_http_caller_wait(self->caller, self->open != NULL ? TICK_MS : 1000);
    }
    for (bt_forward_item *item = take_all(self), *next; item != NULL; item = next) {
        next = item->next;
        link_open(self, item);
    }
    while (self->open != NULL)
        give_up(self, self->open);
    return NULL;
}

/* ---- the other threads ---- */

bool bt_forward_take(bt_forwarder *self, bt_forward_item *item)
{
    item->next = NULL;
    item->calling = NULL;
    item->sent_to[0] = '\0';
    item->again_mono_us = 0;
    if (item->until_mono_us == 0) /* else it was here before, and its limit runs on */
        item->until_mono_us = bt_clock_monotonic_us() + self->options.limit_ms * 1000;
    pthread_mutex_lock(&self->lock);
    bool takes = !atomic_load(&self->stopping) && atomic_load(&self->count) < self->options.item_max;
    if (takes) {
        atomic_fetch_add(&self->count, 1);
        *self->taken_last = item;
        self->taken_last = &item->next;
    }
    pthread_mutex_unlock(&self->lock);
    if (takes)
        bt_http_caller_wake(self->caller);
    return takes;
}

void bt_forward_look_again(bt_forwarder *self) { bt_http_caller_wake(self->caller); }

static void fill_in(bt_forward_options *o)
{
    o->limit_ms = o->limit_ms > 0 ? o->limit_ms : 3000;
    o->retry_ms = o->retry_ms > 0 ? o->retry_ms : 50;
    o->item_max = o->item_max > 0 ? o->item_max : 8192;
}

bool bt_forwarder_start(const bt_forward_options *options, bt_forwarder **ret_forwarder, bt_err *err)
{
    bt_forwarder *self = bt_alloc(sizeof *self);
    self->options = *options;
    fill_in(&self->options);
    self->taken_last = &self->taken_first;
    bt_http_caller_options caller = { .connections_max = options->connections_max, .context = self, .done = on_done, .opening = on_opening };
    if (!bt_http_caller_new(&caller, &self->caller, err)) {
        bt_release(self);
        return false;
    }
    for (int i = 0; i < RESULT_COUNT; i++)
        self->results[i] = bt_metrics_counter(options->metrics, "berth_forwarded_total", "Commands passed on to other nodes, by what became of the attempt", BT_LABELS({ "result", result_names[i] }));
    self->opened = bt_metrics_counter(options->metrics, "berth_forward_connections_total", "Connections opened to other nodes; far fewer than commands passed on, for they are kept alive", BT_LABELS({ "node", options->node }));
    self->open_gauge = bt_metrics_gauge(options->metrics, "berth_forward_open", "Commands that wait for another node, or for one to own their partition", BT_LABELS({ "node", options->node }));
    pthread_mutex_init(&self->lock, NULL);
    if (pthread_create(&self->thread, NULL, run, self) != 0) {
        bt_http_caller_free(self->caller);
        bt_release(self);
        return bt_fail(err, BT_ERR_FATAL, 0, "cannot start the forwarding thread");
    }
    *ret_forwarder = self;
    return true;
}

void bt_forwarder_stop(bt_forwarder *self)
{
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->stopping, true);
    pthread_mutex_unlock(&self->lock);
    bt_http_caller_wake(self->caller);
    pthread_join(self->thread, NULL);
}

void bt_forwarder_free(bt_forwarder *self)
{
    if (self == NULL)
        return;
    bt_http_caller_free(self->caller);
    pthread_mutex_destroy(&self->lock);
    bt_release(self);
}
