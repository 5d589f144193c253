/* log - lines that stay one line of JSON whatever is put into them, and a flood that cannot drown the rest. Read back by jansson. */
#include "tests/unit/test.h"

#include "io/log/log.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int pipe_fds[2];
static char text[1 << 20];

static int start(void **unused)
{
    assert_int_equal(pipe(pipe_fds), 0);
    bt_log_init("test-server", "9.9", BT_LOG_INFO);
    bt_log_set_fd(pipe_fds[1]);
    return 0;
}

static int stop(void **unused)
{
    bt_log_set_fd(-1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

/* What was written so far; the caller knows that there is something. */
static char *heard(void)
{
    ssize_t size = read(pipe_fds[0], text, sizeof text - 1);
    assert_true(size > 0);
    text[size] = '\0';
    return text;
}

static json_t *one_line(void)
{
    char *line = heard();
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    json_error_t error;
    json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        fail_msg("%s in %s", error.text, line);
    return json;
}

static const char *str_of(const json_t *json, const char *name) { return json_string_value(json_object_get(json, name)); }

static void line__with_every_kind_of_field__is_json(void **unused)
{
    bt_str view = BT_STR("3");
    bt_log_set_correlation(BT_STR("abc-1"));
    bt_log_warn("hold.rejected", F_STR("trip", view), F_STR("reason", "seat_taken"), F_I64("hold", -7), F_BOOL("late", true), F_DOUBLE("load", 0.5),
        F_ID("head", ((bt_id){ { 0xab } })), F_STR("none", (const char *)NULL));
    bt_log_set_correlation((bt_str){ NULL, 0 });
    json_t *json = one_line();
    assert_string_equal(str_of(json, "level"), "warn");
    assert_string_equal(str_of(json, "event"), "hold.rejected");
    assert_string_equal(str_of(json, "server"), "test-server");
    assert_string_equal(str_of(json, "version"), "9.9");
    assert_string_equal(str_of(json, "correlation"), "abc-1");
    assert_string_equal(str_of(json, "trip"), "3");
    assert_string_equal(str_of(json, "reason"), "seat_taken");
    assert_int_equal(json_integer_value(json_object_get(json, "hold")), -7);
    assert_true(json_is_true(json_object_get(json, "late")));
    assert_string_equal(str_of(json, "head"), "ab000000000000000000000000000000");
    assert_true(json_is_null(json_object_get(json, "none")));
    json_decref(json);
}

static void hostile_text__in_a_field__stays_inside_it(void **unused)
{
    static const char hostile[] = "\"},\n{\"level\":\"error\" \\ \x01\x1b[31m \xff\xc3 \xed\xa0\x80 \xc3\xa9";
    bt_log_info("hostile.text", F_STR("said", hostile));
    json_t *json = one_line();
    assert_string_equal(str_of(json, "level"), "info");
    const char *said = str_of(json, "said");
    assert_non_null(strstr(said, "\"},\n{\"level\":\"error\" \\ \x01\x1b[31m \xef\xbf\xbd"));
    assert_non_null(strstr(said, "\xc3\xa9"));
    json_decref(json);
}

static void line__without_fields_or_correlation__is_json(void **unused)
{
    bt_log_error("plain.line");
    json_t *json = one_line();
    assert_null(json_object_get(json, "correlation"));
    assert_int_equal(json_object_size(json), 5);
    json_decref(json);
}

static void line__that_grows_too_long__says_so_and_is_json(void **unused)
{
    static char long_text[100000];
    memset(long_text, '"', sizeof long_text - 1);
    bt_log_info("long.line", F_STR("a", long_text), F_STR("b", long_text), F_STR("c", long_text), F_I64("last", 5));
    json_t *json = one_line();
    assert_true(json_is_true(json_object_get(json, "truncated")));
    assert_int_equal(json_integer_value(json_object_get(json, "last")), 5);
    json_decref(json);
}

static void line__below_the_level__is_not_written(void **unused)
{
    bt_log_debug("quiet.line");
    bt_log_info("loud.line");
    json_t *json = one_line();
    assert_string_equal(str_of(json, "event"), "loud.line");
    json_decref(json);
}

static void flood__of_one_name__is_cut_and_counted_and_leaves_others_alone(void **unused)
{
    for (int i = 0; i < 250; i++)
        bt_log_info("flood.line", F_I64("i", i));
    bt_log_info("other.line");
    bt_log_flush();
    int floods = 0, others = 0, told = 0;
    char *rest = NULL;
    for (char *line = strtok_r(heard(), "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *json = json_loads(line, 0, NULL);
        assert_non_null(json);
        floods += strcmp(str_of(json, "event"), "flood.line") == 0;
        others += strcmp(str_of(json, "event"), "other.line") == 0;
        if (strcmp(str_of(json, "event"), "log.dropped") == 0) {
            assert_string_equal(str_of(json, "name"), "flood.line");
            told += (int)json_integer_value(json_object_get(json, "count"));
        }
        json_decref(json);
    }
    assert_in_range(floods, 100, 110);
    assert_int_equal(floods + told, 250);
    assert_int_equal(others, 1);
}

static void *write_lines(void *name)
{
    for (int i = 0; i < 20; i++) {
        bt_log_set_correlation(bt_str_of(name));
        bt_log_info("thread.line", F_STR("name", (const char *)name), F_STR("filler", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    }
    return NULL;
}

static void lines__of_many_threads__never_mix(void **unused)
{
    pthread_t threads[4];
    char *names[] = { "a", "b", "c", "d" };
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, write_lines, names[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    int count = 0;
    char *rest = NULL;
    for (char *line = strtok_r(heard(), "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), count++) {
        json_t *json = json_loads(line, 0, NULL);
        assert_non_null(json);
        assert_string_equal(str_of(json, "name"), str_of(json, "correlation"));
        json_decref(json);
    }
    assert_int_equal(count, 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line__with_every_kind_of_field__is_json, start, stop),
        cmocka_unit_test_setup_teardown(hostile_text__in_a_field__stays_inside_it, start, stop),
        cmocka_unit_test_setup_teardown(line__without_fields_or_correlation__is_json, start, stop),
        cmocka_unit_test_setup_teardown(line__that_grows_too_long__says_so_and_is_json, start, stop),
        cmocka_unit_test_setup_teardown(line__below_the_level__is_not_written, start, stop),
        cmocka_unit_test_setup_teardown(flood__of_one_name__is_cut_and_counted_and_leaves_others_alone, start, stop),
        cmocka_unit_test_setup_teardown(lines__of_many_threads__never_mix, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
