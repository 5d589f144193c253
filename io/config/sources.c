/* sources - the three places a setting comes from, each turned into names and values with a word on where they stood. */
#include "io/config/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bt_str trimmed(bt_str text)
{
    while (text.size > 0 && strchr(" \t\r\n", text.at[0]) != NULL)
        text = (bt_str){ text.at + 1, text.size - 1 };
    while (text.size > 0 && strchr(" \t\r\n", text.at[text.size - 1]) != NULL)
        text.size--;
    return text;
}

/* A # begins a comment at the start of a line or after a blank, so that passwords and DSNs may hold one. */
static bt_str without_comment(bt_str line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.at[i] == '#' && (i == 0 || line.at[i - 1] == ' ' || line.at[i - 1] == '\t'))
            return (bt_str){ line.at, i };
    }
    return line;
}

static bool read_line(bt_config *config, const char *path, int number, bt_str line, bt_err *err)
{
    bt_arena *arena = &config->store->arena;
    line = trimmed(without_comment(line));
    if (line.size == 0)
        return true;
    const char *equals = memchr(line.at, '=', line.size);
    if (equals == NULL)
        return bt_fail(err, BT_ERR_INPUT, 0, "%s:%d: \"%.60s\" is not of the form section.key = value", path, number,
            bt_arena_zero_terminated(arena, line));
    bt_str name = trimmed((bt_str){ line.at, (size_t)(equals - line.at) });
    bt_str value = trimmed((bt_str){ equals + 1, (size_t)(line.at + line.size - equals - 1) });
    return bt_config_set(config, name, value, bt_arena_printf(arena, "%s:%d", path, number).at, err);
}

bool bt_config_read_file(bt_config *config, const char *path, bt_err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return bt_fail(err, BT_ERR_INPUT, errno, "cannot read the settings file %s: %s", path, strerror(errno));
    char *line = NULL;
    size_t room = 0;
    ssize_t size = 0;
    bool fine = true;
    int number = 0;
    while (fine && (size = getline(&line, &room, file)) >= 0) {
        if (++number > BT_CONFIG_LINES_MAX)
            fine = bt_fail(err, BT_ERR_INPUT, 0, "%s has more than %d lines", path, BT_CONFIG_LINES_MAX);
        else
            fine = read_line(config, path, number, (bt_str){ line, (size_t)size }, err);
    }
    if (fine && ferror(file))
        fine = bt_fail(err, BT_ERR_INPUT, errno, "cannot read the settings file %s: %s", path, strerror(errno));
    free(line);
    fclose(file);
    return fine;
}

/* HTTP_LISTEN is http.listen if underscores stand for dots; a setting whose name has underscores of its own is matched as well. */
static bool matches_variable(const char *setting, bt_str variable)
{
    size_t size = strlen(setting);
    for (size_t i = 0; i < size && size == variable.size; i++) {
        char c = setting[i] == '.' ? '_' : setting[i];
        c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        if (c != variable.at[i])
            return false;
    }
    return size == variable.size;
}

static bool read_variable(bt_config *config, bt_str variable, bt_str value, bt_err *err)
{
    const bt_config_spec *spec = config->store->spec;
    bt_arena *arena = &config->store->arena;
    const char *origin = bt_arena_printf(arena, "the environment (BERTH_" BT_STR_FMT ")", BT_STR_ARG(variable)).at;
    for (size_t i = 0; i < spec->setting_count; i++) {
        if (matches_variable(spec->settings[i].name, variable))
            return bt_config_set(config, bt_str_of(spec->settings[i].name), value, origin, err);
    }
    char *name = bt_arena_zero_terminated(arena, variable);
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '_' ? '.' : *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    /* A variable that nobody knows may be meant for another program of Berth that shares the environment: only flags and files are strict. */
    if (!bt_config_is_passed(spec, bt_str_of(name)))
        return true;
    return bt_config_set(config, bt_str_of(name), value, origin, err);
}

bool bt_config_read_environment(bt_config *config, char *const environment[], bt_err *err)
{
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        const char *equals = strchr(environment[i], '=');
        if (strncmp(environment[i], "BERTH_", 6) != 0 || equals == NULL || equals < environment[i] + 7)
            continue;
        bt_str variable = { environment[i] + 6, (size_t)(equals - environment[i] - 6) };
        if (bt_str_is(variable, "CONFIG"))
            continue;
        if (!read_variable(config, variable, bt_str_of(equals + 1), err))
            return false;
    }
    return true;
}

static bool read_flag(bt_config *config, const char *word, bt_err *err)
{
    bt_arena *arena = &config->store->arena;
    size_t name_size = strcspn(word, "=");
    bt_str name = { word, name_size };
    const char *origin = bt_arena_printf(arena, "flag --" BT_STR_FMT, BT_STR_ARG(name)).at;
    if (word[name_size] == '=')
        return bt_config_set(config, name, bt_str_of(word + name_size + 1), origin, err);
    int index = bt_config_find(config->store->spec, name);
    if (index >= 0 && config->store->spec->settings[index].kind == BT_SETTING_BOOL)
        return bt_config_set(config, name, BT_STR("true"), origin, err);
    if (index < 0 && !bt_config_is_passed(config->store->spec, name))
        return bt_config_set(config, name, BT_STR(""), origin, err);
    return bt_fail(err, BT_ERR_INPUT, 0, "%s needs a value: --" BT_STR_FMT "=VALUE", origin, BT_STR_ARG(name));
}

bool bt_config_read_flags(bt_config *config, int argc, char *const argv[], bt_err *err)
{
    config->arguments = bt_arena_take(&config->store->arena, sizeof *config->arguments * (size_t)(argc + 1));
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && strcmp(argv[i], "--config") == 0) {
            if (++i >= argc)
                return bt_fail(err, BT_ERR_INPUT, 0, "--config needs a file: --config FILE");
        } else if (!only_words && strncmp(argv[i], "--config=", 9) == 0) {
            continue;
        } else if (!only_words && strncmp(argv[i], "--", 2) == 0) {
            if (!read_flag(config, argv[i] + 2, err))
                return false;
        } else if (config->store->spec->takes_arguments) {
            config->arguments[config->argument_count++] = argv[i];
        } else {
            return bt_fail(err, BT_ERR_INPUT, 0, "\"%.80s\" is not understood: settings are given as --section.key=value; --help lists them", argv[i]);
        }
    }
    return true;
}
