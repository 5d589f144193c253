/* command - what all verbs share: common options, numbers, and how a failure is told. */
#include "tools/berth/command.h"

#include "core/memory.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

#define ENVIRONMENT_MAX 65536

static void take_environment(berth_common *common, const char *pair, size_t *used)
{
    static const char prefix[] = "BERTH_KAFKA_";
    if (strncmp(pair, prefix, sizeof prefix - 1) != 0 || common->kafka_count == BT_KAFKA_SETTINGS_MAX)
        return;
    size_t size = strlen(pair + sizeof prefix - 1) + 1;
    if (*used + size > ENVIRONMENT_MAX)
        return;
    char *name = memcpy(common->environment + *used, pair + sizeof prefix - 1, size);
    *used += size;
    char *value = strchr(name, '=');
    if (value == NULL || value[1] == '\0')
        return;
    *value = '\0';
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '_' ? '.' : (char)tolower((unsigned char)*at);
    common->kafka[common->kafka_count++] = (bt_kafka_setting){ name, value + 1 };
}

void berth_common_init(berth_common *common)
{
    size_t used = 0;
    *common = (berth_common){ .environment = bt_alloc(ENVIRONMENT_MAX) };
    for (char **pair = environ; *pair != NULL; pair++)
        take_environment(common, *pair, &used);
    for (size_t i = 0; i < common->kafka_count; i++)
        if (strcmp(common->kafka[i].name, "bootstrap.servers") == 0)
            return;
    if (common->kafka_count < BT_KAFKA_SETTINGS_MAX)
        common->kafka[common->kafka_count++] = (bt_kafka_setting){ "bootstrap.servers", "127.0.0.1:19092" };
}

void berth_common_release(berth_common *common) { bt_release(common->environment); }

/* A flag stands over the environment: it replaces a setting of the same name. */
static void take_kafka(berth_common *common, bt_kafka_setting setting)
{
    for (size_t i = 0; i < common->kafka_count; i++)
        if (strcmp(common->kafka[i].name, setting.name) == 0) {
            common->kafka[i] = setting;
            return;
        }
    if (common->kafka_count < BT_KAFKA_SETTINGS_MAX)
        common->kafka[common->kafka_count++] = setting;
}

bool berth_common_take(berth_common *common, int option, char *value)
{
    bt_err err = { 0 };
    bt_kafka_setting setting;
    if (option == BERTH_OPTION_HELP)
        common->asked_for_help = true;
    else if (option == BERTH_OPTION_JSON)
        common->json = true;
    else if (option != BERTH_OPTION_KAFKA)
        return false;
    else if (bt_kafka_setting_parse(value, &setting, &err))
        take_kafka(common, setting);
    else
        exit(berth_fail(&err));
    return true;
}

bt_kafka_config berth_common_kafka(const berth_common *common) { return (bt_kafka_config){ common->kafka, common->kafka_count, "berth" }; }

int64_t berth_number(const char *option, const char *text, int64_t min, int64_t max)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && value >= min && value <= max)
        return value;
    fprintf(stderr, "berth: --%s: '%s' is no number from %lld to %lld\n", option, text, (long long)min, (long long)max);
    exit(BERTH_EXIT_USAGE);
}

int berth_fail(const bt_err *err)
{
    fprintf(stderr, "berth: %s\n", err->message);
    return err->kind == BT_ERR_INPUT ? BERTH_EXIT_USAGE : BERTH_EXIT_FAILED;
}

int berth_show_usage(const berth_command *command)
{
    printf("berth %s %s - %s\n\n%s", command->group, command->verb, command->summary, command->usage);
    return BERTH_EXIT_OK;
}

int berth_misused(const berth_command *command, const char *what)
{
    fprintf(stderr, "berth: %s\n\n%s", what, command->usage);
    return BERTH_EXIT_USAGE;
}
