/* load - many clients on one thread, each with a connection of its own: hold, then release, over HTTP, as fast as answers come.
 *
 * It measures a whole booking front from outside and costs as little as it can, since it shares two cores with what it
 * measures: one epoll, fixed buffers, answers scanned for a status, a length and an id. It understands the answers of
 * berth-commands, not HTTP at large. Modes:
 *   hold      hold (best fit, 1 to 4 seats, random stretch), then release; only accepted holds are counted. The trips are
 *             first filled to --fill with bookings: --filling tiled (two bookings with a random cut share each seat, so
 *             that what is left are whole seats, and hardly a hold is refused) or random (what is left are short gaps,
 *             and every second hold or so is refused, for its stretch is too long)
 *   soldout   hold on trips that are full; refusals are counted
 *   empty     POST /empty with a body of a hold's size, for the limit's empty handler
 * Prints one JSON object. Loopback only; ends after --seconds, or 10 s after that at the latest. */
#include "core/buf.h"
#include "core/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, ANSWER_MAX = 16384, REQUEST_MAX = 1024, LATENCIES_MAX = 4 << 20, FILLERS_MAX = 16 };

typedef enum load_mode { MODE_HOLD, MODE_SOLDOUT, MODE_EMPTY } load_mode;

typedef struct options {
    int port, connections, seconds, warmup, trips, points, seats_max;
    load_mode mode;
    double fill;
    bool tiled;
    const char *prefix; /* of trip ids */
} options;

/* What a client asks next. */
typedef enum step { STEP_HOLD, STEP_RELEASE, STEP_CONFIRM } step;

typedef struct client {
    int fd;
    step next;
    int trip;
    int share; /* seats times segments of the hold under way */
    int tile_trip, tile_from; /* while filling: the second booking of the same seats begins there; 0: none is due */
    char hold[33];
    char answer[ANSWER_MAX];
    size_t answer_size;
    int64_t sent_us;
} client;

typedef struct load {
    options o;
    int epoll;
    client *clients;
    uint64_t random, key_base, keys;
    bool measuring, filling;
    int64_t *sold; /* seats times segments, by trip */
    int *misses;   /* refusals while filling, by trip */
    int trips_full;
    int64_t accepted, refused, released, failed;
    uint32_t *latencies;
    size_t latency_count;
    char first_failure[400];
} load;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static uint64_t next_random(load *l)
{
    l->random += 0x9e3779b97f4a7c15ULL;
    return bt_mix64(l->random);
}

static int connect_to(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fprintf(stderr, "load: cannot connect to 127.0.0.1:%d: %s\n", port, strerror(errno));
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_post(load *l, client *c, const char *path, const char *body, size_t body_size)
{
    char text[REQUEST_MAX];
    int size = snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: l\r\nContent-Type: application/json\r\nIdempotency-Key: %016llx%08llx\r\nContent-Length: %zu\r\n\r\n%.*s", path,
        (unsigned long long)l->key_base, (unsigned long long)l->keys++, body_size, (int)body_size, body);
    c->answer_size = 0;
    c->sent_us = now_us();
    if (size <= 0 || (size_t)size >= sizeof text || write(c->fd, text, (size_t)size) != size) {
        fprintf(stderr, "load: a request was not taken whole: %s\n", strerror(errno));
        exit(1);
    }
}

/* While filling, the first trip from a random one on that is not full yet. */
static int pick_trip(const load *l, uint64_t random)
{
    int trip = (int)(random % (uint64_t)l->o.trips);
    for (int i = 0; l->filling && i < l->o.trips && l->sold[trip] < 0; i++)
        trip = (trip + 1) % l->o.trips;
    return trip;
}

/* First stop to a random cut, then from the cut to the last stop: the tightest gap for the second is what the first left. */
static void next_tile(const load *l, client *c, uint64_t random, int *ret_from, int *ret_to)
{
    int last = l->o.points - 1;
    if (c->tile_from > 0 && l->sold[c->tile_trip] >= 0) {
        c->trip = c->tile_trip;
        *ret_from = c->tile_from;
        *ret_to = last;
        c->tile_from = 0;
        return;
    }
    *ret_from = 0;
    *ret_to = c->tile_from = 1 + (int)(random % (uint64_t)(last - 1));
    c->tile_trip = c->trip;
}

static void ask_to_hold(load *l, client *c)
{
    char path[200], body[300];
    uint64_t random = next_random(l);
    int last = l->o.points - 1;
    c->trip = pick_trip(l, random);
    int from = (int)((random >> 16) % (uint64_t)last), to = from + 1 + (int)((random >> 32) % (uint64_t)(last - from)), count = 1 + (int)((random >> 48) % (uint64_t)l->o.seats_max);
    if (l->filling && l->o.mode == MODE_SOLDOUT) {
        from = 0;
        to = last;
    }
    if (l->filling)
        count = l->misses[c->trip] > 20 ? 1 : 8;
    if (l->filling && l->o.mode == MODE_HOLD && l->o.tiled)
        next_tile(l, c, random >> 16, &from, &to);
    c->share = count * (to - from);
    int size = snprintf(body, sizeof body, "{\"from\":\"s%02d\",\"to\":\"s%02d\",\"count\":%d,\"customer\":\"c%08x\"}", from, to, count, (unsigned)(random >> 20));
    if (l->o.mode == MODE_EMPTY)
        snprintf(path, sizeof path, "/empty");
    else
        snprintf(path, sizeof path, "/v1/trips/%s%d/holds", l->o.prefix, c->trip);
    send_post(l, c, path, body, (size_t)size);
}

static void ask(load *l, client *c)
{
    char path[200];
    if (c->next == STEP_HOLD) {
        ask_to_hold(l, c);
        return;
    }
    snprintf(path, sizeof path, "/v1/trips/%s%d/holds/%s/%s", l->o.prefix, c->trip, c->hold, c->next == STEP_RELEASE ? "release" : "confirm");
    send_post(l, c, path, "{}", 2);
}

/* The status, once the answer is whole; 0 before. */
static int whole_status(client *c)
{
    c->answer[c->answer_size] = '\0';
    char *end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL)
        return 0;
    char *length = strcasestr(c->answer, "\r\nContent-Length:");
    size_t body_size = length != NULL && length < end ? (size_t)atoll(length + 17) : 0;
    if (c->answer_size < (size_t)(end + 4 - c->answer) + body_size)
        return 0;
    return atoi(c->answer + 9);
}

static void note_latency(load *l, const client *c)
{
    if (l->measuring && l->latency_count < LATENCIES_MAX)
        l->latencies[l->latency_count++] = (uint32_t)(now_us() - c->sent_us);
}

static void note_failure(load *l, const client *c)
{
    l->failed++;
    if (l->first_failure[0] == '\0')
        snprintf(l->first_failure, sizeof l->first_failure, "%.399s", c->answer);
}

/* A trip is full enough when its share is sold or nothing fits any more; -1 marks it. */
static void note_filling(load *l, const client *c, bool accepted)
{
    double all = 2000.0 * (l->o.points - 1);
    if (l->sold[c->trip] < 0)
        return;
    l->sold[c->trip] += accepted ? c->share : 0;
    l->misses[c->trip] += !accepted;
    if ((double)l->sold[c->trip] / all >= l->o.fill || l->misses[c->trip] > 400) {
        l->sold[c->trip] = -1;
        l->trips_full++;
    }
}

static void on_answer(load *l, client *c, int status)
{
    step was = c->next;
    c->next = STEP_HOLD;
    if (was != STEP_HOLD) {
        if ((status >= 200 && status < 300) || status == 409) /* 409: its time was up */
            l->released += l->measuring && was == STEP_RELEASE;
        else
            note_failure(l, c);
        return;
    }
    note_latency(l, c);
    bool accepted = status >= 200 && status < 300;
    if (l->filling)
        note_filling(l, c, accepted);
    if (accepted) {
        l->accepted += l->measuring;
        char *hold = l->o.mode == MODE_EMPTY ? NULL : strstr(c->answer, "\"hold\":\"");
        if (hold != NULL) {
            memcpy(c->hold, hold + 8, 32);
            c->next = l->filling ? STEP_CONFIRM : STEP_RELEASE;
        }
    } else if (status == 409) {
        l->refused += l->measuring;
    } else {
        note_failure(l, c);
    }
}

/* One blocking exchange, for setting up. */
static int exchange(load *l, client *c, const char *path, const char *body, size_t body_size)
{
    bt_buf text;
    bt_buf_init(&text, 4 << 20);
    bt_buf_printf(&text, "POST %s HTTP/1.1\r\nHost: l\r\nContent-Type: application/json\r\nIdempotency-Key: %016llx%08llx\r\nContent-Length: %zu\r\n\r\n", path, (unsigned long long)l->key_base,
        (unsigned long long)l->keys++, body_size);
    bt_buf_write(&text, body, body_size);
    for (size_t at = 0; at < text.size;) {
        ssize_t wrote = write(c->fd, text.at + at, text.size - at);
        if (wrote <= 0)
            exit(1);
        at += (size_t)wrote;
    }
    bt_buf_release(&text);
    c->answer_size = 0;
    for (int status; c->answer_size < ANSWER_MAX - 1;) {
        ssize_t got = read(c->fd, c->answer + c->answer_size, ANSWER_MAX - 1 - c->answer_size);
        if (got <= 0)
            break;
        c->answer_size += (size_t)got;
        if ((status = whole_status(c)) != 0)
            return status;
    }
    fprintf(stderr, "load: the connection ended during set-up\n");
    exit(1);
}

static void open_trip(load *l, client *c, int trip)
{
    bt_buf body;
    bt_buf_init(&body, 1 << 20);
    int64_t start_us = (int64_t)time(NULL) * 1000000 + INT64_C(86400000000);
    bt_json_open(&body, NULL, '{');
    char id[64];
    snprintf(id, sizeof id, "%s%d", l->o.prefix, trip);
    bt_json_str(&body, "trip", bt_str_of(id));
    bt_json_str(&body, "name", BT_STR("Benchmark"));
    bt_json_str(&body, "timezone", BT_STR("UTC"));
    bt_json_open(&body, "points", '[');
    for (int i = 0; i < l->o.points; i++) {
        char stop[16];
        snprintf(stop, sizeof stop, "s%02d", i);
        bt_json_open(&body, NULL, '{');
        bt_json_str(&body, "stop", bt_str_of(stop));
        bt_json_str(&body, "name", bt_str_of(stop));
        bt_json_time(&body, "arrives_at", start_us + i * INT64_C(600000000));
        bt_json_time(&body, "departs_at", start_us + i * INT64_C(600000000) + 60000000);
        bt_json_close(&body, '}');
    }
    bt_json_close(&body, ']');
    bt_json_open(&body, "sections", '[');
    for (int section = 0; section < 20; section++) {
        char name[16];
        snprintf(name, sizeof name, "%c", 'A' + section);
        bt_json_open(&body, NULL, '{');
        bt_json_str(&body, "name", bt_str_of(name));
        bt_json_str(&body, "class", BT_STR("standard"));
        bt_json_open(&body, "seats", '[');
        for (int seat = 1; seat <= 100; seat++) {
            snprintf(name, sizeof name, "%d", seat);
            bt_json_str(&body, NULL, bt_str_of(name));
        }
        bt_json_close(&body, ']');
        bt_json_close(&body, '}');
    }
    bt_json_close(&body, ']');
    bt_json_close(&body, '}');
    int status = exchange(l, c, "/v1/trips", (char *)body.at, body.size);
    if (status != 201 && status != 409) {
        fprintf(stderr, "load: a trip was not opened: %.300s\n", c->answer);
        exit(1);
    }
    bt_buf_release(&body);
}

static void set_up(load *l)
{
    client *c = &l->clients[0];
    c->fd = connect_to(l->o.port);
    for (int trip = 0; trip < l->o.trips && l->o.mode != MODE_EMPTY; trip++)
        open_trip(l, c, trip);
    close(c->fd);
    l->sold = bt_alloc((size_t)l->o.trips * sizeof *l->sold);
    l->misses = bt_alloc((size_t)l->o.trips * sizeof *l->misses);
}

/* Takes what has come within 100 ms, and asks again. */
static void turn(load *l)
{
    struct epoll_event events[256];
    int count = epoll_wait(l->epoll, events, 256, 100);
    for (int i = 0; i < count; i++) {
        client *c = events[i].data.ptr;
        ssize_t got = read(c->fd, c->answer + c->answer_size, ANSWER_MAX - 1 - c->answer_size);
        if (got <= 0) {
            fprintf(stderr, "load: the server closed a connection: %.200s\n", c->answer);
            exit(1);
        }
        c->answer_size += (size_t)got;
        int status = whole_status(c);
        if (status != 0) {
            on_answer(l, c, status);
            ask(l, c);
        }
    }
}

static void start_clients(load *l, int from, int to)
{
    for (int i = from; i < to; i++) {
        client *c = &l->clients[i];
        c->fd = connect_to(l->o.port);
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event);
        ask(l, c);
    }
}

static void run(load *l)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->filling = l->o.mode != MODE_EMPTY && l->o.fill > 0;
    /* Few fill a trip: what many hold half way would leave no whole seats. */
    int fillers = l->filling && l->o.connections > FILLERS_MAX * l->o.trips ? FILLERS_MAX * l->o.trips : l->o.connections;
    start_clients(l, 0, fillers);
    int64_t fill_until_us = now_us() + INT64_C(600000000);
    while (l->filling && l->trips_full < l->o.trips && now_us() < fill_until_us)
        turn(l);
    l->filling = false;
    start_clients(l, fillers, l->o.connections);
    int64_t warm_us = now_us() + l->o.warmup * INT64_C(1000000);
    while (now_us() < warm_us)
        turn(l);
    l->measuring = true;
    fprintf(stderr, "measuring\n"); /* the runner reads CPU times at these two lines */
    int64_t end_us = now_us() + l->o.seconds * INT64_C(1000000);
    while (now_us() < end_us)
        turn(l);
    fprintf(stderr, "measured\n");
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(load *l)
{
    qsort(l->latencies, l->latency_count, sizeof *l->latencies, by_value);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    bt_buf out;
    bt_buf_init(&out, 1 << 16);
    bt_json_open(&out, NULL, '{');
    bt_json_double(&out, "accepted_per_s", (double)l->accepted / l->o.seconds);
    bt_json_double(&out, "refused_per_s", (double)l->refused / l->o.seconds);
    bt_json_double(&out, "released_per_s", (double)l->released / l->o.seconds);
    bt_json_i64(&out, "failed", l->failed);
    bt_json_i64(&out, "p50_us", l->latency_count == 0 ? -1 : (int64_t)l->latencies[l->latency_count / 2]);
    bt_json_i64(&out, "p99_us", l->latency_count == 0 ? -1 : (int64_t)l->latencies[l->latency_count * 99 / 100]);
    bt_json_i64(&out, "max_us", l->latency_count == 0 ? -1 : (int64_t)l->latencies[l->latency_count - 1]);
    if (l->first_failure[0] != '\0')
        bt_json_str(&out, "first_failure", bt_str_of(l->first_failure));
    bt_json_close(&out, '}');
    printf("%.*s\n", (int)out.size, (char *)out.at);
    bt_buf_release(&out);
}

static options read_options(int argc, char **argv)
{
    options o = { .port = 18081, .connections = 256, .seconds = 8, .warmup = 3, .trips = 1, .points = 20, .seats_max = 4, .fill = 0.82, .tiled = true, .prefix = "bench" };
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--port") == 0) o.port = atoi(value);
        else if (strcmp(name, "--connections") == 0) o.connections = atoi(value);
        else if (strcmp(name, "--seconds") == 0) o.seconds = atoi(value);
        else if (strcmp(name, "--warmup") == 0) o.warmup = atoi(value);
        else if (strcmp(name, "--trips") == 0) o.trips = atoi(value);
        else if (strcmp(name, "--seats-max") == 0) o.seats_max = atoi(value);
        else if (strcmp(name, "--filling") == 0) o.tiled = strcmp(value, "tiled") == 0;
        else if (strcmp(name, "--fill") == 0) o.fill = atof(value);
        else if (strcmp(name, "--prefix") == 0) o.prefix = value;
        else if (strcmp(name, "--mode") == 0) o.mode = strcmp(value, "empty") == 0 ? MODE_EMPTY : strcmp(value, "soldout") == 0 ? MODE_SOLDOUT : MODE_HOLD;
        else { fprintf(stderr, "load: unknown option %s; read the top of bench/book/load.c\n", name); exit(2); }
    }
    if (o.connections < 1 || o.connections > CONNECTIONS_MAX || o.seconds < 1 || o.seconds > 600 || o.trips < 1 || o.trips > 100000) {
        fprintf(stderr, "load: 1 to %d connections, 1 to 600 seconds, 1 to 100000 trips\n", CONNECTIONS_MAX);
        exit(2);
    }
    return o;
}

int main(int argc, char **argv)
{
    load l = { .o = read_options(argc, argv), .random = (uint64_t)now_us(), .key_base = (uint64_t)now_us() };
    l.clients = bt_alloc((size_t)l.o.connections * sizeof *l.clients);
    l.latencies = bt_alloc(LATENCIES_MAX * sizeof *l.latencies);
    set_up(&l);
    run(&l);
    report(&l);
    return l.failed > 0 ? 3 : 0;
}
