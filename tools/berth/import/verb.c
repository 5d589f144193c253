/* verb - `berth import gtfs FEED`: the call of import.h as a command. */
#include "tools/berth/cli.h"
#include "tools/berth/import/import.h"

#include <stdio.h>

typedef struct gtfs_options {
    cli_common common;
    const char *api, *seats, *date, *as_of;
    int64_t days, concurrency;
} gtfs_options;

#define AT(field) offsetof(gtfs_options, field)

static const bt_setting SETTINGS[] = {
    { "api.url", BT_SETTING_STR, AT(api), "http://127.0.0.1:18080", "where commands are taken: the gateway, or berth-commands itself" },
    { "seats", BT_SETTING_STR, AT(seats), "A:standard:10x2+2", "each trip's sections: NAME:CLASS:ROWSxLEFT+RIGHT, or NAME:CLASS:CAPACITY for places without numbers; commas between" },
    { "date", BT_SETTING_STR, AT(date), "", "first day of the feed to take, YYYY-MM-DD; empty: its first with trips" },
    { "as_of", BT_SETTING_STR, AT(as_of), "", "the days are moved to begin on the day after this one; empty: today" },
    { "days", BT_SETTING_I64, AT(days), "1", "how many days", .min = 1, .max = 3660 },
    { "concurrency", BT_SETTING_I64, AT(concurrency), "16", "requests under way at once", .min = 1, .max = 64 },
};

static const char *text_or_null(const char *text) { return *text == 0 ? NULL : text; }

static void print_text(const import_result *result)
{
    printf("%lld trips opened, %lld were there already, %lld failed, %lld left out, in %.1f s\n", (long long)result->trips_opened,
        (long long)result->trips_there_already, (long long)result->trips_failed, (long long)result->trips_skipped, result->seconds);
    if (result->trips_failed > 0)
        fprintf(stderr, "berth: the first that failed: %s\n", result->first_failure);
    for (int32_t i = 0; i < result->told_count; i++)
        fprintf(stderr, "berth: left out: %s: %s\n", result->told[i].trip, result->told[i].reason);
    if (result->told_of > result->told_count)
        fprintf(stderr, "berth: left out: %d more trips of the feed\n", result->told_of - result->told_count);
    if (result->stray_count > 0)
        fprintf(stderr, "berth: %d rows of stop_times.txt, the first in line %lld, name no trip of trips.txt\n", result->stray_count, (long long)result->stray_line);
}

static void print_json(const import_result *result)
{
    bt_buf out;
    bt_buf_init(&out, 65536);
    bt_json_open(&out, NULL, '{');
    bt_json_i64(&out, "trips_opened", result->trips_opened);
    bt_json_i64(&out, "trips_there_already", result->trips_there_already);
    bt_json_i64(&out, "trips_failed", result->trips_failed);
    bt_json_i64(&out, "trips_skipped", result->trips_skipped);
    bt_json_i64(&out, "repeats", result->repeats);
    bt_json_double(&out, "seconds", result->seconds);
    bt_json_str(&out, "first_failure", bt_str_of(result->first_failure));
    bt_json_open(&out, "left_out", '[');
    for (int32_t i = 0; i < result->told_count; i++) {
        bt_json_open(&out, NULL, '{');
        bt_json_str(&out, "trip", bt_str_of(result->told[i].trip));
        bt_json_str(&out, "reason", bt_str_of(result->told[i].reason));
        bt_json_close(&out, '}');
    }
    bt_json_close(&out, ']');
    bt_json_i64(&out, "left_out_not_told", result->told_of - result->told_count);
    bt_json_i64(&out, "stray_rows", result->stray_count);
    bt_json_close(&out, '}');
    printf("%.*s\n", BT_STR_ARG(bt_buf_view(&out)));
    bt_buf_release(&out);
}

static int run_gtfs(const cli_call *call)
{
    const gtfs_options *from = call->options;
    import_options options = { .feed = call->arguments[0], .api = from->api, .seats = from->seats, .date = text_or_null(from->date), .as_of = text_or_null(from->as_of),
        .days = (int32_t)from->days, .concurrency = (int32_t)from->concurrency, .progress = call->progress };
    import_result result = { .first_failure = "" };
    bt_err err;
    if (!import_gtfs(&options, &result, &err))
        return cli_fail(&err);
    if (from->common.json)
        print_json(&result);
    else
        print_text(&result);
    if (result.given_up)
        return CLI_TROUBLE;
    return result.trips_failed > 0 || result.trips_skipped > 0 ? CLI_FOUND : CLI_OK;
}

const cli_verb import_gtfs_verb = {
    .group = "import",
    .name = "gtfs",
    .words = "FEED",
    .about = "open the trips of a timetable (GTFS, a zip or a folder) by commands",
    .help = "Each trip of each day is one POST /v1/trips under a key made of its id and day: an import that broke off is run again, and\n"
            "makes nothing twice. The feed's days are moved, weekday by weekday as they stand, to begin on the day after --as-of.\n\n"
            "  berth import gtfs feed.zip                                            one day, tomorrow\n"
            "  berth import gtfs feed.zip --date 2026-11-23 --days 7 --seats 'A:standard:20x2+2,S:standing:30'\n\n"
            "A trip that cannot be sold as the feed has it is left out, and told of with its id, the line and what to do; the others are opened.\n\n"
            "Exit status 0: every trip is open; 1: some were left out, or were not taken (the first is told; run it again); 2: the feed or the call is wrong;\n"
            "3: nobody answered, and the import gave up.\n",
    .word_count = 1,
    .options_size = sizeof(gtfs_options),
    .settings = SETTINGS,
    .setting_count = BT_COUNT_OF(SETTINGS),
    .run = run_gtfs,
};
