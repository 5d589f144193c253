/* api - see the header. */
#include "io/http/api.h"

#include "schemas/api_paths.h"

static bool has(const bt_http_route *routes, size_t count, bt_http_method method, const char *pattern)
{
    for (size_t i = 0; i < count; i++)
        if (routes[i].method == method && strcmp(routes[i].pattern, pattern) == 0)
            return true;
    return false;
}

size_t bt_api_add_elsewhere(bt_http_route *routes, size_t count, size_t capacity)
{
    for (size_t i = 0; i < BT_COUNT_OF(api_paths); i++) {
        if (has(routes, count, api_paths[i].method, api_paths[i].pattern))
            continue;
        bt_assert(count < capacity);
        routes[count++] = (bt_http_route){ .method = api_paths[i].method, .pattern = api_paths[i].pattern };
    }
    return count;
}
