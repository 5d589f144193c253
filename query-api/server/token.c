/* token - see token.h; strict, because a token that is half understood would wait for the wrong thing. */
#include "query-api/server/token.h"

#include <stdio.h>

static bool malformed(bt_str one, bt_err *err)
{
    return bt_fail(err, BT_ERR_INPUT, 0, "\"" BT_STR_FMT "\" is no position; one looks like trip/3@1042-1a2b3c4d, as Berth-Position gave it", (int)(one.size > 80 ? 80 : one.size), one.at);
}

/* Digits up to limit, without sign or leading zeroes; advances. */
static bool take_number(bt_str *at, int64_t limit, int64_t *ret_value)
{
    int64_t value = 0;
    size_t digits = 0;
    while (digits < at->size && at->at[digits] >= '0' && at->at[digits] <= '9') {
        int digit = at->at[digits] - '0';
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
        digits++;
    }
    if (digits == 0 || (digits > 1 && at->at[0] == '0'))
        return false;
    *at = (bt_str){ at->at + digits, at->size - digits };
    *ret_value = value;
    return true;
}

static bool take_byte(bt_str *at, char byte)
{
    if (at->size == 0 || at->at[0] != byte)
        return false;
    *at = (bt_str){ at->at + 1, at->size - 1 };
    return true;
}

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

static bool token_parse(bt_str text, qa_token *ret_token)
{
    const char *slash = text.size == 0 ? NULL : memchr(text.at, '/', text.size);
    if (slash == NULL)
        return false;
    qa_token token = { .kind = { text.at, (size_t)(slash - text.at) } };
    bt_str rest = { slash + 1, text.size - token.kind.size - 1 };
    int64_t partition;
    if (!bt_name_is_valid(token.kind) || !take_number(&rest, QA_PARTITIONS_MAX - 1, &partition) || !take_byte(&rest, '@') ||
        !take_number(&rest, INT64_MAX - 1, &token.offset) || !take_byte(&rest, '-') || rest.size != 2 * QA_TOKEN_ID_SIZE)
        return false;
    for (size_t i = 0; i < QA_TOKEN_ID_SIZE; i++) {
        int high = hex_digit(rest.at[2 * i]), low = hex_digit(rest.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        token.id[i] = (uint8_t)(high << 4 | low);
    }
    token.partition = (int32_t)partition;
    *ret_token = token;
    return true;
}

static bt_str trimmed(bt_str text)
{
    while (text.size > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = (bt_str){ text.at + 1, text.size - 1 };
    while (text.size > 0 && (text.at[text.size - 1] == ' ' || text.at[text.size - 1] == '\t'))
        text.size--;
    return text;
}

bool qa_tokens_parse(bt_str text, qa_token ret_tokens[QA_TOKENS_MAX], size_t *ret_count, bt_err *err)
{
    size_t count = 0;
    for (bool more = true; more;) {
        const char *comma = text.size == 0 ? NULL : memchr(text.at, ',', text.size);
        more = comma != NULL;
        bt_str one = trimmed((bt_str){ text.at, more ? (size_t)(comma - text.at) : text.size });
        if (count == QA_TOKENS_MAX)
            return bt_fail(err, BT_ERR_INPUT, 0, "more than %d positions", QA_TOKENS_MAX);
        if (!token_parse(one, &ret_tokens[count]))
            return malformed(one, err);
        count++;
        if (more)
            text = (bt_str){ comma + 1, text.size - (size_t)(comma + 1 - text.at) };
    }
    *ret_count = count;
    return true;
}

bt_str qa_tokens_pick(bt_str tokens, int32_t partition)
{
    char begin[16];
    size_t begin_size = (size_t)snprintf(begin, sizeof begin, "/%d@", partition), count = 0;
    for (size_t from = 0; from < tokens.size; count++) {
        const char *comma = memchr(tokens.at + from, ',', tokens.size - from);
        bt_str one = { tokens.at + from, comma == NULL ? tokens.size - from : (size_t)(comma - tokens.at) - from };
        if (memmem(one.at, one.size, begin, begin_size) != NULL)
            return one;
        from += one.size + 1;
    }
    return partition < 0 && count <= QA_TOKENS_MAX ? tokens : BT_STR("");
}

size_t qa_token_write(bt_str kind, int32_t partition, int64_t offset, bt_id id, char ret_text[QA_TOKEN_TEXT_MAX])
{
    int size = snprintf(ret_text, QA_TOKEN_TEXT_MAX, BT_STR_FMT "/%d@%lld-%02x%02x%02x%02x", BT_STR_ARG(kind), partition, (long long)offset, id.at[0], id.at[1],
        id.at[2], id.at[3]);
    bt_assert(size > 0 && size < QA_TOKEN_TEXT_MAX);
    return (size_t)size;
}
