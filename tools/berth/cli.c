/* cli - progress, errors and signals: what verbs share besides their flags. */
#include "tools/berth/cli.h"

#include "io/clock/clock.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define SHOW_EVERY_US 200000
#define BAR_WIDTH 24

static volatile sig_atomic_t stopped;

bool cli_is_stopped(void)
{
    return stopped != 0;
}

void cli_on_signal(int number);
void cli_on_signal(int number)
{
    stopped = number;
}

int cli_fail(const bt_err *err)
{
    fprintf(stderr, "berth: %s\n", err->message);
    switch (err->kind) {
    case BT_OK:
    case BT_ERR_RETRY:
    case BT_ERR_UNKNOWN:
    case BT_ERR_FATAL:
        return CLI_TROUBLE;
    case BT_ERR_INPUT:
        return CLI_USAGE;
    }
    return CLI_TROUBLE;
}

void cli_progress_start(cli_progress *progress, const cli_call *call, const char *label)
{
    *progress = (cli_progress){ .label = call->progress ? label : NULL, .started_us = bt_clock_monotonic_us() };
}

static void write_bar(char bar[BAR_WIDTH + 1], int64_t done, int64_t total)
{
    int full = total <= 0 || done >= total ? BAR_WIDTH : (int)(done * BAR_WIDTH / total);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)full);
    bar[BAR_WIDTH] = 0;
}

void cli_progress_show(cli_progress *progress, int64_t done, int64_t total)
{
    int64_t now_us = bt_clock_monotonic_us();
    if (progress->label == NULL || now_us - progress->shown_us < SHOW_EVERY_US)
        return;
    progress->shown_us = now_us;
    progress->shown = true;
    char bar[BAR_WIDTH + 1];
    write_bar(bar, done, total);
    double seconds = (double)(now_us - progress->started_us) / 1e6;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    fprintf(stderr, "\r%s [%s] %lld of %lld, %.0f/s, %.0f s left\033[K", progress->label, bar, (long long)done, (long long)total, rate,
        rate > 0 ? (double)(total - done) / rate : 0);
    fflush(stderr);
}

void cli_progress_end(cli_progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r\033[K");
    progress->shown = false;
}
