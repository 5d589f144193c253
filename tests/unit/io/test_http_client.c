/* The HTTP client and the admin port, each against the other. */
#include "tests/unit/test.h"

#include "core/memory.h"
#include "io/clock/clock.h"
#include "io/http/admin.h"
#include "io/http/client.h"
#include "io/metrics/metrics.h"

#include <jansson.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void echo(bt_http_request *request)
{
    bt_str type = BT_STR("none");
    bt_http_header(request, "content-type", &type);
    bt_http_pair headers[] = { { BT_STR("X-Type"), type }, { BT_STR("X-Empty"), BT_STR("") } };
    bt_http_respond(request, &(bt_http_response){ .status = 201, .headers = headers, .header_count = 2, .body = request->body });
}

static void dawdle(bt_http_request *request)
{
    bt_clock_sleep_us(400000);
    bt_http_respond_json(request, 200, BT_STR("{}"));
}

static const bt_http_route routes[] = {
    { .method = BT_HTTP_POST, .pattern = "/echo", .handler = echo },
    { .method = BT_HTTP_GET, .pattern = "/echo", .handler = echo },
    { .method = BT_HTTP_GET, .pattern = "/slow", .handler = dawdle },
};

static bt_http_server *server;
static bt_http_client *client;
static bt_arena arena;
static bt_err err;

static void start_client(int port, int64_t timeout_ms, size_t answer_max)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    bt_arena_init(&arena, 0);
    assert_true(bt_http_client_new(&(bt_http_client_options){ .base_url = url, .timeout_ms = timeout_ms, .answer_max = answer_max }, &client, &err));
}

static void start(int64_t timeout_ms, size_t answer_max)
{
    assert_true(bt_http_server_start(&(bt_http_options){ .backend = "loop", .routes = routes, .route_count = BT_COUNT_OF(routes) }, &server, &err));
    start_client(bt_http_server_port(server), timeout_ms, answer_max);
}

static void stop_client(void)
{
    bt_http_client_free(client);
    bt_arena_release(&arena);
}

static void stop(void)
{
    stop_client();
    bt_http_server_stop(server, 1000);
    bt_http_server_free(server);
}

static void call__of_each_kind__gives_the_whole_answer(void **unused)
{
    start(3000, 0);
    bt_http_answer answer;
    bt_str value;
    for (int i = 0; i < 3; i++) {
        assert_true(bt_http_client_call(client, &(bt_http_call){ .method = "POST", .target = BT_STR("/echo"), .body = BT_STR("{\"a\":1}") }, &arena, &answer, &err));
        assert_int_equal(answer.status, 201);
        assert_str(answer.body, "{\"a\":1}");
        assert_true(bt_http_answer_header(&answer, "x-type", &value));
        assert_str(value, "application/json");
    }
    assert_true(bt_http_client_call(client, &(bt_http_call){ .method = "POST", .target = BT_STR("/echo") }, &arena, &answer, &err));
    assert_int_equal(answer.status, 201);
    assert_int_equal(answer.body.size, 0);
    assert_true(bt_http_client_call(client, &(bt_http_call){ .method = "GET", .target = BT_STR("/nowhere?x=1") }, &arena, &answer, &err));
    assert_int_equal(answer.status, 404);
    assert_true(bt_http_client_call(client, &(bt_http_call){ .method = "HEAD", .target = BT_STR("/echo") }, &arena, &answer, &err));
    assert_int_equal(answer.status, 201);
    stop();
}

static void call__that_fails__says_whether_it_was_sent(void **unused)
{
    bt_http_answer answer;
    bt_http_call slow = { .method = "GET", .target = BT_STR("/slow") };
    start(100, 3);
    assert_false(bt_http_client_call(client, &slow, &arena, &answer, &err));
    assert_int_equal(err.kind, BT_ERR_UNKNOWN);
    assert_false(bt_http_client_call(client, &(bt_http_call){ .method = "POST", .target = BT_STR("/echo"), .body = BT_STR("{\"a\":1}") }, &arena, &answer, &err));
    assert_int_equal(err.kind, BT_ERR_UNKNOWN);
    bt_http_pair bad = { BT_STR("X"), BT_STR("a\r\nY: b") };
    assert_false(bt_http_client_call(client, &(bt_http_call){ .method = "GET", .target = BT_STR("/echo"), .headers = &bad, .header_count = 1 }, &arena, &answer, &err));
    assert_int_equal(err.kind, BT_ERR_INPUT);
    int port = bt_http_server_port(server);
    stop();
    start_client(port, 1000, 0);
    assert_false(bt_http_client_call(client, &slow, &arena, &answer, &err));
    assert_int_equal(err.kind, BT_ERR_RETRY);
    stop_client();
}

/* Answers one request, takes a second on the same connection, and is gone: its port listens no more. */
static void *answer_one_and_die(void *context)
{
    char request[4096];
    int listening = *(int *)context, accepted = accept(listening, NULL, NULL);
    assert_true(recv(accepted, request, sizeof request, 0) > 0);
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(send(accepted, answer, sizeof answer - 1, MSG_NOSIGNAL), sizeof answer - 1);
    close(listening);
    assert_true(recv(accepted, request, sizeof request, 0) > 0);
    setsockopt(accepted, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
    close(accepted);
    return NULL;
}

static void call__whose_kept_connection_is_lost_with_its_server__is_not_said_to_be_unsent(void **unused)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &size), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_one_and_die, &listening), 0);
    start_client(ntohs(address.sin_port), 3000, 0);
    bt_http_answer answer;
    bt_http_call order = { .method = "POST", .target = BT_STR("/"), .body = BT_STR("{}") };
    assert_true(bt_http_client_call(client, &order, &arena, &answer, &err));
    assert_false(bt_http_client_call(client, &order, &arena, &answer, &err));
    assert_int_equal(err.kind, BT_ERR_UNKNOWN);
    pthread_join(thread, NULL);
    stop_client();
}

static bool kafka_fine = true;
static bool is_kafka_ready(void *context, char ret_reason[BT_ADMIN_REASON_MAX])
{
    snprintf(ret_reason, BT_ADMIN_REASON_MAX, "%s", kafka_fine ? "" : "no broker has \"answered\"");
    return kafka_fine;
}
static bool is_never_ready(void *context, char ret_reason[BT_ADMIN_REASON_MAX]) { return false; }

static void admin_port__tells_alive_ready_metrics_and_version(void **unused)
{
    bt_metrics *metrics = bt_metrics_new();
    const bt_admin_check checks[] = { { "kafka", is_kafka_ready, NULL, false }, { "redis", is_never_ready, NULL, true } };
    bt_admin *admin;
    bt_http_answer answer;
    bt_counter_inc(bt_metrics_counter(metrics, "berth_x_total", "X.", BT_NO_LABELS));
    assert_true(bt_admin_start(&(bt_admin_options){ .server = "berth-test", .version = "1.2", .checks = checks, .check_count = 2, .metrics = metrics }, &admin, &err));
    start_client(bt_admin_port(admin), 3000, 0);
#define GET(path) assert_true(bt_http_client_call(client, &(bt_http_call){ .method = "GET", .target = BT_STR(path) }, &arena, &answer, &err))
    GET("/livez");
    assert_int_equal(answer.status, 200);
    GET("/readyz");
    assert_int_equal(answer.status, 200);
    kafka_fine = false;
    GET("/readyz");
    assert_int_equal(answer.status, 503);
    json_t *json = json_loadb(answer.body.at, answer.body.size, 0, NULL);
    json_t *first = json_array_get(json_object_get(json, "checks"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "kafka");
    assert_string_equal(json_string_value(json_object_get(first, "reason")), "no broker has \"answered\"");
    json_decref(json);
    kafka_fine = true;
    GET("/metrics");
    assert_int_equal(answer.status, 200);
    assert_non_null(memmem(answer.body.at, answer.body.size, "berth_x_total 1\n", 16));
    assert_non_null(memmem(answer.body.at, answer.body.size, "berth_build_info{server=\"berth-test\"", 35));
    FILE *checker = popen("promtool check metrics", "w");
    fwrite(answer.body.at, 1, answer.body.size, checker);
    assert_int_equal(pclose(checker), 0);
    GET("/version");
    assert_non_null(memmem(answer.body.at, answer.body.size, "\"version\":\"1.2\"", 15));
    bt_admin_set_stopping(admin);
    GET("/readyz");
    assert_int_equal(answer.status, 503);
    stop_client();
    bt_admin_free(admin);
    bt_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call__of_each_kind__gives_the_whole_answer),
        cmocka_unit_test(call__that_fails__says_whether_it_was_sent),
        cmocka_unit_test(call__whose_kept_connection_is_lost_with_its_server__is_not_said_to_be_unsent),
        cmocka_unit_test(admin_port__tells_alive_ready_metrics_and_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
