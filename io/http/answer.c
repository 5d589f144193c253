/* answer - renders status line, headers and body into one buffer, because each separate write costs a system call and, with Nagle's
 * algorithm, 40 ms. */
#include "io/http/front.h"

#include "io/clock/clock.h"

#include <stdio.h>
#include <time.h>

const char *bt_status_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" }, { 301, "Moved Permanently" }, { 303, "See Other" },
        { 304, "Not Modified" }, { 307, "Temporary Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
        { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 406, "Not Acceptable" }, { 408, "Request Timeout" }, { 409, "Conflict" },
        { 410, "Gone" }, { 411, "Length Required" }, { 412, "Precondition Failed" }, { 413, "Content Too Large" }, { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" }, { 422, "Unprocessable Content" }, { 428, "Precondition Required" }, { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
        { 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < BT_COUNT_OF(phrases); i++) {
        if (phrases[i].status == status)
            return phrases[i].phrase;
    }
    return "Unknown";
}

/* IMF-fixdate; made once a second and thread. */
size_t bt_http_date(char ret_text[32])
{
    static _Thread_local time_t made_for = -1;
    static _Thread_local char made[32];
    static _Thread_local size_t size;
    time_t now = (time_t)(bt_clock_realtime_us() / 1000000);
    if (now != made_for) {
        static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
        static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
        struct tm utc;
        gmtime_r(&now, &utc);
        size = (size_t)snprintf(made, sizeof made, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[utc.tm_wday], utc.tm_mday % 100, months[utc.tm_mon],
            (utc.tm_year + 1900) % 10000, utc.tm_hour, utc.tm_min, utc.tm_sec);
        made_for = now;
    }
    memcpy(ret_text, made, sizeof made);
    return size;
}

static void write_header(bt_buf *out, bt_str name, bt_str value)
{
    for (size_t i = 0; i < value.size; i++)
        bt_assert((unsigned char)value.at[i] >= 0x20 && value.at[i] != 0x7f);
    bt_buf_str(out, name);
    bt_buf_write(out, ": ", 2);
    bt_buf_str(out, value);
    bt_buf_write(out, "\r\n", 2);
}

static void write_status_line(bt_buf *out, int status)
{
    bt_buf_text(out, "HTTP/1.1 ");
    bt_buf_i64(out, status);
    bt_buf_byte(out, ' ');
    bt_buf_text(out, bt_status_phrase(status));
    char date[32];
    size_t date_size = bt_http_date(date);
    bt_buf_text(out, "\r\nDate: ");
    bt_buf_write(out, date, date_size);
    bt_buf_write(out, "\r\n", 2);
}

static void write_connection(bt_exchange *exchange, const bt_http_response *response)
{
    if (response->close || atomic_load_explicit(&exchange->server->draining, memory_order_relaxed))
        exchange->keep_alive = false;
    if (!exchange->keep_alive)
        bt_buf_text(&exchange->out, "Connection: close\r\n");
    else if (exchange->http_1_0)
        bt_buf_text(&exchange->out, "Connection: keep-alive\r\n");
}

void bt_answer_render(bt_exchange *exchange, const bt_http_response *response)
{
    bt_buf *out = &exchange->out;
    int status = response->status;
    bt_assert(status >= 200 && status <= 599);
    bt_buf_reset(out);
    write_status_line(out, status);
    bool may_have_body = status != 204 && status != 304;
    if (may_have_body && (response->body.size > 0 || response->content_type != NULL))
        write_header(out, BT_STR("Content-Type"), bt_str_of(response->content_type != NULL ? response->content_type : "application/json"));
    if (may_have_body) {
        bt_buf_text(out, "Content-Length: ");
        bt_buf_i64(out, (int64_t)response->body.size);
        bt_buf_write(out, "\r\n", 2);
    }
    if (exchange->request.correlation.size > 0)
        write_header(out, BT_STR("X-Request-Id"), exchange->request.correlation);
    for (size_t i = 0; i < response->header_count; i++)
        write_header(out, response->headers[i].name, response->headers[i].value);
    write_connection(exchange, response);
    bt_buf_write(out, "\r\n", 2);
    if (may_have_body && !exchange->request.is_head)
        bt_buf_str(out, response->body);
    bt_assert(!out->overflow);
}
