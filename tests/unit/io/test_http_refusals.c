/* The front, spoken to rudely: each request that handlers must never see, over a raw socket. The argument is the backend. */
#include "tests/unit/test.h"

#include "core/memory.h"
#include "tests/unit/io/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOST "Host: x\r\n"
#define JSON "Content-Type: application/json\r\n"

static int start(void **unused)
{
    wire_start((bt_http_options){ .body_max = 1000, .head_max = 2000, .read_timeout_ms = 700, .idle_timeout_ms = 3500 });
    return 0;
}

static int stop(void **unused)
{
    wire_stop();
    return 0;
}

/* Sends the text, expects the status, a problem with that code, and whether the connection is closed after it. */
static void expect(const char *text, int status, const char *code, bool closed)
{
    int handled = wire_handled_count;
    wire_answer answer = wire_ask(text);
    char type[256], wanted[128];
    if (answer.status != status)
        print_error("%.60s...\nanswered %s\n%s\n", text, answer.head, answer.body == NULL ? "" : answer.body);
    assert_int_equal(answer.status, status);
    assert_non_null(wire_header(&answer, "Content-Type", type));
    assert_string_equal(type, "application/problem+json");
    snprintf(wanted, sizeof wanted, "\"code\":\"%s\"", code);
    if (strstr(answer.body, wanted) == NULL)
        fail_msg("%s is not in %s", wanted, answer.body);
    snprintf(wanted, sizeof wanted, "\"status\":%d", status);
    assert_non_null(strstr(answer.body, wanted));
    assert_int_equal(answer.closed, closed);
    assert_int_equal(wire_handled_count, handled);
    wire_forget(&answer);
}

static void request__for_an_unknown_path__gets_404_and_keeps_the_connection(void **unused)
{
    expect("GET /v2 HTTP/1.1\r\n" HOST "\r\n", 404, "no-such-path", false);
    expect("GET /v1/trips//holds HTTP/1.1\r\n" HOST "\r\n", 404, "no-such-path", false);
    expect("GET /v1/trips/3/ HTTP/1.1\r\n" HOST "\r\n", 404, "no-such-path", false);
    expect("GET / HTTP/1.1\r\n" HOST "\r\n", 404, "no-such-path", false);
}

static void expect_allow(const char *request, int status, const char *allow)
{
    char value[256];
    wire_answer answer = wire_ask(request);
    assert_int_equal(answer.status, status);
    assert_string_equal(wire_header(&answer, "Allow", value), allow);
    wire_forget(&answer);
}

static void request__with_another_method__gets_405_and_allow(void **unused)
{
    expect("DELETE /v1/trips/3 HTTP/1.1\r\n" HOST "\r\n", 405, "method-not-allowed", false);
    expect_allow("POST /v1/trips/3 HTTP/1.1\r\n" HOST "\r\n", 405, "GET, HEAD, OPTIONS");
    expect_allow("OPTIONS /v1/trips/3/holds HTTP/1.1\r\n" HOST "\r\n", 204, "POST, OPTIONS");
}

static void request__for_what_another_server_of_the_api_takes__gets_405_and_what_else_the_path_takes(void **unused)
{
    expect("POST /v1/elsewhere HTTP/1.1\r\n" HOST "\r\n", 405, "method-not-allowed", false);
    expect_allow("POST /v1/elsewhere HTTP/1.1\r\n" HOST "\r\n", 405, "OPTIONS");
    expect_allow("GET /v1/elsewhere HTTP/1.1\r\n" HOST "\r\n", 405, "POST, OPTIONS");
}

static void request__with_a_large_body__gets_413_whether_counted_or_chunked(void **unused)
{
    char text[4096], body[1002];
    memset(body, 'x', sizeof body);
    body[1001] = '\0';
    snprintf(text, sizeof text, "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Content-Length: 1001\r\n\r\n%s", body);
    expect(text, 413, "body-too-large", true);
    snprintf(text, sizeof text, "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n3e9\r\n%s\r\n0\r\n\r\n", body);
    expect(text, 413, "body-too-large", true);
    expect("POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Content-Length: 99999999999\r\n\r\n", 413, "body-too-large", true);
}

static void request__with_another_type_of_body__gets_415(void **unused)
{
    expect("POST /v1/trips/3/holds HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 415, "media-type", true);
    expect("POST /v1/trips/3/holds HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415, "media-type", true);
    expect("POST /v1/trips/3/holds HTTP/1.1\r\n" HOST "Content-Type: application/jsonx\r\nContent-Length: 2\r\n\r\n{}", 415, "media-type", true);
}

static void request__whose_length_is_doubtful__gets_400_and_is_cut_off(void **unused)
{
#define POST_WITH(headers) "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON headers "\r\n{}"
    expect(POST_WITH("Content-Length: 2\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Content-Length: 2\r\nContent-Length: 40\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Transfer-Encoding: identity\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Transfer-Encoding: gzip, chunked\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Content-Length: 2a\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Content-Length: +2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Content-Length: -2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Content-Length: 0x2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Content-Length: 2, 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Content-Length: 18446744073709551618\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Content-Length:\r\n"), 400, "bad-request", true);
    expect("GET /v1/trips/3 HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}", 400, "bad-request", true);
}

static void request__whose_headers_are_malformed__gets_400_and_is_cut_off(void **unused)
{
    expect(POST_WITH("Content-Length : 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH(" folded\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH(": x\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("no colon\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("na(me: x\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("\xc3\xa9: x\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("X: a\rb\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("X: \x01\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect(POST_WITH("Host: y\r\nContent-Length: 2\r\n"), 400, "bad-request", true);
    expect("GET /v1/trips/3 HTTP/1.1\r\nX: y\r\n\r\n", 400, "bad-request", true);
}

static void request__whose_chunks_are_malformed__gets_400_and_is_cut_off(void **unused)
{
#define CHUNKS(body) "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n" body
    expect(CHUNKS("zz\r\n{}\r\n0\r\n\r\n"), 400, "bad-request", true);
    expect(CHUNKS("2\r\n{}xx0\r\n\r\n"), 400, "bad-request", true);
    expect(CHUNKS("-2\r\n{}\r\n0\r\n\r\n"), 400, "bad-request", true);
    expect(CHUNKS("0x2\r\n{}\r\n0\r\n\r\n"), 400, "bad-request", true);
    expect(CHUNKS("ffffffffffffffffff2\r\n{}\r\n0\r\n\r\n"), 400, "bad-request", true);
    expect(CHUNKS(" 2\r\n{}\r\n0\r\n\r\n"), 400, "bad-request", true);
}

static void request__whose_first_line_is_malformed__gets_400_and_is_cut_off(void **unused)
{
    expect("GARBAGE\r\n\r\n", 400, "bad-request", true);
    expect("GET /v1/trips/3\r\n" HOST "\r\n", 400, "bad-request", true);
    expect("GET /v1/trips/3 HTTP/9.9\r\n" HOST "\r\n", 400, "bad-request", true);
    expect("GET v1/trips/3 HTTP/1.1\r\n" HOST "\r\n", 400, "bad-request", true);
    expect("GET /v1/trips/%zz HTTP/1.1\r\n" HOST "\r\n", 400, "bad-request", true);
    expect("GET /v1/trips/%00 HTTP/1.1\r\n" HOST "\r\n", 400, "bad-request", true);
    expect("GET /v1/trips/%ff HTTP/1.1\r\n" HOST "\r\n", 400, "bad-request", true);
    expect("GET /v1/trips/3?x=%f HTTP/1.1\r\n" HOST "\r\n", 400, "bad-request", true);
    expect("GET /v1/trips/\xff HTTP/1.1\r\n" HOST "\r\n", 400, "bad-request", true);
}

static void request__with_too_long_a_head__gets_414_or_431(void **unused)
{
    char text[16384], filler[3001];
    memset(filler, 'x', sizeof filler);
    filler[3000] = '\0';
    snprintf(text, sizeof text, "GET /v1/trips/%s HTTP/1.1\r\n" HOST "\r\n", filler + 1500);
    expect(text, 414, "target-too-long", true);
    snprintf(text, sizeof text, "GET /v1/trips/3 HTTP/1.1\r\n" HOST "X: %s\r\n\r\n", filler + 500);
    expect(text, 431, "headers-too-large", true);
    size_t size = (size_t)snprintf(text, sizeof text, "GET /v1/trips/3 HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 70; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "X%d: y\r\n", i);
    snprintf(text + size, sizeof text - size, "Content-Length: 5\r\n\r\nhello");
    expect(text, 431, "headers-too-large", true);
}

static void request__that_dawdles__gets_408_and_is_cut_off(void **unused)
{
    int fd = wire_connect();
    wire_say(fd, "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST JSON "Content-Length: 10\r\n\r\n{}");
    wire_answer answer = wire_hear(fd, true); /* the time for a request is shorter than that for silence */
    assert_int_equal(answer.status, 408);
    assert_non_null(strstr(answer.body, "too-slow"));
    assert_true(wire_is_closed(fd, WIRE_PATIENCE_MS));
    wire_forget(&answer);
    close(fd);
    fd = wire_connect();
    wire_say(fd, "POST /v1/trips/3/holds HTTP/1.1\r\nHo");
    answer = wire_hear(fd, true);
    assert_int_equal(answer.status, 408);
    assert_true(wire_is_closed(fd, WIRE_PATIENCE_MS));
    wire_forget(&answer);
    close(fd);
}

/* A byte each 100 ms never pauses long; only a limit on the whole request ends it. */
static void request__that_drips__gets_408_all_the_same(void **unused)
{
    static const char text[] = "GET /v1/trips/3 HTTP/1.1\r\n" HOST "X-Long: abcdefghijklmnopqrstuvwxyz\r\n\r\n";
    int fd = wire_connect();
    wire_answer answer = { 0 };
    for (size_t i = 0; i < sizeof text - 1 && answer.status == 0 && !answer.closed; i++) {
        wire_send(fd, text + i, 1);
        if (wire_is_spoken_to(fd, 100)) /* only then it is read, and to its end: half an answer is none */
            answer = wire_hear(fd, true);
    }
    assert_int_equal(answer.status, 408);
    wire_forget(&answer);
    close(fd);
}

static void connection__that_says_nothing__is_closed_without_an_answer(void **unused)
{
    int fd = wire_connect();
    wire_answer answer = wire_hear(fd, true);
    assert_int_equal(answer.status, 0);
    assert_true(answer.closed);
    close(fd);
}

/* The refused request's body must not be taken for the next request. */
static void refused_body__that_looks_like_a_request__is_never_served(void **unused)
{
    int handled = wire_handled_count;
    int fd = wire_connect();
    wire_say(fd, "POST /v1/trips/3/holds HTTP/1.1\r\n" HOST "Content-Length: 44\r\n\r\nGET /v1/trips/smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    wire_answer answer = wire_hear(fd, true);
    assert_int_equal(answer.status, 415);
    assert_true(wire_is_closed(fd, WIRE_PATIENCE_MS));
    wire_forget(&answer);
    close(fd);
    fd = wire_connect();
    wire_say(fd, "GET /v1/nowhere HTTP/1.1\r\n" HOST "Content-Length: 44\r\n\r\nGET /v1/trips/smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    answer = wire_hear(fd, true);
    assert_true(answer.status == 404 || answer.status == 400);
    assert_true(wire_is_closed(fd, WIRE_PATIENCE_MS));
    assert_int_equal(wire_handled_count, handled);
    wire_forget(&answer);
    close(fd);
}

int main(int argc, char **argv)
{
    wire_backend = argc > 1 ? argv[1] : wire_backend;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request__for_an_unknown_path__gets_404_and_keeps_the_connection),
        cmocka_unit_test(request__with_another_method__gets_405_and_allow),
        cmocka_unit_test(request__for_what_another_server_of_the_api_takes__gets_405_and_what_else_the_path_takes),
        cmocka_unit_test(request__with_a_large_body__gets_413_whether_counted_or_chunked),
        cmocka_unit_test(request__with_another_type_of_body__gets_415),
        cmocka_unit_test(request__whose_length_is_doubtful__gets_400_and_is_cut_off),
        cmocka_unit_test(request__whose_headers_are_malformed__gets_400_and_is_cut_off),
        cmocka_unit_test(request__whose_chunks_are_malformed__gets_400_and_is_cut_off),
        cmocka_unit_test(request__whose_first_line_is_malformed__gets_400_and_is_cut_off),
        cmocka_unit_test(request__with_too_long_a_head__gets_414_or_431),
        cmocka_unit_test(request__that_dawdles__gets_408_and_is_cut_off),
        cmocka_unit_test(request__that_drips__gets_408_all_the_same),
        cmocka_unit_test(connection__that_says_nothing__is_closed_without_an_answer),
        cmocka_unit_test(refused_body__that_looks_like_a_request__is_never_served),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
