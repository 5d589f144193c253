/* main - `berth GROUP VERB`: finds the verb by its two words and reads its settings; the rest is the verb's. */
#include "core/memory.h"
#include "tools/berth/cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;
void cli_on_signal(int number);

#define SETTINGS_MAX 32
#define WORDS_MAX 512

static const bt_setting COMMON[] = {
    { "json", BT_SETTING_BOOL, offsetof(cli_common, json), "false", "answer in JSON, one object a line, for programs" },
    { "timeout_ms", BT_SETTING_I64, offsetof(cli_common, timeout_ms), "10000", "how long to wait for one answer of a broker or server", .min = 100, .max = 600000 },
};

/* A line for each verb of the group; NULL: of all. Returns how many. */
static size_t print_verbs(FILE *to, const char *group)
{
    size_t count = 0;
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        char call[64];
        if (group != NULL && strcmp(cli_verbs[i]->group, group) != 0)
            continue;
        snprintf(call, sizeof call, "%s %s %s", cli_verbs[i]->group, cli_verbs[i]->name, cli_verbs[i]->words);
        fprintf(to, "  %-22s %s\n", call, cli_verbs[i]->about);
        count++;
    }
    return count;
}

static void print_usage(FILE *to)
{
    fprintf(to, "berth - looks at a log of Berth, checks it, and brings things in.\n\nUsage: berth GROUP VERB [--setting=value ...] [ARGUMENT ...]\n\n");
    print_verbs(to, NULL);
    fprintf(to, "\n"
                "berth GROUP VERB --help teaches one of them, with examples. Where Kafka is: --kafka.bootstrap.servers=HOST:PORT, or\n"
                "BERTH_KAFKA_BOOTSTRAP_SERVERS in the environment; ./dev berth ... sets it to the stack of this clone.\n\n"
                "Exit status: 0 fine; 1 what was checked is not as it should be; 2 the call is wrong; 3 something outside did not answer.\n");
}

static void print_verb_help(const cli_verb *verb, const bt_config_spec *spec)
{
    bt_buf settings;
    bt_buf_init(&settings, 65536);
    bt_config_write_help(spec, &settings);
    bt_str text = bt_buf_view(&settings);
    printf("berth %s%s%s - %s\n\nUsage: berth %s%s%s%s%s [--setting=value ...]\n\n%s\n", verb->group, *verb->name ? " " : "", verb->name, verb->about, verb->group,
        *verb->name ? " " : "", verb->name, *verb->words ? " " : "", verb->words, verb->help);
    /* The first paragraphs of the settings' help say who it is; that stands above already. */
    const char *list = memmem(text.at, text.size, "Each setting", 12);
    if (list != NULL)
        printf("%.*s", (int)(text.at + text.size - list), list);
    bt_buf_release(&settings);
}

/* How many of the words name it: 2, 1 for a group that is a verb; 0: it is another. */
static int match(const cli_verb *verb, int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], verb->group) != 0)
        return 0;
    if (*verb->name == 0)
        return 1;
    return argc >= 3 && strcmp(argv[2], verb->name) == 0 ? 2 : 0;
}

static const cli_verb *find_verb(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        *ret_words = match(cli_verbs[i], argc, argv);
        if (*ret_words > 0)
            return cli_verbs[i];
    }
    return NULL;
}

static const bt_setting *setting_of(const bt_config_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->setting_count; i++) {
        if (strcmp(spec->settings[i].name, name) == 0)
            return &spec->settings[i];
    }
    return NULL;
}

/* One flag in the form that io/config reads: underscores, and its value behind '='. Returns how many words it took.
 * --kafka NAME=VALUE is another way to write --kafka.NAME=VALUE. */
static int flag_normal(const bt_config_spec *spec, char *const *words, int count, bt_arena *arena, char **ret_word)
{
    if (strcmp(words[0], "--kafka") == 0 && count >= 2) {
        *ret_word = (char *)(uintptr_t)bt_arena_printf(arena, "--kafka.%s", words[1]).at;
        return 2;
    }
    char *word = bt_arena_zero_terminated(arena, bt_str_of(words[0]));
    size_t name_size = strcspn(word + 2, "=");
    bool passed = strncmp(word + 2, spec->passthrough, strlen(spec->passthrough)) == 0;
    for (size_t i = 0; i < name_size && !passed; i++)
        word[2 + i] = word[2 + i] == '-' ? '_' : word[2 + i];
    *ret_word = word;
    if (word[2 + name_size] == '=' || count < 2)
        return 1;
    const bt_setting *setting = setting_of(spec, word + 2);
    if (!passed && (setting == NULL || setting->kind == BT_SETTING_BOOL))
        return 1;
    *ret_word = (char *)(uintptr_t)bt_arena_printf(arena, "%s=%s", word, words[1]).at;
    return 2;
}

static char **words_normal(const bt_config_spec *spec, int argc, char **argv, bt_arena *arena, int *ret_count)
{
    char **words = bt_arena_take(arena, sizeof *words * (WORDS_MAX + 1));
    int count = 0;
    words[count++] = argv[0];
    for (int i = 1; i < argc && count < WORDS_MAX;) {
        bool flag = strncmp(argv[i], "--", 2) == 0 && argv[i][2] != 0 && strcmp(argv[i], "--config") != 0;
        if (flag)
            i += flag_normal(spec, argv + i, argc - i, arena, &words[count++]);
        else
            words[count++] = argv[i++];
    }
    *ret_count = count;
    return words;
}

static int run_verb(const cli_verb *verb, const bt_config *config, void *options)
{
    bt_kafka_setting kafka[BT_CONFIG_PAIRS_MAX];
    bool has_servers = false;
    for (size_t i = 0; i < config->pair_count; i++) {
        kafka[i] = (bt_kafka_setting){ config->pairs[i].name, config->pairs[i].value };
        has_servers |= strcmp(kafka[i].name, "bootstrap.servers") == 0;
    }
    if (verb->needs_kafka && !has_servers) {
        fprintf(stderr, "berth: no Kafka is named: --kafka.bootstrap.servers=127.0.0.1:9092, or BERTH_KAFKA_BOOTSTRAP_SERVERS in the environment\n");
        return CLI_USAGE;
    }
    if (config->argument_count != verb->word_count) {
        fprintf(stderr, "berth: %s %s takes %zu argument%s, and %zu were given; berth %s %s --help\n", verb->group, verb->name, verb->word_count,
            verb->word_count == 1 ? "" : "s", config->argument_count, verb->group, verb->name);
        return CLI_USAGE;
    }
    struct sigaction action = { .sa_handler = cli_on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe shows as a failing write */
    cli_call call = { options, { kafka, config->pair_count, "berth" }, config->arguments, config->argument_count, isatty(STDERR_FILENO) == 1 };
    int status = verb->run(&call);
    if (fflush(stdout) != 0 && status == CLI_OK)
        status = CLI_TROUBLE;
    return status;
}

static int run(const cli_verb *verb, int argc, char **argv)
{
    bt_setting settings[SETTINGS_MAX];
    bt_assert(verb->setting_count + BT_COUNT_OF(COMMON) <= SETTINGS_MAX);
    memcpy(settings, verb->settings, verb->setting_count * sizeof *settings);
    memcpy(settings + verb->setting_count, COMMON, sizeof COMMON);
    bt_config_spec spec = { .program = "berth", .about = verb->about, .settings = settings, .setting_count = verb->setting_count + BT_COUNT_OF(COMMON),
        .passthrough = "kafka.", .passthrough_help = "any setting of librdkafka, as kafka.bootstrap.servers", .takes_arguments = true };
    bt_arena arena;
    bt_arena_init(&arena, 0);
    int count;
    char **words = words_normal(&spec, argc, argv, &arena, &count);
    void *options = bt_alloc(verb->options_size);
    bt_config config;
    bt_err err;
    int status;
    if (!bt_config_load(&config, &spec, count, words, environ, options, &err)) {
        fprintf(stderr, "berth: %s; berth %s%s%s --help lists the settings\n", err.message, verb->group, *verb->name ? " " : "", verb->name);
        status = CLI_USAGE;
    } else {
        if (config.wish == BT_CONFIG_HELP)
            print_verb_help(verb, &spec);
        else if (config.wish == BT_CONFIG_VERSION)
            printf("berth %s\n", bt_version_stamp());
        status = config.wish == BT_CONFIG_RUN ? run_verb(verb, &config, options) : CLI_OK;
        bt_config_release(&config);
    }
    bt_release(options);
    bt_arena_release(&arena);
    return status;
}

/* No verb has these words. A group alone, or with --help, is shown what it has. Returns an exit status. */
static int explain_words(int argc, char **argv)
{
    bool asks = argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0 || strcmp(argv[2], "help") == 0);
    bool names_verb = argc > 2 && argv[2][0] != '-' && !asks;
    if (names_verb)
        fprintf(stderr, "berth: there is no \"%s %s\"; berth --help lists what there is\n", argv[1], argv[2]);
    else if (print_verbs(asks ? stdout : stderr, argv[1]) == 0)
        fprintf(stderr, "berth: there is no \"%s\"; berth --help lists what there is\n", argv[1]);
    else
        return asks ? CLI_OK : CLI_USAGE;
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    if (argc == 1 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(argc == 1 ? stderr : stdout);
        return argc == 1 ? CLI_USAGE : CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("berth %s (librdkafka %s)\n", bt_version_stamp(), bt_kafka_library_version());
        return CLI_OK;
    }
    int words = 0;
    const cli_verb *verb = find_verb(argc, argv, &words);
    if (verb == NULL)
        return explain_words(argc, argv);
    argv[words] = argv[0];
    return run(verb, argc - words, argv + words);
}
