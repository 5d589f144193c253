/* rule - see the header. */
#include "tests/faults/proxy/rule.h"

#include <stdio.h>

static const char *const FAULT_NAMES[FAULT_COUNT] = {
    [FAULT_DELAY] = "delay", [FAULT_THROTTLE] = "throttle", [FAULT_SLICE] = "slice", [FAULT_RESET] = "reset", [FAULT_LOSE_ANSWER] = "lose_answer",
    [FAULT_DUPLICATE] = "duplicate", [FAULT_REORDER] = "reorder", [FAULT_STRAY] = "stray", [FAULT_REPLAY] = "replay", [FAULT_NAMELESS] = "nameless", [FAULT_BLACK_HOLE] = "black_hole",
};
static const char *const AFTERMATH_NAMES[AFTERMATH_COUNT] = { "close", "hang", "deliver", "drop" };

/* What each fault may be told besides whom it befalls, and where it acts when nothing is said. */
typedef struct fault_words {
    const char *const words[4];
    bool to_broker, to_client; /* the directions that it has when none is named */
    bool one_way;              /* and that no order can change */
} fault_words;
static const fault_words WORDS[FAULT_COUNT] = {
    [FAULT_DELAY] = { { "ms", "jitter_ms" }, true, true, false },
    [FAULT_THROTTLE] = { { "bytes_per_s" }, true, true, false },
    [FAULT_SLICE] = { { "gap_us", "slice_bytes" }, true, true, false },
    [FAULT_RESET] = { { NULL }, true, true, false },
    [FAULT_LOSE_ANSWER] = { { "then" }, false, true, true },
    [FAULT_DUPLICATE] = { { NULL }, true, false, false },
    [FAULT_REORDER] = { { "ms", "overtakers" }, true, false, false },
    [FAULT_STRAY] = { { "ms", "jitter_ms", "then", "anonymous" }, true, false, true },
    [FAULT_REPLAY] = { { "ms", "jitter_ms", "anonymous" }, true, false, true },
    [FAULT_NAMELESS] = { { NULL }, true, false, true },
    [FAULT_BLACK_HOLE] = { { "then" }, true, true, false },
};

const char *fault_name(fault_kind kind)
{
    return FAULT_NAMES[kind];
}

size_t name_number(names *known, bt_str name)
{
    if (name.size >= NAME_SIZE)
        name.size = NAME_SIZE - 1;
    for (size_t i = 0; i < known->count; i++) {
        if (bt_str_is(name, known->at[i]))
            return i;
    }
    if (known->count == NAMES_MAX - 1)
        name = BT_STR("(others)");
    if (known->count == NAMES_MAX)
        return NAMES_MAX - 1;
    snprintf(known->at[known->count], NAME_SIZE, BT_STR_FMT, BT_STR_ARG(name));
    return known->count++;
}

/* --- reading an order --- */

static bool each_name(const json_t *order, const char *word, bool (*take)(void *context, const char *name, bt_err *err), void *context, bt_err *err)
{
    json_t *value = json_object_get(order, word), *item;
    size_t i;
    if (json_is_string(value))
        return take(context, json_string_value(value), err);
    if (!json_is_array(value) || json_array_size(value) == 0)
        return bt_fail(err, BT_ERR_INPUT, 0, "%s is a name, or a list of at least one", word);
    json_array_foreach(value, i, item) {
        if (!json_is_string(item))
            return bt_fail(err, BT_ERR_INPUT, 0, "%s holds something that is no name", word);
        if (!take(context, json_string_value(item), err))
            return false;
    }
    return true;
}

static bool is_all(const json_t *order, const char *word)
{
    json_t *value = json_object_get(order, word);
    return value == NULL || (json_is_string(value) && strcmp(json_string_value(value), "*") == 0);
}

typedef struct mask_of {
    names *known;
    uint64_t mask;
} mask_of;

static bool take_mask(void *context, const char *name, bt_err *err)
{
    (void)err;
    mask_of *m = context;
    m->mask |= UINT64_C(1) << name_number(m->known, bt_str_of(name));
    return true;
}

bool mask_read(names *known, const json_t *order, const char *word, uint64_t *ret_mask, bt_err *err)
{
    mask_of m = { known, 0 };
    if (is_all(order, word))
        m.mask = UINT64_MAX;
    else if (!each_name(order, word, take_mask, &m, err))
        return false;
    *ret_mask = m.mask;
    return true;
}

static bool take_api(void *context, const char *name, bt_err *err)
{
    int api = api_of(name);
    if (api < 0)
        return bt_fail(err, BT_ERR_INPUT, 0, "apis: there is no %s; Produce, Fetch, Metadata ... or Api77", name);
    ((bool *)context)[api] = true;
    return true;
}

static bool read_apis(rule *r, const json_t *order, bt_err *err)
{
    if (r->kind == FAULT_STRAY || r->kind == FAULT_REPLAY || r->kind == FAULT_NAMELESS) { /* nothing else is written to a log */
        r->apis[API_PRODUCE] = true;
        return json_object_get(order, "apis") == NULL || (json_is_string(json_object_get(order, "apis")) && strcmp(json_string_value(json_object_get(order, "apis")), "Produce") == 0) ||
               bt_fail(err, BT_ERR_INPUT, 0, "%s is for Produce only: leave apis out", FAULT_NAMES[r->kind]);
    }
    if (!is_all(order, "apis"))
        return each_name(order, "apis", take_api, r->apis, err);
    for (int api = 0; api < API_COUNT; api++)
        r->apis[api] = true;
    return true;
}

static bool read_number(const json_t *order, const char *word, int64_t least, int64_t most, int64_t *number, bt_err *err)
{
    json_t *value = json_object_get(order, word);
    if (value == NULL)
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return bt_fail(err, BT_ERR_INPUT, 0, "%s is a whole number from %lld to %lld", word, (long long)least, (long long)most);
    *number = json_integer_value(value);
    return true;
}

static bool read_direction(rule *r, const json_t *order, bt_err *err)
{
    const fault_words *words = &WORDS[r->kind];
    r->directions[TO_BROKER] = words->to_broker;
    r->directions[TO_CLIENT] = words->to_client;
    json_t *value = json_object_get(order, "direction");
    if (value == NULL)
        return true;
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    if (words->one_way)
        return bt_fail(err, BT_ERR_INPUT, 0, "%s has one direction only: leave it out", FAULT_NAMES[r->kind]);
    bool both = strcmp(text, "both") == 0;
    r->directions[TO_BROKER] = both || strcmp(text, "to_broker") == 0;
    r->directions[TO_CLIENT] = both || strcmp(text, "to_client") == 0;
    return r->directions[TO_BROKER] || r->directions[TO_CLIENT] || bt_fail(err, BT_ERR_INPUT, 0, "direction is to_broker, to_client or both");
}

static bool read_then(rule *r, const json_t *order, bt_err *err)
{
    bool is_hole = r->kind == FAULT_BLACK_HOLE;
    r->then = is_hole ? THEN_DELIVER : THEN_CLOSE;
    const char *text = json_string_value(json_object_get(order, "then"));
    if (json_object_get(order, "then") == NULL)
        return true;
    for (int then = is_hole ? THEN_DELIVER : THEN_CLOSE; then <= (is_hole ? THEN_DROP : THEN_HANG); then++) {
        if (text != NULL && strcmp(text, AFTERMATH_NAMES[then]) == 0) {
            r->then = (aftermath)then;
            return true;
        }
    }
    return bt_fail(err, BT_ERR_INPUT, 0, "then is %s for %s", is_hole ? "deliver or drop" : "close or hang", FAULT_NAMES[r->kind]);
}

static bool is_word_of(fault_kind kind, const char *word)
{
    static const char *const ALWAYS[] = { "do", "fault", "clients", "brokers", "apis", "direction", "probability", "limit" };
    bool is_state = kind == FAULT_BLACK_HOLE || kind == FAULT_THROTTLE;
    for (size_t i = 0; i < BT_COUNT_OF(ALWAYS) - (is_state ? 2 : 0); i++) {
        if (strcmp(ALWAYS[i], word) == 0)
            return true;
    }
    for (size_t i = 0; i < BT_COUNT_OF(WORDS[kind].words) && WORDS[kind].words[i] != NULL; i++) {
        if (strcmp(WORDS[kind].words[i], word) == 0)
            return true;
    }
    return false;
}

static bool read_kind(rule *r, const json_t *order, bt_err *err)
{
    const char *text = json_string_value(json_object_get(order, "fault")), *word;
    json_t *value;
    int kind = 0;
    while (kind < FAULT_COUNT && (text == NULL || strcmp(text, FAULT_NAMES[kind]) != 0))
        kind++;
    if (kind == FAULT_COUNT)
        return bt_fail(err, BT_ERR_INPUT, 0, "there is no fault %s", text != NULL ? text : "without a name");
    r->kind = (fault_kind)kind;
    json_object_foreach((json_t *)order, word, value) {
        if (!is_word_of(r->kind, word))
            return bt_fail(err, BT_ERR_INPUT, 0, "%s does not take %s", text, word);
    }
    return true;
}

static bool read_numbers(rule *r, const json_t *order, bt_err *err)
{
    bool is_late = r->kind == FAULT_STRAY || r->kind == FAULT_REPLAY;
    json_t *probability = json_object_get(order, "probability"), *anonymous = json_object_get(order, "anonymous");
    r->probability = probability == NULL ? 1 : json_number_value(probability);
    if ((probability != NULL && !json_is_number(probability)) || !(r->probability > 0 && r->probability <= 1))
        return bt_fail(err, BT_ERR_INPUT, 0, "probability is a number over 0, up to 1");
    if (anonymous != NULL && !json_is_boolean(anonymous))
        return bt_fail(err, BT_ERR_INPUT, 0, "anonymous is true or false");
    r->anonymous = json_is_true(anonymous);
    return read_number(order, "ms", is_late ? LATE_UNTIL_TOLD : 0, RULE_MS_MAX, &r->ms, err) && read_number(order, "jitter_ms", 0, RULE_MS_MAX, &r->jitter_ms, err) &&
           read_number(order, "bytes_per_s", 1, INT32_MAX, &r->bytes_per_s, err) && read_number(order, "gap_us", 0, 1000000, &r->gap_us, err) &&
           read_number(order, "slice_bytes", 1, FRAME_BYTES_MAX, &r->slice_bytes, err) && read_number(order, "overtakers", 1, 1000, &r->overtakers, err) &&
           read_number(order, "limit", 1, INT64_MAX, &r->limit, err);
}

static bool rule_read(rule *r, rules *all, const json_t *order, bt_err *err)
{
    if (!read_kind(r, order, err))
        return false;
    r->ms = r->kind == FAULT_REORDER ? 1000 : 100;
    r->bytes_per_s = 65536;
    r->gap_us = 50;
    r->slice_bytes = 1024;
    r->overtakers = 1;
    r->limit = INT64_MAX;
    return read_numbers(r, order, err) && read_direction(r, order, err) && read_then(r, order, err) && read_apis(r, order, err) &&
           mask_read(&all->clients, order, "clients", &r->clients, err) && mask_read(&all->brokers, order, "brokers", &r->brokers, err);
}

rule *rule_add(rules *all, const json_t *order, bt_err *err)
{
    rule made = { .number = all->next_number + 1 };
    if (all->count == RULES_MAX) {
        bt_fail(err, BT_ERR_RETRY, 0, "%d rules are set already: clear some", RULES_MAX);
        return NULL;
    }
    if (!rule_read(&made, all, order, err))
        return NULL;
    all->next_number = made.number;
    made.random = bt_mix64(all->seed + (uint64_t)made.number * 0x9e3779b97f4a7c15ULL);
    all->at[all->count] = made;
    return &all->at[all->count++];
}

bool rule_remove(rules *all, int64_t number, rule *ret_removed)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->at[i].number == number) {
            *ret_removed = all->at[i];
            memmove(&all->at[i], &all->at[i + 1], (--all->count - i) * sizeof all->at[0]);
            return true;
        }
    }
    return false;
}

/* --- drawing and counting --- */

static uint64_t random_next(rule *r)
{
    r->random += 0x9e3779b97f4a7c15ULL;
    return bt_mix64(r->random);
}

int64_t rule_random_below(rule *r, int64_t limit)
{
    return limit <= 0 ? 0 : (int64_t)(random_next(r) % (uint64_t)limit);
}

bool rule_fits(const rule *r, const flow_kind *flow, int api)
{
    return r->directions[flow->direction] && r->apis[api] && (r->clients >> flow->client & 1) != 0 && (r->brokers >> flow->broker & 1) != 0;
}

bool rule_hits(rule *r, const flow_kind *flow, int api)
{
    if (!rule_fits(r, flow, api) || r->drawn >= r->limit)
        return false;
    if ((double)(random_next(r) >> 11) * 0x1p-53 >= r->probability)
        return false;
    r->drawn++;
    return true;
}

void effect_count(rules *all, fault_kind kind, const flow_kind *flow, int api)
{
    all->effects[kind][flow->client][flow->broker][api]++;
}

json_t *effects_to_json(const rules *all)
{
    json_t *faults = json_object(), *by = json_array();
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        uint64_t sum = 0;
        for (size_t place = 0; place < all->clients.count * all->brokers.count * API_COUNT; place++) {
            size_t client = place / API_COUNT / all->brokers.count, broker = place / API_COUNT % all->brokers.count, api = place % API_COUNT;
            uint64_t count = all->effects[kind][client][broker][api];
            if (count == 0)
                continue;
            sum += count;
            json_array_append_new(by, json_pack("{s:s, s:s, s:s, s:s, s:I}", "fault", FAULT_NAMES[kind], "client", all->clients.at[client], "broker",
                all->brokers.at[broker], "api", api_name((int)api), "count", (json_int_t)count));
        }
        json_object_set_new(faults, FAULT_NAMES[kind], json_integer((json_int_t)sum));
    }
    return json_pack("{s:o, s:o}", "faults", faults, "by", by);
}
