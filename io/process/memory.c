/* memory - /proc/self/statm against the limits of the operator, the control group and the resource limit. */
#include "io/process/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define SHORT_PERCENT 90
#define ENOUGH_PERCENT 85
#define TRIM_EVERY 20 /* looks: it walks through all that is free */

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* A file with one number; INT64_MAX when there is none, as in "max" of version 2. Version 1 says "no limit" by a huge number. */
static int64_t number_in(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long long number = 0;
    if (file == NULL)
        return INT64_MAX;
    int got = fscanf(file, "%llu", &number);
    fclose(file);
    return got == 1 && number > 0 && number < (unsigned long long)INT64_MAX ? (int64_t)number : INT64_MAX;
}

/* The group's own limit and, as a group may lie in a limited one that cannot be seen by its path from inside a container, the root's. */
static int64_t group_limit(void)
{
    static const char *const roots[] = { "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
    int64_t limit = smaller(number_in(roots[0]), number_in(roots[1]));
    char line[512], path[640];
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *controllers = strchr(line, ':'), *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (group == NULL)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (controllers[1] == '\0')
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        else if (strcmp(controllers + 1, "memory") == 0)
            snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", group);
        else
            continue;
        limit = smaller(limit, number_in(path));
    }
    if (file != NULL)
        fclose(file);
    return limit;
}

void bt_memory_watch_init(bt_memory_watch *watch, int64_t own_max)
{
    struct rlimit space;
    *watch = (bt_memory_watch){ .resident_max = smaller(own_max > 0 ? own_max : INT64_MAX, group_limit()), .virtual_max = INT64_MAX };
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur < (rlim_t)INT64_MAX)
        watch->virtual_max = (int64_t)space.rlim_cur;
}

static bool is_over(int64_t used, int64_t limit, int percent) { return limit != INT64_MAX && used >= limit / 100 * percent; }

bool bt_memory_watch_look(bt_memory_watch *watch)
{
    long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return false;
    int got = fscanf(file, "%lld %lld", &total, &resident);
    fclose(file);
    if (got != 2)
        return false;
    int64_t page = sysconf(_SC_PAGESIZE);
    watch->resident = resident * page;
    int percent = watch->is_short ? ENOUGH_PERCENT : SHORT_PERCENT;
    bool is_short = is_over(watch->resident, watch->resident_max, percent) || is_over(total * page, watch->virtual_max, percent);
    bool changed = is_short != watch->is_short;
    watch->is_short = is_short;
    watch->looks = changed ? 0 : watch->looks + 1;
    if (is_short && watch->looks % TRIM_EVERY == 0)
        malloc_trim(0);
    return changed;
}
