/* client - one exchange at a time, waited for. */
#include "io/http/client.h"

#include "io/http/exchange.h"

#include <strings.h>

struct bt_http_client {
    bt_http_exchange exchange;
    char *base_url;
    bt_http_client_options options;
};

bool bt_http_client_new(const bt_http_client_options *options, bt_http_client **ret_client, bt_err *err)
{
    bt_http_client *client = bt_alloc(sizeof *client);
    client->options = *options;
    if (client->options.connect_timeout_ms <= 0)
        client->options.connect_timeout_ms = 2000;
    if (client->options.timeout_ms <= 0)
        client->options.timeout_ms = 30000;
    if (client->options.answer_max == 0)
        client->options.answer_max = (size_t)16 << 20;
    if (!bt_http_exchange_init(&client->exchange, client->options.answer_max, err)) {
        bt_release(client);
        return false;
    }
    size_t size = strlen(options->base_url) + 1;
    client->base_url = memcpy(bt_alloc(size), options->base_url, size);
    *ret_client = client;
    return true;
}

void bt_http_client_free(bt_http_client *client)
{
    if (client == NULL)
        return;
    bt_http_exchange_release(&client->exchange);
    bt_release(client->base_url);
    bt_release(client);
}

bool bt_http_client_call(bt_http_client *client, const bt_http_call *call, bt_arena *arena, bt_http_answer *ret_answer, bt_err *err)
{
    bt_http_exchange *exchange = &client->exchange;
    if (!bt_http_exchange_set(exchange, client->base_url, call, client->options.connect_timeout_ms, client->options.timeout_ms, arena, err))
        return false;
    return bt_http_exchange_take(exchange, curl_easy_perform(exchange->curl), client->base_url, arena, ret_answer, err);
}

bool bt_http_answer_header(const bt_http_answer *answer, const char *name, bt_str *ret_value)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < answer->header_count; i++) {
        if (answer->headers[i].name.size == size && strncasecmp(answer->headers[i].name.at, name, size) == 0) {
            *ret_value = answer->headers[i].value;
            return true;
        }
    }
    return false;
}
