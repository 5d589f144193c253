/* Takes a Redis URL apart. */
#include "io/redis/internal.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

/* Percent-decodes into a zero-terminated text. False if it does not fit or is no such encoding. */
static bool decode(bt_str from, char *ret_text, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < from.size; i++) {
        char c = from.at[i];
        if (c == '%') {
            int high = i + 2 < from.size ? hex_digit(from.at[i + 1]) : -1;
            int low = i + 2 < from.size ? hex_digit(from.at[i + 2]) : -1;
            if (high < 0 || low < 0 || (high | low) == 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (size + 1 >= capacity)
            return false;
        ret_text[size++] = c;
    }
    ret_text[size] = 0;
    return true;
}

/* Cuts text at the first (or last) such character: what is before goes to ret_before, text becomes what is after. */
static bool cut(bt_str *text, char at, bool last, bt_str *ret_before)
{
    const char *found = text->size == 0 ? NULL : last ? memrchr(text->at, at, text->size) : memchr(text->at, at, text->size);
    if (!found)
        return false;
    *ret_before = (bt_str){ text->at, (size_t)(found - text->at) };
    *text = (bt_str){ found + 1, text->size - ret_before->size - 1 };
    return true;
}

static bool number(bt_str text, int max, int *ret_number)
{
    int value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || value > max)
            return false;
        value = value * 10 + (text.at[i] - '0');
    }
    *ret_number = value;
    return text.size > 0 && value <= max;
}

static bool begins_with(bt_str text, bt_str with) { return text.size >= with.size && memcmp(text.at, with.at, with.size) == 0; }

/* The one thing that may stand after a question mark: ssl_ca_certs=FILE, as redis-py calls it. */
static bool take_ca_file(bt_str query, bt_redis_url *url, bt_err *err)
{
    static const bt_str name = { "ssl_ca_certs=", 13 };
    if (!url->tls || !begins_with(query, name) || memchr(query.at, '&', query.size) != NULL)
        return bt_fail(err, BT_ERR_INPUT, 0, "redis.url: after ? only ssl_ca_certs=FILE may stand, and only with rediss://");
    return decode((bt_str){ query.at + name.size, query.size - name.size }, url->ca_file, sizeof url->ca_file) ||
           bt_fail(err, BT_ERR_INPUT, 0, "redis.url: ssl_ca_certs is too long or not percent-encoded");
}

bool bt_redis_url_parse(bt_str text, bt_redis_url *ret_url, bt_err *err)
{
    static const bt_str plain = { "redis://", 8 }, secured = { "rediss://", 9 };
    bt_redis_url url = { .port = 6379, .tls = begins_with(text, secured) };
    bt_str rest, secrets, user, host = { "", 0 };
    if (!url.tls && !begins_with(text, plain))
        return bt_fail(err, BT_ERR_INPUT, 0, "redis.url begins with redis://, or with rediss:// for TLS: redis://[[user]:password@]host[:port][/database]");
    size_t scheme_size = url.tls ? secured.size : plain.size;
    rest = (bt_str){ text.at + scheme_size, text.size - scheme_size };
    if (cut(&rest, '@', true, &secrets)) {
        if (!cut(&secrets, ':', false, &user))
            return bt_fail(err, BT_ERR_INPUT, 0, "redis.url: what comes before @ is user:password or :password");
        if (!decode(user, url.user, sizeof url.user) || !decode(secrets, url.password, sizeof url.password))
            return bt_fail(err, BT_ERR_INPUT, 0, "redis.url: user or password is too long or not percent-encoded");
    }
    bt_str query = rest;
    if (cut(&query, '?', false, &rest) && !take_ca_file(query, &url, err))
        return false;
    if (cut(&rest, '/', false, &host)) {
        if (rest.size > 0 && !number(rest, 65535, &url.database))
            return bt_fail(err, BT_ERR_INPUT, 0, "redis.url: the database after / is no number");
    } else {
        host = rest;
    }
    bt_str port = host;
    if (cut(&port, ':', true, &host) && !number(port, 65535, &url.port))
        return bt_fail(err, BT_ERR_INPUT, 0, "redis.url: the port is no number up to 65535");
    if (host.size == 0 || !decode(host, url.host, sizeof url.host))
        return bt_fail(err, BT_ERR_INPUT, 0, "redis.url: no host");
    *ret_url = url;
    return true;
}
