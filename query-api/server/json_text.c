/* json_text - one scan over the bytes: a string ends at the next unescaped quote, a value at its matching bracket. */
#include "query-api/server/json_text.h"

static bt_str skip(bt_str text, size_t count) { return (bt_str){ text.at + count, text.size - count }; }

static bt_str without_blanks(bt_str text)
{
    while (text.size > 0 && (text.at[0] == ' ' || text.at[0] == '\n' || text.at[0] == '\t' || text.at[0] == '\r'))
        text = skip(text, 1);
    return text;
}

/* Length of the string that text begins with, quotes included; 0 if it does not end. */
static size_t string_size(bt_str text)
{
    for (size_t i = 1; i < text.size; i++) {
        if (text.at[i] == '\\')
            i++;
        else if (text.at[i] == '"')
            return i + 1;
    }
    return 0;
}

/* Length of the value that text begins with; 0 if it does not end. */
static size_t value_size(bt_str text)
{
    if (text.size > 0 && text.at[0] == '"')
        return string_size(text);
    size_t depth = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];
        if (c == '"') {
            size_t size = string_size(skip(text, i));
            if (size == 0)
                return 0;
            i += size - 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return i; /* a number or word that the parent's bracket ends */
            if (--depth == 0)
                return i + 1;
        } else if (depth == 0 && (c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
            return i;
        }
    }
    return depth == 0 ? text.size : 0;
}

qa_json_walk qa_json_begin(bt_str value)
{
    value = without_blanks(value);
    if (value.size == 0 || (value.at[0] != '{' && value.at[0] != '['))
        return (qa_json_walk){ .rest = { NULL, 0 } };
    return (qa_json_walk){ .rest = skip(value, 1), .in_object = value.at[0] == '{' };
}

bool qa_json_next(qa_json_walk *walk, bt_str *ret_key, bt_str *ret_value)
{
    bt_str rest = without_blanks(walk->rest), key = BT_STR("");
    if (rest.size > 0 && rest.at[0] == ',')
        rest = without_blanks(skip(rest, 1));
    if (walk->in_object) {
        size_t size = rest.size > 0 && rest.at[0] == '"' ? string_size(rest) : 0;
        if (size == 0)
            return false;
        key = (bt_str){ rest.at + 1, size - 2 };
        rest = without_blanks(skip(rest, size));
        if (rest.size == 0 || rest.at[0] != ':')
            return false;
        rest = without_blanks(skip(rest, 1));
    }
    size_t size = value_size(rest);
    if (size == 0)
        return false;
    *ret_key = key;
    *ret_value = (bt_str){ rest.at, size };
    walk->rest = skip(rest, size);
    return true;
}

bool qa_json_member(bt_str object, const char *name, bt_str *ret_value)
{
    qa_json_walk walk = qa_json_begin(object);
    for (bt_str key, value; walk.in_object && qa_json_next(&walk, &key, &value);)
        if (bt_str_is(key, name)) {
            *ret_value = value;
            return true;
        }
    return false;
}

int64_t qa_json_number(bt_str value, int64_t fallback)
{
    bool negative = value.size > 0 && value.at[0] == '-';
    size_t first = negative ? 1 : 0;
    if (value.size == first || value.size - first > 18)
        return fallback;
    int64_t number = 0;
    for (size_t i = first; i < value.size; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return fallback;
        number = number * 10 + (value.at[i] - '0');
    }
    return negative ? -number : number;
}

bt_str qa_json_inside(bt_str value)
{
    return value.size >= 2 && value.at[0] == '"' ? (bt_str){ value.at + 1, value.size - 2 } : BT_STR("");
}
