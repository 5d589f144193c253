/* feed - files in a folder under /tmp; one at a time. */
#include "tests/unit/tools/import/feed.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

const char *feed_path(void) { return folder; }

void feed_write(const char *file, const char *text)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
    assert_int_equal(fclose(out), 0);
}

void feed_begin(const char *zone)
{
    strcpy(folder, "/tmp/berth-feed-XXXXXX");
    assert_non_null(mkdtemp(folder));
    char agency[200];
    snprintf(agency, sizeof agency, "agency_name,agency_timezone\nTest,%s\n", zone);
    feed_write("agency.txt", agency);
    feed_write("stops.txt", "stop_id,stop_name\na,Alpha\nb,Beta\nc,Gamma\nd,Delta\ne,Epsilon\n");
    feed_write("routes.txt", "route_id,route_short_name,route_long_name\nr,12,Airport Line\n");
    feed_write("calendar.txt", "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\ns,1,1,1,1,1,1,1,20140601,20140630\n");
    feed_write("trips.txt", "route_id,service_id,trip_id,trip_headsign\nr,s,t,Harbour\n");
}

void feed_times(const char *rows)
{
    char text[16384];
    snprintf(text, sizeof text, "trip_id,stop_sequence,stop_id,arrival_time,departure_time,pickup_type,drop_off_type\n%s", rows);
    feed_write("stop_times.txt", text);
}

void feed_end(void)
{
    DIR *open = opendir(folder);
    if (open == NULL)
        return;
    char path[400];
    for (struct dirent *entry; (entry = readdir(open)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(open);
    rmdir(folder);
}

void feed_open(gtfs_feed *feed)
{
    bt_err err = { 0 };
    if (!gtfs_feed_open(feed, folder, &err))
        fail_msg("%s", err.message);
}

void feed_refused(const char *word)
{
    gtfs_feed feed;
    bt_err err = { 0 };
    if (gtfs_feed_open(&feed, folder, &err)) {
        gtfs_feed_release(&feed);
        fail_msg("taken, though expected to be refused for: %s", word);
    }
    gtfs_feed_release(&feed); /* may be called after a failure */
    assert_int_equal(err.kind, BT_ERR_INPUT);
    if (strstr(err.message, word) == NULL)
        fail_msg("'%s' is not in: %s", word, err.message);
}
