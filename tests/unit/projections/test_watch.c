/* What /readyz is told, while another thread does the work. Under the preset tsan this is also the check of what the two share: librdkafka's own threads keep
 * TSan from running the whole program. */
#include "projections/loop/watch.h"
#include "io/log/log.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static bt_metrics *metrics;
static bt_watch watch;
static const bt_err away = { .kind = BT_ERR_RETRY, .message = "cannot connect to Postgres: refused" };

static int begin(void **unused)
{
    metrics = bt_metrics_new();
    bt_watch_init(&watch, "trips", metrics);
    bt_watch_partitions(&watch, 2);
    return 0;
}

static int end(void **unused)
{
    bt_watch_release(&watch);
    bt_metrics_free(metrics);
    return 0;
}

static void then_not_ready(const char *words)
{
    char reason[BT_PROJECTOR_REASON_MAX] = "";
    assert_false(bt_watch_is_ready(&watch, reason));
    if (!strstr(reason, words))
        fail_msg("not told: %s, but: %s", words, reason);
}

static void then_ready(void)
{
    char reason[BT_PROJECTOR_REASON_MAX] = "x";
    assert_true(bt_watch_is_ready(&watch, reason));
    assert_string_equal(reason, "");
}

static void projector__is_ready_once_its_sink_is_open_and_the_broker_has_answered(void **unused)
{
    then_not_ready("starting");
    bt_watch_running(&watch);
    then_not_ready("no broker");
    bt_watch_end(&watch, 0, -1, 0); /* asked, not answered */
    then_not_ready("no broker");
    bt_watch_end(&watch, 0, 10, 4);
    then_ready();
    assert_int_equal(bt_gauge_value(watch.partitions[0].lag), 6);
}

static void projector__whose_attempt_failed__is_not_ready_until_it_runs_again(void **unused)
{
    bt_watch_running(&watch);
    bt_watch_end(&watch, 0, 0, 0);
    bt_watch_failed(&watch, "write", &away, 100);
    then_not_ready("write: cannot connect to Postgres: refused");
    bt_watch_running(&watch);
    then_ready();
}

static void partition__that_has_stopped__is_never_ready_again(void **unused)
{
    bt_watch_running(&watch);
    bt_watch_end(&watch, 0, 0, 0);
    bt_watch_stopped(&watch, 1, "lost suffix");
    bt_watch_running(&watch);
    then_not_ready("partition 1 is stopped: lost suffix");
    assert_int_equal(bt_gauge_value(watch.partitions[1].stopped), 1);
}

static atomic_bool done;

static void *look(void *unused)
{
    char reason[BT_PROJECTOR_REASON_MAX];
    bt_buf text;
    bt_buf_init(&text, 1 << 20);
    while (!atomic_load(&done)) {
        bt_watch_is_ready(&watch, reason);
        bt_buf_reset(&text);
        bt_metrics_write(metrics, &text);
    }
    bt_buf_release(&text);
    return NULL;
}

static void watch__that_is_looked_at_while_it_changes__shares_nothing_unguarded(void **unused)
{
    pthread_t looker;
    bt_batch batch;
    bt_batch_init(&batch, 2);
    atomic_store(&done, false);
    assert_int_equal(pthread_create(&looker, NULL, look, NULL), 0);
    for (int i = 0; i < 2000; i++) {
        bt_watch_running(&watch);
        bt_watch_end(&watch, i % 2, i, i);
        bt_watch_writing(&watch, true);
        bt_watch_wrote(&watch, &batch, i);
        bt_watch_writing(&watch, false);
        bt_watch_failed(&watch, "write", &away, 100);
    }
    bt_watch_stopped(&watch, 0, "x");
    atomic_store(&done, true);
    pthread_join(looker, NULL);
    bt_batch_release(&batch);
    assert_int_equal(bt_counter_value(watch.failures), 2000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(projector__is_ready_once_its_sink_is_open_and_the_broker_has_answered),
        TEST(projector__whose_attempt_failed__is_not_ready_until_it_runs_again),
        TEST(partition__that_has_stopped__is_never_ready_again),
        TEST(watch__that_is_looked_at_while_it_changes__shares_nothing_unguarded),
    };
    bt_log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
