/* berth - the operator's command line: finds the verb and runs it. */
#include "tools/berth/command.h"

#include "io/config/config.h"

#include <signal.h>
#include <stdio.h>

static void list_commands(FILE *to)
{
    fprintf(to, "berth - look after a Berth system\n\n");
    for (size_t i = 0; berth_commands[i] != NULL; i++)
        fprintf(to, "  berth %-7s %-8s  %s\n", berth_commands[i]->group, berth_commands[i]->verb, berth_commands[i]->summary);
    fprintf(to, "\n`berth GROUP VERB --help` explains one. Where Kafka is: BERTH_KAFKA_BOOTSTRAP_SERVERS, or --kafka bootstrap.servers=HOST:PORT;\n"
                "any other setting of librdkafka goes the same ways.\n");
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        list_commands(argc < 2 ? stderr : stdout);
        return argc < 2 ? BERTH_EXIT_USAGE : BERTH_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("berth %s (librdkafka %s)\n", bt_version_stamp(), bt_kafka_library_version());
        return BERTH_EXIT_OK;
    }
    for (size_t i = 0; argc >= 3 && berth_commands[i] != NULL; i++)
        if (strcmp(berth_commands[i]->group, argv[1]) == 0 && strcmp(berth_commands[i]->verb, argv[2]) == 0)
            return berth_commands[i]->run(argc - 2, argv + 2);
    fprintf(stderr, "berth: there is no `berth %s%s%s`\n\n", argv[1], argc >= 3 ? " " : "", argc >= 3 ? argv[2] : "");
    list_commands(stderr);
    return BERTH_EXIT_USAGE;
}
