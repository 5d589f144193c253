/* command - `berth import gtfs`. */
#include "core/buf.h"
#include "tools/berth/command.h"
#include "tools/berth/import/import.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] = "  berth import gtfs FEED --seats A:standard:10x2+2\n\n"
                            "Opens the trips of a GTFS feed (a zip or a folder) for sale, by commands to a running system. By default the feed's first\n"
                            "day is moved to tomorrow. It can be run again: each trip has a key of its own, and is opened once.\n\n"
                            "  --date D          first day of the feed to take, as 2014-06-02 (the feed's first)\n"
                            "  --days N          how many days, one after the other (1)\n"
                            "  --as-of TODAY     the first day is moved to the day after this one (today)\n"
                            "  --seats LAYOUT    sections, separated by commas: NAME:CLASS:ROWSxLEFT+RIGHT, or NAME:CLASS:PLACES for\n"
                            "                    places without numbers (A:standard:10x2+2)\n"
                            "  --api URL         where commands are taken (BERTH_API_URL, else http://127.0.0.1:18080)\n"
                            "  --concurrency N   requests under way at once (16)\n"
                            "  --json            the result as one JSON object\n";

extern const berth_command berth_import_gtfs;

static void print_json(const import_result *result)
{
    bt_buf out;
    bt_buf_init(&out, 1 << 16);
    bt_json_open(&out, NULL, '{');
    bt_json_i64(&out, "trips_opened", result->trips_opened);
    bt_json_i64(&out, "trips_there_already", result->trips_there_already);
    bt_json_i64(&out, "trips_failed", result->trips_failed);
    bt_json_i64(&out, "trips_skipped", result->trips_skipped);
    bt_json_i64(&out, "repeats", result->repeats);
    bt_json_double(&out, "seconds", result->seconds);
    if (result->first_failure[0] != '\0')
        bt_json_str(&out, "first_failure", bt_str_of(result->first_failure));
    bt_json_close(&out, '}');
    printf("%.*s\n", (int)out.size, (char *)out.at);
    bt_buf_release(&out);
}

static int report(const import_options *options, const import_result *result)
{
    if (options->json) {
        print_json(result);
    } else {
        printf("%lld trips opened, %lld were there already, in %.1f s", (long long)result->trips_opened, (long long)result->trips_there_already, result->seconds);
        if (result->trips_skipped > 0)
            printf("; %lld of the feed cannot be sold (too few or too many stops, or no times)", (long long)result->trips_skipped);
        printf("\n");
    }
    if (result->trips_failed == 0)
        return BERTH_EXIT_OK;
    fprintf(stderr, "berth: %lld trips were not opened; the first: %s\n", (long long)result->trips_failed, result->first_failure);
    return BERTH_EXIT_WRONG;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = { { "date", required_argument, NULL, 'd' }, { "days", required_argument, NULL, 'n' }, { "as-of", required_argument, NULL, 't' },
        { "seats", required_argument, NULL, 's' }, { "api", required_argument, NULL, 'a' }, { "concurrency", required_argument, NULL, 'c' }, BERTH_COMMON_OPTIONS, { 0 } };
    const char *api = getenv("BERTH_API_URL");
    import_options import = { .api = api != NULL && api[0] != '\0' ? api : "http://127.0.0.1:18080", .seats = "A:standard:10x2+2", .days = 1, .concurrency = 16, .progress = isatty(2) };
    berth_common common;
    berth_common_init(&common);
    bool wrong = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'd': import.date = optarg; break;
        case 'n': import.days = (int32_t)berth_number("days", optarg, 1, 1000); break;
        case 't': import.as_of = optarg; break;
        case 's': import.seats = optarg; break;
        case 'a': import.api = optarg; break;
        case 'c': import.concurrency = (int32_t)berth_number("concurrency", optarg, 1, 64); break;
        default: wrong = !berth_common_take(&common, option, optarg) || wrong;
        }
    }
    import.json = common.json;
    bool help = common.asked_for_help;
    berth_common_release(&common);
    if (help)
        return berth_show_usage(&berth_import_gtfs);
    if (wrong || optind + 1 != argc)
        return berth_misused(&berth_import_gtfs, "one FEED is needed");
    import.feed = argv[optind];
    import_result result;
    bt_err err = { 0 };
    if (!import_gtfs(&import, &result, &err))
        return berth_fail(&err);
    return report(&import, &result);
}

const berth_command berth_import_gtfs = { "import", "gtfs", "put the trips of a GTFS timetable on sale", usage, run };
