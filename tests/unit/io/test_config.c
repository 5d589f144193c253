/* config - who wins, and what a person is told who got it wrong. */
#include "tests/unit/test.h"

#include "io/config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct settings {
    const char *listen;
    int64_t workers;
    bool fast;
    const char *backend;
    const char *dsn;
};

static const bt_setting table[] = {
    { .name = "http.listen", .kind = BT_SETTING_STR, .offset = offsetof(struct settings, listen), .initial = "127.0.0.1:18081", .help = "where" },
    { .name = "http.worker_count", .kind = BT_SETTING_I64, .offset = offsetof(struct settings, workers), .initial = "512", .help = "threads", .min = 1, .max = 4096 },
    { .name = "http.fast", .kind = BT_SETTING_BOOL, .offset = offsetof(struct settings, fast), .initial = "false", .help = "hurry" },
    { .name = "http.backend", .kind = BT_SETTING_CHOICE, .offset = offsetof(struct settings, backend), .initial = "loop", .help = "which", .choices = "civetweb|loop" },
    { .name = "postgres.dsn", .kind = BT_SETTING_STR, .offset = offsetof(struct settings, dsn), .initial = "", .help = "database", .secret = true },
};
static const bt_config_spec spec = { .program = "berth-test", .about = "A test.", .settings = table, .setting_count = BT_COUNT_OF(table),
    .passthrough = "kafka.", .passthrough_help = "any property of librdkafka" };

static struct settings settings;
static bt_config config;
static bt_err err;

static char *file_with(const char *content)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/berth-test-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
    return path;
}

#define LOAD(environment, ...) load(environment, (char *[]){ "berth-test", __VA_ARGS__ }, sizeof((char *[]){ "berth-test", __VA_ARGS__ }) / sizeof(char *))
static bool load(char **environment, char **argv, size_t argc)
{
    memset(&err, 0, sizeof err);
    return bt_config_load(&config, &spec, (int)argc, argv, environment, &settings, &err);
}

static char *no_environment[] = { NULL };

static void nothing_set__takes_the_defaults(void **unused)
{
    assert_true(load(no_environment, (char *[]){ "berth-test" }, 1));
    assert_string_equal(settings.listen, "127.0.0.1:18081");
    assert_int_equal(settings.workers, 512);
    assert_false(settings.fast);
    assert_string_equal(settings.backend, "loop");
    assert_string_equal(settings.dsn, "");
    bt_config_release(&config);
}

static void each_source__beats_the_one_before(void **unused)
{
    char *path = file_with("# comment\n\nhttp.listen = 1.1.1.1:1   # trailing\r\nhttp.worker_count=1_000\nhttp.fast = yes\npostgres.dsn = a#b=c\n");
    char *environment[] = { "BERTH_HTTP_WORKER_COUNT=2", "BERTH_HTTP_FAST=", "PATH=/bin", "BERTH_OTHER_PROGRAM=1", NULL };
    assert_true(LOAD(environment, "--config", path, "--http.listen=2.2.2.2:2"));
    assert_string_equal(settings.listen, "2.2.2.2:2");
    assert_int_equal(settings.workers, 2);
    assert_false(settings.fast); /* empty: the default again */
    assert_string_equal(settings.dsn, "a#b=c");
    bt_config_release(&config);
    unlink(path);
}

static const char *pair(const char *name)
{
    for (size_t i = 0; i < config.pair_count; i++)
        if (strcmp(config.pairs[i].name, name) == 0)
            return config.pairs[i].value;
    return NULL;
}

static void passthrough__from_all_sources__is_one_list(void **unused)
{
    char *path = file_with("kafka.bootstrap.servers = a:1\nkafka.linger.ms = 5\n");
    char *environment[] = { "BERTH_KAFKA_SASL_MECHANISM=PLAIN", "BERTH_KAFKA_BOOTSTRAP_SERVERS=b:2", NULL };
    char variable[128];
    snprintf(variable, sizeof variable, "BERTH_CONFIG=%s", path);
    char *with_file[] = { environment[0], environment[1], variable, NULL };
    assert_true(LOAD(with_file, "--kafka.linger.ms=0", "--http.fast"));
    assert_int_equal(config.pair_count, 3);
    assert_string_equal(pair("bootstrap.servers"), "b:2");
    assert_string_equal(pair("sasl.mechanism"), "PLAIN");
    assert_string_equal(pair("linger.ms"), "0");
    assert_true(settings.fast);
    bt_config_release(&config);
    unlink(path);
}

#define EXPECT_ERROR(loading, ...)                                             \
    do {                                                                       \
        const char *parts_[] = { __VA_ARGS__ };                                \
        assert_false(loading);                                                 \
        assert_int_equal(err.kind, BT_ERR_INPUT);                              \
        for (size_t i_ = 0; i_ < BT_COUNT_OF(parts_); i_++)                    \
            if (strstr(err.message, parts_[i_]) == NULL)                       \
                fail_msg("\"%s\" is not in: %s", parts_[i_], err.message);     \
    } while (0)

static void mistake__names_the_setting_the_place_and_the_remedy(void **unused)
{
    char *path = file_with("http.listen = x\n\nhttp.worker_count = many\n");
    char place[96];
    snprintf(place, sizeof place, "%s:3", path);
    EXPECT_ERROR(LOAD(no_environment, "--config", path), place, "http.worker_count", "many", "from 1 to 4096");
    unlink(path);
    char *environment[] = { "BERTH_HTTP_WORKER_COUNT=4097", NULL };
    EXPECT_ERROR(load(environment, (char *[]){ "x" }, 1), "BERTH_HTTP_WORKER_COUNT", "4097", "from 1 to 4096");
    EXPECT_ERROR(LOAD(no_environment, "--http.worker_count=0"), "flag --http.worker_count", "from 1 to 4096");
    EXPECT_ERROR(LOAD(no_environment, "--http.worker_count=99999999999999999999"), "http.worker_count");
    EXPECT_ERROR(LOAD(no_environment, "--http.worker_count=1__0"), "http.worker_count");
    EXPECT_ERROR(LOAD(no_environment, "--http.backend=apache"), "one of civetweb|loop");
    EXPECT_ERROR(LOAD(no_environment, "--http.fast=maybe"), "true or false");
    EXPECT_ERROR(LOAD(no_environment, "--http.listne=x"), "http.listne", "http.listen", "--help");
    EXPECT_ERROR(LOAD(no_environment, "--http.listen"), "--http.listen=VALUE");
    EXPECT_ERROR(LOAD(no_environment, "stray"), "stray");
    EXPECT_ERROR(LOAD(no_environment, "--config", "/nonexistent/x"), "/nonexistent/x");
    path = file_with("no equals sign\n");
    EXPECT_ERROR(LOAD(no_environment, "--config", path), ":1", "section.key = value");
    unlink(path);
}

static void secret__is_never_shown(void **unused)
{
    static const bt_setting secret[] = { { .name = "a.b", .kind = BT_SETTING_I64, .offset = 0, .initial = "1", .help = "x", .secret = true } };
    bt_config_spec only = { .program = "p", .about = "a", .settings = secret, .setting_count = 1 };
    int64_t value;
    assert_false(bt_config_load(&config, &only, 2, (char *[]){ "p", "--a.b=hunter2" }, no_environment, &value, &err));
    assert_null(strstr(err.message, "hunter2"));
}

static void help_and_version__come_before_mistakes(void **unused)
{
    assert_true(LOAD(no_environment, "--nonsense", "--help"));
    assert_int_equal(config.wish, BT_CONFIG_HELP);
    bt_config_release(&config);
    assert_true(LOAD(no_environment, "--version"));
    assert_int_equal(config.wish, BT_CONFIG_VERSION);
    bt_config_release(&config);
    bt_buf text;
    bt_buf_init(&text, 1 << 16);
    bt_config_write_help(&spec, &text);
    bt_buf_byte(&text, 0);
    const char *parts[] = { "--http.worker_count=NUMBER", "1 to 4096 [512]", "civetweb|loop", "--kafka.*=TEXT", "any property", "[not shown]", "--config FILE" };
    for (size_t i = 0; i < BT_COUNT_OF(parts); i++)
        assert_non_null(strstr((const char *)text.at, parts[i]));
    bt_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_set__takes_the_defaults),
        cmocka_unit_test(each_source__beats_the_one_before),
        cmocka_unit_test(passthrough__from_all_sources__is_one_list),
        cmocka_unit_test(mistake__names_the_setting_the_place_and_the_remedy),
        cmocka_unit_test(secret__is_never_shown),
        cmocka_unit_test(help_and_version__come_before_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
