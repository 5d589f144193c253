/* control - see the header. */
#include "tests/faults/proxy/control.h"

#include "tests/faults/proxy/late.h"
#include "tests/faults/proxy/link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static json_t *obey_clear(proxy *p, const json_t *order, bt_err *err)
{
    json_t *number = json_object_get(order, "rule");
    json_int_t count = 0;
    rule removed;
    if (number != NULL && !rule_remove(&p->rules, json_integer_value(number), &removed)) {
        bt_fail(err, BT_ERR_INPUT, 0, "there is no rule %lld", (long long)json_integer_value(number));
        return NULL;
    }
    if (number != NULL) {
        links_rule_cleared(p, &removed);
        count = 1;
    }
    while (number == NULL && p->rules.count > 0) {
        bt_assert(rule_remove(&p->rules, p->rules.at[0].number, &removed));
        links_rule_cleared(p, &removed);
        count++;
    }
    return json_pack("{s:I}", "rules", count);
}

static json_t *obey_reset(proxy *p, const json_t *order, bt_err *err)
{
    uint64_t clients, brokers;
    if (!mask_read(&p->rules.clients, order, "clients", &clients, err) || !mask_read(&p->rules.brokers, order, "brokers", &brokers, err))
        return NULL;
    return json_pack("{s:I}", "links", (json_int_t)links_reset(p, clients, brokers));
}

static json_t *counters(const proxy *p)
{
    json_t *all = effects_to_json(&p->rules), *passed = json_object();
    for (size_t i = 0; i < p->broker_count; i++) {
        const broker *b = &p->brokers[i];
        json_object_set_new(passed, p->rules.brokers.at[b->number], json_pack("{s:I, s:I}", "to_broker", (json_int_t)b->frames[TO_BROKER], "to_client", (json_int_t)b->frames[TO_CLIENT]));
    }
    json_object_set_new(all, "frames", passed);
    json_object_set_new(all, "late", lates_to_json(p));
    json_object_set_new(all, "links", json_integer((json_int_t)p->link_count));
    json_object_set_new(all, "to_be_overtaken", json_integer((json_int_t)links_to_be_overtaken(p)));
    json_object_set_new(all, "links_refused", json_integer((json_int_t)p->links_refused));
    json_object_set_new(all, "bad_frames", json_integer((json_int_t)p->bad_frames));
    json_object_set_new(all, "broker_unreached", json_integer((json_int_t)p->broker_unreached));
    return all;
}

static json_t *obey(proxy *p, const json_t *order, bt_err *err)
{
    const char *text = json_string_value(json_object_get(order, "do"));
    if (text != NULL && strcmp(text, "set") == 0) {
        const rule *made = rule_add(&p->rules, order, err);
        return made != NULL ? json_pack("{s:I}", "rule", (json_int_t)made->number) : NULL;
    }
    if (text != NULL && strcmp(text, "clear") == 0)
        return obey_clear(p, order, err);
    if (text != NULL && strcmp(text, "reset") == 0)
        return obey_reset(p, order, err);
    if (text != NULL && strcmp(text, "release") == 0)
        return json_pack("{s:I}", "requests", (json_int_t)lates_release(p));
    if (text != NULL && strcmp(text, "counters") == 0)
        return counters(p);
    bt_fail(err, BT_ERR_INPUT, 0, "do is set, clear, reset, release or counters");
    return NULL;
}

static void send_whole(controller *c, const char *text, size_t size)
{
    /* An answer is a few kilobytes and fits into the socket's buffer: whoever does not read theirs is hung up on. */
    if (send(c->watch.fd, text, size, MSG_NOSIGNAL) != (ssize_t)size)
        loop_close(&c->owner->proxy->loop, &c->watch, false);
}

static void answer(controller *c, bt_str line)
{
    bt_err err = { 0 };
    json_error_t problem;
    json_t *order = json_loadb(line.at, line.size, JSON_REJECT_DUPLICATES, &problem), *said = NULL;
    if (!json_is_object(order))
        bt_fail(&err, BT_ERR_INPUT, 0, "an order is a JSON object: %s", order == NULL ? problem.text : "this is none");
    else
        said = obey(c->owner->proxy, order, &err);
    if (said != NULL)
        json_object_set_new(said, "ok", json_true());
    else
        said = json_pack("{s:b, s:s}", "ok", 0, "why", err.message);
    char *text = json_dumps(said, JSON_COMPACT);
    size_t size = strlen(text);
    text[size] = '\n'; /* in the place of the terminator */
    send_whole(c, text, size + 1);
    free(text);
    json_decref(said);
    json_decref(order);
}

static void on_orders(void *context, uint32_t events)
{
    (void)events;
    controller *c = context;
    ssize_t size = recv(c->watch.fd, c->order + c->size, sizeof c->order - c->size, 0);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) { /* gone, or an order that is too long */
        loop_close(&c->owner->proxy->loop, &c->watch, false);
        return;
    }
    c->size += (size_t)size;
    for (char *end; c->watch.fd >= 0 && (end = memchr(c->order, '\n', c->size)) != NULL;) {
        size_t length = (size_t)(end - c->order);
        answer(c, (bt_str){ c->order, length });
        c->size -= length + 1;
        memmove(c->order, end + 1, c->size);
    }
}

static void on_controller(void *context, uint32_t events)
{
    (void)events;
    control *c = context;
    int fd = accept4(c->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    size_t i = 0;
    while (i < CONTROLLERS_MAX && c->controllers[i].watch.fd >= 0)
        i++;
    if (fd < 0)
        return;
    watch refused, *w = i < CONTROLLERS_MAX ? &c->controllers[i].watch : &refused;
    loop_watch(&c->proxy->loop, w, fd, i < CONTROLLERS_MAX ? EPOLLIN : 0, on_orders, i < CONTROLLERS_MAX ? &c->controllers[i] : NULL);
    if (i < CONTROLLERS_MAX)
        c->controllers[i].size = 0;
    else
        loop_close(&c->proxy->loop, &refused, true);
}

void control_init(control *c, proxy *p, int listener)
{
    c->proxy = p;
    for (size_t i = 0; i < CONTROLLERS_MAX; i++) {
        c->controllers[i].owner = c;
        c->controllers[i].watch.fd = -1;
    }
    loop_watch(&p->loop, &c->listener, listener, EPOLLIN, on_controller, c);
}
