/* config - puts the sources on top of each other, then judges every value once, so that an error names the place that won. */
#include "io/config/store.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(__has_include)
#if __has_include("berth_version.h")
#include "berth_version.h"
#endif
#endif
#ifndef BERTH_VERSION
#define BERTH_VERSION "0.1.0"
#endif

extern char **environ;

#ifdef BERTH_VERSION_STAMP
const char *bt_version_stamp(void) { return BERTH_VERSION_STAMP; }
#else
const char *bt_version_stamp(void) { return BERTH_VERSION " (unstamped)"; }
#endif

int bt_config_find(const bt_config_spec *spec, bt_str name)
{
    for (size_t i = 0; i < spec->setting_count; i++) {
        if (bt_str_is(name, spec->settings[i].name))
            return (int)i;
    }
    return -1;
}

bool bt_config_is_passed(const bt_config_spec *spec, bt_str name)
{
    size_t prefix = spec->passthrough == NULL ? 0 : strlen(spec->passthrough);
    return prefix > 0 && name.size > prefix && memcmp(name.at, spec->passthrough, prefix) == 0;
}

static bool set_pair(bt_config *config, bt_str name, bt_str value, const char *origin, bt_err *err)
{
    size_t i = 0;
    while (i < config->pair_count && !bt_str_is(name, config->pairs[i].name))
        i++;
    if (i == BT_CONFIG_PAIRS_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "%s: more than %d settings under %s", origin, BT_CONFIG_PAIRS_MAX, config->store->spec->passthrough);
    bt_arena *arena = &config->store->arena;
    config->pairs[i] = (bt_config_pair){ bt_arena_zero_terminated(arena, name), bt_arena_zero_terminated(arena, value) };
    config->pair_count = i == config->pair_count ? i + 1 : config->pair_count;
    return true;
}

bool bt_config_set(bt_config *config, bt_str name, bt_str value, const char *origin, bt_err *err)
{
    bt_config_store *store = config->store;
    int nearest = 0;
    if (value.size > BT_CONFIG_VALUE_MAX || memchr(value.at == NULL ? "" : value.at, '\0', value.size) != NULL)
        return bt_fail(err, BT_ERR_INPUT, 0, "%s: the value of " BT_STR_FMT " is longer than %d bytes or holds a zero byte", origin, BT_STR_ARG(name),
            BT_CONFIG_VALUE_MAX);
    int index = bt_config_find(store->spec, name);
    if (index >= 0) {
        store->values[index] = value.size == 0 ? NULL : bt_arena_zero_terminated(&store->arena, value);
        store->origins[index] = origin;
        return true;
    }
    size_t prefix = store->spec->passthrough == NULL ? 0 : strlen(store->spec->passthrough);
    if (bt_config_is_passed(store->spec, name))
        return set_pair(config, (bt_str){ name.at + prefix, name.size - prefix }, value, origin, err);
    /* The likeliest slip is a right key in a wrong section, or the other way round: name a setting that shares either. */
    const char *hint = NULL;
    for (size_t i = 0; i < store->spec->setting_count; i++) {
        const char *other = store->spec->settings[i].name;
        int shared = 0;
        while ((size_t)shared < name.size && other[shared] == name.at[shared] && other[shared] != '\0')
            shared++;
        if (shared > nearest) {
            nearest = shared;
            hint = other;
        }
    }
    return bt_fail(err, BT_ERR_INPUT, 0, "%s: there is no setting \"" BT_STR_FMT "\"%s%s%s; --help lists them all", origin, BT_STR_ARG(name),
        hint == NULL ? "" : " (did you mean \"", hint == NULL ? "" : hint, hint == NULL ? "" : "\"?)");
}

static bool parse_i64(const char *text, int64_t *ret_value)
{
    char digits[32];
    size_t size = 0;
    for (const char *c = text; *c != '\0'; c++) {
        bool between = c > text && c[-1] >= '0' && c[-1] <= '9' && c[1] >= '0' && c[1] <= '9';
        if (*c == '_' && between)
            continue;
        if (!(*c >= '0' && *c <= '9') && !(c == text && *c == '-'))
            return false;
        if (size == 20)
            return false;
        digits[size++] = *c;
    }
    digits[size] = '\0';
    if (size == 0 || (size == 1 && digits[0] == '-'))
        return false;
    __int128 value = 0;
    for (const char *c = digits + (digits[0] == '-'); *c != '\0'; c++)
        value = value * 10 + (*c - '0');
    value = digits[0] == '-' ? -value : value;
    if (value > INT64_MAX || value < INT64_MIN)
        return false;
    *ret_value = (int64_t)value;
    return true;
}

static bool parse_bool(const char *text, bool *ret_value)
{
    static const char *const truths[] = { "true", "yes", "on", "1" }, *const lies[] = { "false", "no", "off", "0" };
    for (size_t i = 0; i < BT_COUNT_OF(truths); i++) {
        if (strcmp(text, truths[i]) == 0 || strcmp(text, lies[i]) == 0) {
            *ret_value = strcmp(text, truths[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool is_choice(const char *text, const char *choices)
{
    size_t size = strlen(text);
    for (const char *at = choices; at != NULL; at = strchr(at, '|') == NULL ? NULL : strchr(at, '|') + 1) {
        size_t choice_size = strcspn(at, "|");
        if (choice_size == size && memcmp(at, text, size) == 0)
            return true;
    }
    return false;
}

static bool complain(const bt_setting *setting, const char *value, const char *origin, const char *wanted, bt_err *err)
{
    const char *shown = setting->secret ? "(not shown)" : value;
    return bt_fail(err, BT_ERR_INPUT, 0, "%s: %s = \"%.80s\" will not do: it takes %s, for example %s", origin, setting->name, shown, wanted,
        *setting->initial == '\0' ? "(nothing)" : setting->initial);
}

static bool apply(const bt_setting *setting, const char *value, const char *origin, char *target, bt_err *err)
{
    char wanted[256];
    void *field = target + setting->offset;
    int64_t number;
    bool truth;
    switch (setting->kind) {
    case BT_SETTING_STR:
        memcpy(field, &value, sizeof value);
        return true;
    case BT_SETTING_CHOICE:
        snprintf(wanted, sizeof wanted, "one of %s", setting->choices);
        if (!is_choice(value, setting->choices))
            return complain(setting, value, origin, wanted, err);
        memcpy(field, &value, sizeof value);
        return true;
    case BT_SETTING_BOOL:
        if (!parse_bool(value, &truth))
            return complain(setting, value, origin, "true or false", err);
        memcpy(field, &truth, sizeof truth);
        return true;
    case BT_SETTING_I64:
        if (setting->min == 0 && setting->max == 0)
            snprintf(wanted, sizeof wanted, "a whole number");
        else
            snprintf(wanted, sizeof wanted, "a whole number from %lld to %lld", (long long)setting->min, (long long)setting->max);
        if (!parse_i64(value, &number) || ((setting->min != 0 || setting->max != 0) && (number < setting->min || number > setting->max)))
            return complain(setting, value, origin, wanted, err);
        memcpy(field, &number, sizeof number);
        return true;
    }
    return false;
}

static bool apply_all(bt_config *config, void *target, bt_err *err)
{
    bt_config_store *store = config->store;
    for (size_t i = 0; i < store->spec->setting_count; i++) {
        const bt_setting *setting = &store->spec->settings[i];
        const char *value = store->values[i] != NULL ? store->values[i] : setting->initial;
        if (!apply(setting, value, store->values[i] != NULL ? store->origins[i] : "the default", target, err))
            return false;
    }
    return true;
}

/* --help, --version and --config come first: help must work beside a broken file. */
static void look_for_wishes(bt_config *config, int argc, char *const argv[])
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            config->wish = BT_CONFIG_HELP;
        else if (strcmp(argv[i], "--version") == 0)
            config->wish = BT_CONFIG_VERSION;
        else if (strncmp(argv[i], "--config=", 9) == 0)
            config->store->file = argv[i] + 9;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            config->store->file = argv[++i];
    }
}

static const char *file_from_environment(char *const environment[])
{
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        if (strncmp(environment[i], "BERTH_CONFIG=", 13) == 0 && environment[i][13] != '\0')
            return environment[i] + 13;
    }
    return NULL;
}

bool bt_config_load(bt_config *config, const bt_config_spec *spec, int argc, char *const argv[], char *const environment[], void *ret_settings,
    bt_err *err)
{
    bt_assert(spec->setting_count <= BT_CONFIG_SETTINGS_MAX);
    *config = (bt_config){ .wish = BT_CONFIG_RUN, .store = bt_alloc(sizeof *config->store) };
    bt_arena_init(&config->store->arena, 0);
    config->store->spec = spec;
    look_for_wishes(config, argc, argv);
    if (config->wish != BT_CONFIG_RUN)
        return true;
    const char *file = config->store->file != NULL ? config->store->file : file_from_environment(environment);
    if ((file == NULL || bt_config_read_file(config, file, err)) && bt_config_read_environment(config, environment, err) &&
        bt_config_read_flags(config, argc, argv, err) && apply_all(config, ret_settings, err))
        return true;
    bt_config_release(config);
    return false;
}

void bt_config_release(bt_config *config)
{
    if (config->store != NULL) {
        bt_arena_release(&config->store->arena);
        bt_release(config->store);
    }
    *config = (bt_config){ .wish = BT_CONFIG_RUN };
}

void bt_config_load_or_exit(bt_config *config, const bt_config_spec *spec, int argc, char *const argv[], void *ret_settings)
{
    bt_err err = { 0 };
    if (!bt_config_load(config, spec, argc, argv, environ, ret_settings, &err)) {
        fprintf(stderr, "%s: %s\n", spec->program, err.message);
        exit(2);
    }
    if (config->wish == BT_CONFIG_VERSION)
        printf("%s %s\n", spec->program, bt_version_stamp());
    if (config->wish == BT_CONFIG_HELP) {
        bt_buf text;
        bt_buf_init(&text, 1 << 20);
        bt_config_write_help(spec, &text);
        fwrite(text.at, 1, text.size, stdout);
        bt_buf_release(&text);
    }
    if (config->wish != BT_CONFIG_RUN) {
        bt_config_release(config);
        exit(0);
    }
}
