/* parameters - a read's query parameters against its route's table. What fits no table is refused with its name: an ignored typo would
 * answer another question than the one that was asked. */
#include "core/utf8.h"
#include "query-api/server/server.h"

static int parameter_index(const qa_route *route, bt_str name)
{
    for (size_t i = 0; i < route->parameter_count; i++)
        if (bt_str_is(name, route->parameters[i].name))
            return (int)i;
    return -1;
}

/* YYYY-MM-DD of a day that exists, from the year 1 on. */
static bool date_parse(bt_str text, int64_t *ret_days)
{
    char with_time[] = "0000-00-00T00:00:00Z";
    int64_t time_us;
    if (text.size != 10)
        return false;
    memcpy(with_time, text.at, 10);
    if (!bt_time_from_text((bt_str){ with_time, sizeof with_time - 1 }, &time_us))
        return false;
    *ret_days = time_us / INT64_C(86400000000); /* a midnight: exact */
    return text.at[0] != '0' || memcmp(text.at, "0000", 4) != 0;
}

static bool limit_parse(bt_str text, int64_t max, int64_t *ret_limit)
{
    int64_t limit = 0;
    if (text.size == 0 || text.size > 9)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        limit = limit * 10 + (text.at[i] - '0');
    }
    *ret_limit = limit;
    return limit >= 1 && limit <= max;
}

/* Up to max characters, not bytes: that is what maxLength of the document counts. */
static bool is_text(bt_str text, int64_t max)
{
    int64_t characters = 0;
    if (!bt_utf8_is_valid(text.at, text.size))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if ((uint8_t)text.at[i] < 0x20 || text.at[i] == 0x7f)
            return false;
        characters += ((uint8_t)text.at[i] & 0xc0) != 0x80;
    }
    return characters >= 1 && characters <= max;
}

static bool check_value(qa_call *call, size_t index)
{
    const qa_parameter *parameter = &call->route->parameters[index];
    bt_str value = call->values[index];
    switch (parameter->kind) {
    case QA_PARAMETER_TEXT:
        if (is_text(value, parameter->max))
            return true;
        qa_refuse(call, &bt_problem_bad_value, parameter->name, "%s must be 1 to %d characters of UTF-8, none of them a control character", parameter->name, (int)parameter->max);
        return false;
    case QA_PARAMETER_DATE:
        if (date_parse(value, &call->numbers[index]))
            return true;
        qa_refuse(call, &bt_problem_bad_value, parameter->name, "%s must be a day that exists, as 2026-11-22", parameter->name);
        return false;
    case QA_PARAMETER_LIMIT:
        if (limit_parse(value, parameter->max, &call->numbers[index]))
            return true;
        qa_refuse(call, &bt_problem_bad_value, parameter->name, "%s must be a whole number from 1 to %d", parameter->name, (int)parameter->max);
        return false;
    case QA_PARAMETER_CURSOR:
        if (value.size > 0)
            return true;
        qa_refuse(call, &qa_problem_bad_parameter, parameter->name, "%s is empty; leave it out for the first page", parameter->name);
        return false;
    }
    return false;
}

bool qa_check_parameters(qa_call *call)
{
    const bt_http_request *http = call->http;
    for (size_t i = 0; i < http->query_count; i++) {
        int index = parameter_index(call->route, http->query[i].name);
        if (index < 0 && call->route->takes_any_parameter)
            continue;
        if (index < 0 || call->has[index]) {
            bt_str name = http->query[i].name;
            name.size = name.size > 80 ? 80 : name.size;
            qa_refuse(call, &qa_problem_bad_parameter, "", "the parameter \"" BT_STR_FMT "\" %s", BT_STR_ARG(name), index < 0 ? "is not one of this path" : "is repeated");
            return false;
        }
        call->has[index] = true;
        call->values[index] = http->query[i].value;
    }
    for (size_t i = 0; i < call->route->parameter_count; i++) {
        const qa_parameter *parameter = &call->route->parameters[i];
        if (!call->has[i] && parameter->required) {
            qa_refuse(call, &qa_problem_bad_parameter, parameter->name, "%s is missing", parameter->name);
            return false;
        }
        if (!call->has[i] && parameter->kind == QA_PARAMETER_LIMIT)
            call->numbers[i] = QA_LIMIT_DEFAULT;
        if (call->has[i] && !check_value(call, i))
            return false;
    }
    return true;
}
