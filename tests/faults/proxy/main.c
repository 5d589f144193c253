/* kafka_proxy - the proxy of proxy.h as a program:
 *
 *   kafka_proxy --control HOST:PORT --broker NAME=LISTEN_HOST:PORT=TARGET_HOST:PORT ... [--seed N]
 *
 * Says "ready" on its standard output when all ports are open; runs until SIGTERM or until its standard input ends, so that it never
 * outlives the test that started it. Addresses are numbers: names would have to be looked up. */
#include "tests/faults/proxy/control.h"
#include "tests/faults/proxy/late.h"
#include "tests/faults/proxy/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    stopping = number;
}

static void on_input(void *context, uint32_t events)
{
    char ignored[256];
    (void)events;
    if (read(((watch *)context)->fd, ignored, sizeof ignored) == 0)
        stopping = 1;
}

static bool address_read(const char *text, size_t size, struct sockaddr_in *ret_address)
{
    char host[64];
    const char *colon = memchr(text, ':', size);
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    char *end;
    long port = strtol(colon + 1, &end, 10);
    *ret_address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    return end == text + size && port > 0 && port < 65536 && inet_pton(AF_INET, host, &ret_address->sin_addr) == 1;
}

static bool listen_at(const struct sockaddr_in *address, int *ret_fd, bt_err *err)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 || bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 || listen(fd, 128) != 0)
        return bt_fail(err, BT_ERR_INPUT, 0, "port %d: %s", ntohs(address->sin_port), strerror(errno));
    *ret_fd = fd;
    return true;
}

static bool broker_read(proxy *p, const char *text, bt_err *err)
{
    const char *first = strchr(text, '='), *second = first != NULL ? strchr(first + 1, '=') : NULL;
    broker *b = &p->brokers[p->broker_count];
    if (p->broker_count == BROKERS_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "more than %d brokers", BROKERS_MAX);
    if (second == NULL || !address_read(first + 1, (size_t)(second - first - 1), &b->listen) || !address_read(second + 1, strlen(second + 1), &b->target))
        return bt_fail(err, BT_ERR_INPUT, 0, "'%s' is not NAME=HOST:PORT=HOST:PORT", text);
    b->owner = p;
    b->number = name_number(&p->rules.brokers, (bt_str){ text, (size_t)(first - text) });
    p->broker_count++;
    return true;
}

static bool options_read(proxy *p, struct sockaddr_in *control_at, int argc, char **argv, bt_err *err)
{
    static const struct option OPTIONS[] = { { "control", 1, NULL, 'c' }, { "broker", 1, NULL, 'b' }, { "seed", 1, NULL, 's' }, { 0 } };
    bool has_control = false;
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (option == 'c')
            has_control = address_read(optarg, strlen(optarg), control_at);
        else if (option == 's')
            p->rules.seed = strtoull(optarg, NULL, 10);
        else if (option != 'b' || !broker_read(p, optarg, err))
            return err->kind != BT_OK ? false : bt_fail(err, BT_ERR_INPUT, 0, "an option that is none");
    }
    return (has_control && p->broker_count > 0) || bt_fail(err, BT_ERR_INPUT, 0, "--control HOST:PORT and at least one --broker are needed");
}

static bool open_all(proxy *p, control *c, const struct sockaddr_in *control_at, bt_err *err)
{
    int fd;
    if (!loop_init(&p->loop, err) || !listen_at(control_at, &fd, err))
        return false;
    control_init(c, p, fd);
    for (size_t i = 0; i < p->broker_count; i++) {
        if (!listen_at(&p->brokers[i].listen, &fd, err))
            return false;
        loop_watch(&p->loop, &p->brokers[i].listener, fd, EPOLLIN, links_accept, &p->brokers[i]);
    }
    return true;
}

int main(int argc, char **argv)
{
    static proxy p;
    static control c;
    static watch input;
    struct sockaddr_in control_at;
    bt_err err = { 0 };
    if (!options_read(&p, &control_at, argc, argv, &err) || !open_all(&p, &c, &control_at, &err)) {
        fprintf(stderr, "kafka_proxy: %s\n", err.message);
        return 2;
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    loop_watch(&p.loop, &input, STDIN_FILENO, EPOLLIN, on_input, &input);
    printf("ready\n");
    fflush(stdout);
    while (!stopping) {
        int64_t links_us = links_serve(&p), lates_us = lates_serve(&p);
        loop_wait(&p.loop, links_us < lates_us ? links_us : lates_us);
    }
    links_reset(&p, UINT64_MAX, UINT64_MAX);
    links_serve(&p);
    return 0;
}
