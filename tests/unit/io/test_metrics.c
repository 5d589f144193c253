/* metrics - counted by many threads, summed once, and read by Prometheus' own checker. */
#include "tests/unit/test.h"

#include "io/metrics/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *exposed(bt_metrics *metrics, bt_buf *text)
{
    bt_buf_init(text, 1 << 20);
    bt_metrics_write(metrics, text);
    bt_buf_byte(text, 0);
    assert_false(text->overflow);
    return (char *)text->at;
}

static void *count_up(void *counter)
{
    for (int i = 0; i < 100000; i++)
        bt_counter_inc(counter);
    return NULL;
}

static void counter__raised_by_many_threads__loses_nothing(void **unused)
{
    bt_metrics *metrics = bt_metrics_new();
    bt_counter *counter = bt_metrics_counter(metrics, "berth_x_total", "X.", BT_NO_LABELS);
    pthread_t threads[12];
    for (int i = 0; i < 12; i++)
        pthread_create(&threads[i], NULL, count_up, counter);
    for (int i = 0; i < 12; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(bt_counter_value(counter), 1200000);
    bt_metrics_free(metrics);
}

static void same_name_and_labels__give_the_same_handle(void **unused)
{
    bt_metrics *metrics = bt_metrics_new();
    bt_counter *a = bt_metrics_counter(metrics, "berth_x_total", "X.", BT_LABELS({ "verdict", "accepted" }));
    assert_ptr_equal(a, bt_metrics_counter(metrics, "berth_x_total", "X.", BT_LABELS({ "verdict", "accepted" })));
    assert_ptr_not_equal(a, bt_metrics_counter(metrics, "berth_x_total", "X.", BT_LABELS({ "verdict", "refused" })));
    bt_metrics_free(metrics);
}

static void histogram__of_latencies__is_cumulative_and_in_seconds(void **unused)
{
    bt_metrics *metrics = bt_metrics_new();
    bt_histogram *histogram = bt_metrics_histogram(metrics, BT_HISTOGRAM_SECONDS, "berth_append_seconds", "Append.", BT_NO_LABELS);
    int64_t values[] = { 50, 51, 1000, 1001, 9999999, 10000001, -5 };
    for (size_t i = 0; i < BT_COUNT_OF(values); i++)
        bt_histogram_observe(histogram, values[i]);
    bt_buf text;
    const char *shown = exposed(metrics, &text);
    assert_non_null(strstr(shown, "berth_append_seconds_bucket{le=\"5e-05\"} 2\n"));
    assert_non_null(strstr(shown, "berth_append_seconds_bucket{le=\"0.0001\"} 3\n"));
    assert_non_null(strstr(shown, "berth_append_seconds_bucket{le=\"0.001\"} 4\n"));
    assert_non_null(strstr(shown, "berth_append_seconds_bucket{le=\"0.002\"} 5\n"));
    assert_non_null(strstr(shown, "berth_append_seconds_bucket{le=\"10\"} 6\n"));
    assert_non_null(strstr(shown, "berth_append_seconds_bucket{le=\"+Inf\"} 7\n"));
    assert_non_null(strstr(shown, "berth_append_seconds_sum 20.002102\n"));
    assert_non_null(strstr(shown, "berth_append_seconds_count 7\n"));
    assert_int_equal(bt_histogram_count(histogram), 7);
    bt_buf_release(&text);
    bt_metrics_free(metrics);
}

static double give(void *value) { return *(double *)value; }

static void everything__is_accepted_by_promtool(void **unused)
{
    static double depth = 3.5, absent = NAN;
    bt_metrics *metrics = bt_metrics_new();
    bt_counter_add(bt_metrics_counter(metrics, "berth_commands_total", "Commands by verdict,\nsecond line \\.", BT_LABELS({ "verdict", "a\"b\\c\nd\xc3\xa9" }, { "kind", "" })), 7);
    bt_gauge_set(bt_metrics_gauge(metrics, "berth_partitions", "Partitions owned.", BT_NO_LABELS), -4);
    bt_metrics_gauge_of(metrics, "berth_queue_depth", "Depth.", BT_LABELS({ "partition", "0" }), give, &depth);
    bt_metrics_gauge_of(metrics, "berth_queue_depth", "Depth.", BT_LABELS({ "partition", "1" }), give, &absent);
    bt_histogram_observe(bt_metrics_histogram(metrics, BT_HISTOGRAM_COUNT, "berth_batch_records", "Records.", BT_LABELS({ "a", "b" })), 100);
    bt_histogram_observe(bt_metrics_histogram(metrics, BT_HISTOGRAM_SECONDS, "berth_decide_seconds", "Deciding.", BT_NO_LABELS), 100);
    bt_buf text;
    const char *shown = exposed(metrics, &text);
    assert_non_null(strstr(shown, "berth_commands_total{verdict=\"a\\\"b\\\\c\\nd\xc3\xa9\",kind=\"\"} 7\n"));
    assert_non_null(strstr(shown, "berth_queue_depth{partition=\"0\"} 3.5\n"));
    assert_null(strstr(shown, "partition=\"1\""));
    assert_non_null(strstr(shown, "berth_partitions -4\n"));
    /* promtool comes with Debian's prometheus, which ./dev test installs. */
    FILE *checker = popen("promtool check metrics", "w");
    assert_non_null(checker);
    fputs(shown, checker);
    assert_int_equal(pclose(checker), 0);
    bt_buf_release(&text);
    bt_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter__raised_by_many_threads__loses_nothing),
        cmocka_unit_test(same_name_and_labels__give_the_same_handle),
        cmocka_unit_test(histogram__of_latencies__is_cumulative_and_in_seconds),
        cmocka_unit_test(everything__is_accepted_by_promtool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
