/* The front as a well-behaved client and a handler meet it. The argument is the backend. */
#include "tests/unit/test.h"

#include "core/buf.h"
#include "core/memory.h"
#include "io/clock/clock.h"
#include "tests/unit/io/wire.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOST "Host: x\r\n"
#define JSON "Content-Type: application/json\r\n"
#define HOLD "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}"
#define HELD "POST /held HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}"

static void wait_for_held(int count)
{
    for (int i = 0; i < WIRE_PATIENCE_MS && wire_held_count < count; i++)
        bt_clock_sleep_us(1000);
    assert_int_equal(wire_held_count, count);
}

static void hold__with_everything__reaches_its_handler_decoded(void **unused)
{
    wire_start((bt_http_options){ 0 });
    char value[256];
    wire_answer answer = wire_ask("POST /v1/trips/a%2Fb%20c+d/holds?from=A%26B+C&x&from=2&=&y=%C3%A9 HTTP/1.1\r\n" HOST
                                  "content-TYPE: Application/JSON ; charset=utf-8\r\nX-Request-Id: my.id-1\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
    assert_int_equal(answer.status, 201);
    assert_string_equal(answer.body, "{\"trip\":\"a/b c+d\",\"from\":\"A&B C\",\"query_count\":5,\"size\":7,\"body\":\"{\\\"a\\\":1}\"}");
    assert_string_equal(wire_header(&answer, "X-Request-Id", value), "my.id-1");
    assert_string_equal(wire_header(&answer, "Location", value), "/v1/x");
    assert_string_equal(wire_header(&answer, "Content-Type", value), "application/json");
    assert_non_null(wire_header(&answer, "Date", value));
    assert_false(answer.closed);
    wire_forget(&answer);
    wire_stop();
}

static void request__with_or_without_ids__is_correlated(void **unused)
{
    wire_start((bt_http_options){ 0 });
    char value[256];
    wire_answer answer = wire_ask("GET /v1/trips/3 HTTP/1.1\r\n" HOST "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n");
    assert_string_equal(wire_header(&answer, "X-Request-Id", value), "4bf92f3577b34da6a3ce929d0e0e4736");
    wire_forget(&answer);
    answer = wire_ask("GET /v1/trips/3 HTTP/1.1\r\n" HOST "X-Request-Id: <script>\r\n\r\n");
    assert_int_equal(strlen(wire_header(&answer, "X-Request-Id", value)), 16);
    wire_forget(&answer);
    wire_stop();
}

static void body__in_chunks__arrives_whole(void **unused)
{
    wire_start((bt_http_options){ 0 });
    int fd = wire_connect();
    for (int round = 0; round < 2; round++) {
        wire_say(fd, "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n");
        bt_clock_sleep_us(20000);
        wire_say(fd, "2\r\n1}\r\n0\r\n\r\n");
        wire_answer answer = wire_hear(fd, true);
        assert_int_equal(answer.status, 201);
        assert_non_null(strstr(answer.body, "\"size\":7,\"body\":\"{\\\"a\\\":1}\""));
        wire_forget(&answer);
    }
    close(fd);
    wire_stop();
}

static void body__that_was_announced__is_invited_with_100(void **unused)
{
    wire_start((bt_http_options){ 0 });
    int fd = wire_connect();
    wire_say(fd, "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    wire_answer answer = wire_hear(fd, false);
    assert_int_equal(answer.status, 100);
    wire_forget(&answer);
    wire_say(fd, "{}");
    answer = wire_hear(fd, true);
    assert_int_equal(answer.status, 201);
    wire_forget(&answer);
    close(fd);
    wire_stop();
}

static void large_body__in_pieces__arrives_whole(void **unused)
{
    wire_start((bt_http_options){ 0 });
    char head[256], *body = bt_alloc(1 << 20);
    memset(body, 'x', 1 << 20);
    int fd = wire_connect();
    snprintf(head, sizeof head, "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Content-Length: %d\r\n\r\n", 1 << 20);
    wire_say(fd, head);
    for (int i = 0; i < 16; i++)
        wire_send(fd, body + i * 65536, 65536);
    wire_answer answer = wire_hear(fd, true);
    assert_int_equal(answer.status, 201);
    assert_non_null(strstr(answer.body, "\"size\":1048576"));
    wire_forget(&answer);
    bt_release(body);
    close(fd);
    wire_stop();
}

static void head__of_a_resource__has_its_length_and_no_body(void **unused)
{
    wire_start((bt_http_options){ 0 });
    char length[256], expected[32];
    wire_answer answer = wire_ask("GET /v1/trips/3 HTTP/1.1\r\n" HOST "\r\n");
    snprintf(expected, sizeof expected, "%zu", answer.body_size);
    wire_forget(&answer);
    int fd = wire_connect();
    wire_say(fd, "HEAD /v1/trips/3 HTTP/1.1\r\n" HOST "\r\nDELETE /nothing HTTP/1.1\r\n" HOST "\r\n");
    answer = wire_hear(fd, false);
    assert_int_equal(answer.status, 200);
    assert_string_equal(wire_header(&answer, "Content-Length", length), expected);
    wire_forget(&answer);
    answer = wire_hear(fd, true);
    assert_int_equal(answer.status, 204);
    assert_null(wire_header(&answer, "Content-Length", length));
    wire_forget(&answer);
    close(fd);
    wire_stop();
}

static void requests__sent_without_waiting__are_answered_in_order(void **unused)
{
    wire_start((bt_http_options){ 0 });
    char text[8192] = "", wanted[64];
    for (int i = 0; i < 20; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "POST /v1/trips/t%d/holds HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}", i);
    int fd = wire_connect();
    wire_say(fd, text);
    for (int i = 0; i < 20; i++) {
        wire_answer answer = wire_hear(fd, true);
        snprintf(wanted, sizeof wanted, "\"trip\":\"t%d\"", i);
        assert_non_null(strstr(answer.body, wanted));
        wire_forget(&answer);
    }
    close(fd);
    wire_stop();
}

static void connection__is_kept_or_closed__as_the_client_asked(void **unused)
{
    wire_start((bt_http_options){ 0 });
    wire_answer answer = wire_ask("GET /v1/trips/3 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    char value[256];
    assert_true(answer.closed);
    assert_string_equal(wire_header(&answer, "Connection", value), "close");
    wire_forget(&answer);
    answer = wire_ask("GET /v1/trips/3 HTTP/1.0\r\n" HOST "\r\n");
    assert_true(answer.closed);
    wire_forget(&answer);
    answer = wire_ask("GET /v1/trips/3 HTTP/1.0\r\n" HOST "Connection: Keep-Alive\r\n\r\n");
    assert_false(answer.closed);
    assert_string_equal(wire_header(&answer, "Connection", value), "keep-alive");
    wire_forget(&answer);
    wire_stop();
}

static void answer__from_another_thread__reaches_each_of_many_connections(void **unused)
{
    enum { COUNT = 24 };
    wire_start((bt_http_options){ 0 });
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = wire_connect();
        wire_say(fds[i], HELD);
    }
    for (int round = 0; round < 3; round++) {
        wait_for_held(COUNT);
        assert_int_equal(bt_http_server_in_flight(wire_server), COUNT);
        wire_release_held();
        for (int i = 0; i < COUNT; i++) {
            wire_answer answer = wire_hear(fds[i], true);
            assert_int_equal(answer.status, 200);
            assert_string_equal(answer.body, "{\"late\":true}");
            wire_forget(&answer);
            if (round < 2)
                wire_say(fds[i], HELD);
        }
    }
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    wire_stop();
}

/* With several answers at once the second would wake a loop that the first forgot to. */
static void answer__of_a_lone_request__wakes_the_front(void **unused)
{
    wire_start((bt_http_options){ 0 });
    int fd = wire_connect();
    for (int i = 0; i < 3; i++) {
        wire_say(fd, HELD);
        wait_for_held(1);
        bt_clock_sleep_us(20000);
        int64_t began_us = bt_clock_monotonic_us();
        wire_release_held();
        wire_answer answer = wire_hear(fd, true);
        assert_int_equal(answer.status, 200);
        assert_true(bt_clock_monotonic_us() - began_us < WIRE_PATIENCE_MS * INT64_C(1000) / 2); /* a loop that is not woken sleeps until a timeout */
        wire_forget(&answer);
    }
    close(fd);
    wire_stop();
}

static void client__that_leaves_while_it_is_awaited__harms_nobody(void **unused)
{
    wire_start((bt_http_options){ 0 });
    int fd = wire_connect();
    wire_say(fd, HELD);
    wait_for_held(1);
    close(fd);
    bt_clock_sleep_us(20000);
    wire_release_held();
    wire_answer answer = wire_ask(HOLD);
    assert_int_equal(answer.status, 201);
    wire_forget(&answer);
    wire_stop();
}

static void request__over_the_cap__gets_503_with_retry_after(void **unused)
{
    wire_start((bt_http_options){ .in_flight_max = 2 });
    char value[256];
    int first = wire_connect(), second = wire_connect();
    wire_say(first, HELD);
    wire_say(second, HELD);
    wait_for_held(2);
    wire_answer answer = wire_ask(HOLD);
    assert_int_equal(answer.status, 503);
    assert_string_equal(wire_header(&answer, "Retry-After", value), "1");
    assert_non_null(strstr(answer.body, "urn:berth:problem:overloaded"));
    assert_false(answer.closed);
    wire_forget(&answer);
    wire_release_held();
    close(first);
    close(second);
    wire_stop();
}

static void handler__that_never_answers__gives_504_and_may_answer_late(void **unused)
{
    wire_start((bt_http_options){ .answer_timeout_ms = 200 });
    wire_answer answer = wire_ask(HELD);
    assert_int_equal(answer.status, 504);
    assert_non_null(strstr(answer.body, "answer-timeout"));
    assert_true(answer.closed);
    wire_forget(&answer);
    assert_int_equal(wire_held_count, 1);
    wire_release_held();
    wire_stop();
}

static void client__that_never_reads__is_cut_off(void **unused)
{
    wire_start((bt_http_options){ .write_timeout_ms = 700, .read_timeout_ms = 700, .idle_timeout_ms = 1500 });
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = wire_connect();
        for (int j = 0; j < 4; j++)
            wire_say(fds[i], "GET /much HTTP/1.1\r\n" HOST "\r\n");
    }
    bt_clock_sleep_us(2800000); /* civetweb looks at the clock each two seconds */
    wire_answer answer = wire_ask(HOLD);
    assert_int_equal(answer.status, 201);
    wire_forget(&answer);
    /* Once it reads, it finds a cut answer, not four whole ones. */
    for (int i = 0; i < 4; i++) {
        int whole = 0;
        for (int j = 0; j < 4; j++) {
            answer = wire_hear(fds[i], true);
            whole += answer.status == 200;
            wire_forget(&answer);
        }
        assert_true(whole < 4);
        close(fds[i]);
    }
    wire_stop();
}

static void client__that_reads_slowly__gets_a_large_answer_whole(void **unused)
{
    wire_start((bt_http_options){ 0 });
    int fd = wire_connect();
    wire_say(fd, "GET /much HTTP/1.1\r\n" HOST "\r\n");
    bt_clock_sleep_us(300000);
    wire_answer answer = wire_hear(fd, true);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body_size, 6 << 20);
    assert_int_equal(strspn(answer.body, "x"), 6 << 20);
    wire_forget(&answer);
    close(fd);
    wire_stop();
}

static void *stop_soon(void *ret_whole)
{
    *(bool *)ret_whole = bt_http_server_stop(wire_server, WIRE_PATIENCE_MS);
    return NULL;
}

static void stop__with_requests_in_flight__lets_them_finish(void **unused)
{
    wire_start((bt_http_options){ 0 });
    int fds[8], idle = wire_connect();
    for (int i = 0; i < 8; i++) {
        fds[i] = wire_connect();
        wire_say(fds[i], HELD);
    }
    wait_for_held(8);
    pthread_t stopper;
    bool whole = false;
    pthread_create(&stopper, NULL, stop_soon, &whole);
    if (strcmp(wire_backend, "civetweb") == 0)
        bt_clock_sleep_us(1000000); /* it shows in no way that the stop has begun */
    else
        assert_true(wire_is_closed(idle, WIRE_PATIENCE_MS)); /* the stop has begun */
    wire_release_held();
    for (int i = 0; i < 8; i++) {
        char value[256];
        wire_answer answer = wire_hear(fds[i], true);
        assert_int_equal(answer.status, 200);
        assert_string_equal(wire_header(&answer, "Connection", value), "close");
        assert_true(wire_is_closed(fds[i], WIRE_PATIENCE_MS));
        wire_forget(&answer);
        close(fds[i]);
    }
    assert_true(wire_is_closed(idle, WIRE_PATIENCE_MS));
    close(idle);
    pthread_join(stopper, NULL);
    assert_true(whole);
    bt_http_server_free(wire_server);
}

/* A client that connected just before the stop, whose request is on its way, is not told of a failure; but by civetweb, as http.h says. */
static void stop__with_a_connection_that_has_not_asked_yet__answers_it(void **unused)
{
    bool civetweb = strcmp(wire_backend, "civetweb") == 0;
    wire_start((bt_http_options){ .stop_grace_ms = WIRE_PATIENCE_MS });
    int held_back = wire_connect(), served = wire_connect(), late = wire_connect();
    wire_say(held_back, HELD);
    wait_for_held(1);
    wire_say(served, "GET /v1/trips/3 HTTP/1.1\r\n" HOST "\r\n");
    wire_answer answer = wire_hear(served, true);
    wire_forget(&answer);
    pthread_t stopper;
    bool whole = false;
    pthread_create(&stopper, NULL, stop_soon, &whole);
    if (civetweb)
        bt_clock_sleep_us(1000000); /* it shows in no way that the stop has begun */
    else
        assert_true(wire_is_closed(served, WIRE_PATIENCE_MS)); /* the stop has begun */
    wire_say(late, "GET /v1/trips/3 HTTP/1.1\r\n" HOST "\r\n");
    answer = wire_hear(late, true);
    char value[256];
    assert_int_equal(answer.status, civetweb ? 503 : 200);
    assert_string_equal(wire_header(&answer, "Connection", value), "close");
    wire_forget(&answer);
    wire_release_held();
    pthread_join(stopper, NULL);
    assert_true(whole);
    close(late);
    close(served);
    close(held_back);
    bt_http_server_free(wire_server);
}

static void stop__with_a_handler_that_hangs__cuts_it_off_at_the_limit(void **unused)
{
    wire_start((bt_http_options){ 0 });
    int fd = wire_connect();
    wire_say(fd, HELD);
    wait_for_held(1);
    int64_t began_us = bt_clock_monotonic_us();
    assert_false(bt_http_server_stop(wire_server, 300));
    int64_t took_us = bt_clock_monotonic_us() - began_us;
    assert_true(took_us >= 300000 && took_us < WIRE_PATIENCE_MS * INT64_C(1000));
    assert_true(wire_is_closed(fd, WIRE_PATIENCE_MS));
    close(fd);
    wire_release_held();
    bt_http_server_free(wire_server);
}

static void stop__with_half_a_request__does_not_wait_for_the_rest(void **unused)
{
    wire_start((bt_http_options){ 0 });
    int fd = wire_connect();
    wire_say(fd, "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Content-Length: 10\r\n\r\n{}");
    bt_clock_sleep_us(100000);
    int64_t began_us = bt_clock_monotonic_us();
    assert_true(bt_http_server_stop(wire_server, WIRE_PATIENCE_MS));
    assert_true(bt_clock_monotonic_us() - began_us < WIRE_PATIENCE_MS * INT64_C(1000) / 2);
    assert_true(wire_is_closed(fd, WIRE_PATIENCE_MS));
    close(fd);
    bt_http_server_free(wire_server);
}

static void thousand_connections__kept_alive__are_all_served_in_turn(void **unused)
{
    enum { COUNT = 1000 };
    static int fds[COUNT];
    wire_start((bt_http_options){ .worker_count = strcmp(wire_backend, "civetweb") == 0 ? COUNT + 16 : 0, .idle_timeout_ms = WIRE_PATIENCE_MS, .read_timeout_ms = WIRE_PATIENCE_MS });
    for (int i = 0; i < COUNT; i++)
        fds[i] = wire_connect();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            wire_say(fds[i], round == 2 ? HELD : HOLD);
        if (round == 2) {
            wait_for_held(COUNT);
            wire_release_held();
        }
        for (int i = 0; i < COUNT; i++) {
            wire_answer answer = wire_hear(fds[i], true);
            assert_int_equal(answer.status, round == 2 ? 200 : 201);
            wire_forget(&answer);
        }
    }
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    wire_stop();
}

static void answers__are_counted__by_route_and_status(void **unused)
{
    bt_metrics *metrics = bt_metrics_new();
    wire_start((bt_http_options){ .metrics = metrics, .name = "test" });
    const char *texts[] = { HOLD, HOLD, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n" };
    for (size_t i = 0; i < BT_COUNT_OF(texts); i++) {
        wire_answer answer = wire_ask(texts[i]);
        wire_forget(&answer);
    }
    wire_stop();
    bt_buf text;
    bt_buf_init(&text, 1 << 20);
    bt_metrics_write(metrics, &text);
    bt_buf_byte(&text, 0);
    const char *shown = (const char *)text.at;
    assert_non_null(strstr(shown, "berth_http_requests_total{server=\"test\",route=\"/v1/trips/{trip}/holds\",method=\"POST\",status=\"201\"} 2\n"));
    assert_non_null(strstr(shown, "berth_http_requests_total{server=\"test\",route=\"none\",method=\"none\",status=\"404\"} 1\n"));
    assert_non_null(strstr(shown, "berth_http_request_seconds_count{server=\"test\",route=\"/v1/trips/{trip}/holds\",method=\"POST\"} 2\n"));
    assert_non_null(strstr(shown, "berth_http_in_flight{server=\"test\"} 0\n"));
    bt_buf_release(&text);
    bt_metrics_free(metrics);
}

static void start__on_a_taken_port__says_which(void **unused)
{
    wire_start((bt_http_options){ 0 });
    char listen[64];
    bt_err err = { 0 };
    bt_http_server *second = NULL;
    snprintf(listen, sizeof listen, "127.0.0.1:%d", bt_http_server_port(wire_server));
    assert_false(bt_http_server_start(&(bt_http_options){ .backend = strcmp(wire_backend, "civetweb") == 0 ? "civetweb" : "loop", .listen = listen, .worker_count = 2 }, &second, &err));
    assert_null(second);
    assert_non_null(strstr(err.message, listen));
    assert_non_null(strstr(err.message, "in use"));
    assert_false(bt_http_server_start(&(bt_http_options){ .listen = "nonsense" }, &second, &err));
    assert_non_null(strstr(err.message, "nonsense"));
    wire_stop();
}

int main(int argc, char **argv)
{
    wire_backend = argc > 1 ? argv[1] : wire_backend;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hold__with_everything__reaches_its_handler_decoded),
        cmocka_unit_test(request__with_or_without_ids__is_correlated),
        cmocka_unit_test(body__in_chunks__arrives_whole),
        cmocka_unit_test(body__that_was_announced__is_invited_with_100),
        cmocka_unit_test(large_body__in_pieces__arrives_whole),
        cmocka_unit_test(head__of_a_resource__has_its_length_and_no_body),
        cmocka_unit_test(requests__sent_without_waiting__are_answered_in_order),
        cmocka_unit_test(connection__is_kept_or_closed__as_the_client_asked),
        cmocka_unit_test(answer__from_another_thread__reaches_each_of_many_connections),
        cmocka_unit_test(answer__of_a_lone_request__wakes_the_front),
        cmocka_unit_test(client__that_leaves_while_it_is_awaited__harms_nobody),
        cmocka_unit_test(request__over_the_cap__gets_503_with_retry_after),
        cmocka_unit_test(handler__that_never_answers__gives_504_and_may_answer_late),
        cmocka_unit_test(client__that_never_reads__is_cut_off),
        cmocka_unit_test(client__that_reads_slowly__gets_a_large_answer_whole),
        cmocka_unit_test(stop__with_requests_in_flight__lets_them_finish),
        cmocka_unit_test(stop__with_a_connection_that_has_not_asked_yet__answers_it),
        cmocka_unit_test(stop__with_a_handler_that_hangs__cuts_it_off_at_the_limit),
        cmocka_unit_test(stop__with_half_a_request__does_not_wait_for_the_rest),
        cmocka_unit_test(thousand_connections__kept_alive__are_all_served_in_turn),
        cmocka_unit_test(answers__are_counted__by_route_and_status),
        cmocka_unit_test(start__on_a_taken_port__says_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
