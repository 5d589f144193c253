/* target - the request's path and query as handlers see them: split before decoding, so that an encoded slash cuts nothing, and decoded
 * once. What does not decode to printable UTF-8 is refused here, so that no handler meets a zero byte or half a character. */
#include "io/http/front.h"

#include "core/utf8.h"

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool bt_percent_decode(bt_arena *arena, bt_str text, bool plus_is_space, bt_str *ret_decoded)
{
    char *to = bt_arena_try_take(arena, text.size + 1);
    size_t size = 0;
    if (to == NULL)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];
        if (c == '%') {
            int high = i + 2 < text.size ? hex_of(text.at[i + 1]) : -1, low = i + 2 < text.size ? hex_of(text.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return false;
        to[size++] = c;
    }
    if (!bt_utf8_is_valid(to, size))
        return false;
    *ret_decoded = (bt_str){ to, size };
    return true;
}

static bool split_query(bt_exchange *exchange)
{
    bt_http_request *request = &exchange->request;
    bt_str left = request->query_text;
    while (left.size > 0) {
        const char *end = memchr(left.at, '&', left.size);
        bt_str piece = { left.at, end == NULL ? left.size : (size_t)(end - left.at) };
        size_t taken = piece.size + (end != NULL);
        left = (bt_str){ left.at + taken, left.size - taken };
        if (piece.size == 0)
            continue;
        if (request->query_count == BT_HTTP_QUERY_MAX)
            return false;
        const char *equals = memchr(piece.at, '=', piece.size);
        bt_str name = { piece.at, equals == NULL ? piece.size : (size_t)(equals - piece.at) };
        bt_str value = { equals == NULL ? "" : equals + 1, equals == NULL ? 0 : piece.size - name.size - 1 };
        bt_http_pair *pair = &request->query[request->query_count++];
        if (!bt_percent_decode(&exchange->arena, name, true, &pair->name) || !bt_percent_decode(&exchange->arena, value, true, &pair->value))
            return false;
    }
    return true;
}

/* "http://host/path" is allowed in a request line; the host in it is not ours to judge. */
static bt_str without_origin(bt_str target)
{
    if (target.size < 8 || (memcmp(target.at, "http://", 7) != 0 && memcmp(target.at, "https:/", 7) != 0))
        return target;
    size_t at = target.at[4] == 's' ? 8 : 7;
    while (at < target.size && target.at[at] != '/' && target.at[at] != '?')
        at++;
    return at < target.size && target.at[at] == '/' ? (bt_str){ target.at + at, target.size - at } : BT_STR("/");
}

bool bt_target_split(bt_exchange *exchange, bt_str target)
{
    target = without_origin(target);
    for (size_t i = 0; i < target.size; i++) {
        if ((unsigned char)target.at[i] <= 0x20 || (unsigned char)target.at[i] >= 0x7f || target.at[i] == '#')
            return false;
    }
    if (target.size == 0 || target.at[0] != '/')
        return false;
    const char *mark = memchr(target.at, '?', target.size);
    exchange->request.path = (bt_str){ target.at, mark == NULL ? target.size : (size_t)(mark - target.at) };
    if (mark != NULL)
        exchange->request.query_text = (bt_str){ mark + 1, target.size - exchange->request.path.size - 1 };
    return split_query(exchange);
}

static bool is_parameter(bt_str segment) { return segment.size > 2 && segment.at[0] == '{'; }

/* Splits after each slash; the first one is taken as given. Returns BT_FRONT_SEGMENTS_MAX + 1 when there are too many. */
static size_t split_path(bt_str path, bt_str ret_segments[BT_FRONT_SEGMENTS_MAX])
{
    size_t count = 0, from = 1;
    for (size_t i = 1; i <= path.size; i++) {
        if (i < path.size && path.at[i] != '/')
            continue;
        if (count == BT_FRONT_SEGMENTS_MAX)
            return BT_FRONT_SEGMENTS_MAX + 1;
        ret_segments[count++] = (bt_str){ path.at + from, i - from };
        from = i + 1;
    }
    return count;
}

bool bt_routes_compile(bt_http_server *server, bt_err *err)
{
    if (server->options.route_count > BT_HTTP_ROUTES_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "%zu routes are more than %d", server->options.route_count, BT_HTTP_ROUTES_MAX);
    for (size_t i = 0; i < server->options.route_count; i++) {
        const bt_http_route *route = &server->options.routes[i];
        bt_front_route *compiled = &server->routes[i];
        compiled->segment_count = split_path(bt_str_of(route->pattern), compiled->segments);
        size_t parameters = 0;
        for (size_t j = 0; j < compiled->segment_count && j < BT_FRONT_SEGMENTS_MAX; j++)
            parameters += is_parameter(compiled->segments[j]);
        if (route->pattern[0] != '/' || compiled->segment_count > BT_FRONT_SEGMENTS_MAX || parameters > BT_HTTP_PARAMS_MAX)
            return bt_fail(err, BT_ERR_INPUT, 0, "route \"%s\" does not begin with a slash, or has too many parts", route->pattern);
    }
    return true;
}

static bool matches(const bt_front_route *route, const bt_str *segments, size_t count)
{
    if (route->segment_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (is_parameter(route->segments[i]) ? segments[i].size == 0 : !bt_str_equal(route->segments[i], segments[i]))
            return false;
    }
    return true;
}

static void take_params(bt_http_request *request, const bt_front_route *route, const bt_str *segments)
{
    for (size_t i = 0; i < route->segment_count; i++) {
        if (is_parameter(route->segments[i])) {
            bt_str name = { route->segments[i].at + 1, route->segments[i].size - 2 };
            request->params[request->param_count++] = (bt_http_pair){ name, segments[i] };
        }
    }
}

const bt_http_route *bt_route_find(bt_exchange *exchange, bt_str method, unsigned *ret_allowed, bool *ret_malformed)
{
    bt_http_server *server = exchange->server;
    bt_str segments[BT_FRONT_SEGMENTS_MAX];
    size_t count = split_path(exchange->request.path, segments);
    *ret_allowed = 0;
    *ret_malformed = false;
    for (size_t i = 0; i < count && count <= BT_FRONT_SEGMENTS_MAX; i++) {
        if (memchr(segments[i].at, '%', segments[i].size) != NULL && !bt_percent_decode(&exchange->arena, segments[i], false, &segments[i])) {
            *ret_malformed = true;
            return NULL;
        }
    }
    exchange->request.is_head = bt_str_is(method, "HEAD");
    const char *wanted = exchange->request.is_head ? "GET" : NULL;
    for (size_t i = 0; i < server->options.route_count; i++) {
        const bt_http_route *route = &server->options.routes[i];
        if (!matches(&server->routes[i], segments, count))
            continue;
        const char *name = bt_http_method_name(route->method);
        bool is_asked = wanted != NULL ? strcmp(wanted, name) == 0 : bt_str_is(method, name);
        if (is_asked && route->handler != NULL) {
            take_params(&exchange->request, &server->routes[i], segments);
            return route;
        }
        *ret_allowed |= is_asked ? BT_FRONT_TAKEN_ELSEWHERE : 1U << route->method;
    }
    return NULL;
}
