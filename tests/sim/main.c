/* sim - runs the simulation over seeds; a run is its seed.
 *
 *   sim --seeds 2000                 all checks, and the coverage that keeps them from being vacuous
 *   sim --seed 17 --verbose          one run, told event by event
 *   sim_mutant --mutant no_key_memory --seeds 12000   exit 0 if the broken promise is found within the seeds */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "commands/owner/mutant.h"
#include "tests/sim/world.h"

#ifdef BT_MUTANTS
int bt_mutant;
static const char *const mutant_names[MUTANT_END] = {
    [MUTANT_NO_PARENT_CHECK] = "no_parent_check", [MUTANT_ANSWER_ON_APPEND] = "answer_on_append",
    [MUTANT_REFUSE_UNCONFIRMED] = "refuse_unconfirmed",
    [MUTANT_NO_KEY_MEMORY] = "no_key_memory", [MUTANT_HEAD_BEFORE_PROOF] = "head_before_proof",
    [MUTANT_SETTLE_WITHOUT_BARRIER] = "settle_without_barrier",
    [MUTANT_FORGET_KEYS_AT_TAKEOVER] = "forget_keys_at_takeover", [MUTANT_VOID_COPY_SETTLES] = "void_copy_settles",
    [MUTANT_PROOF_ACROSS_GENERATIONS] = "proof_across_generations", [MUTANT_RESEND_CONFIRMS] = "resend_confirms",
    [MUTANT_DEADLINES_LATE] = "deadlines_late",
    [MUTANT_NO_ROLL_BACK] = "no_roll_back", [MUTANT_SAVE_UNPROVED] = "save_unproved", [MUTANT_NO_COMPARISON] = "no_comparison",
    [MUTANT_JUMP_IGNORED] = "jump_ignored",
    [MUTANT_LOST_SUFFIX_IGNORED] = "lost_suffix_ignored",
    [MUTANT_OLD_ACCEPTANCE] = "old_acceptance", [MUTANT_ACCEPTED_NOT_FORGOTTEN] = "accepted_not_forgotten",
    [MUTANT_HEAD_NOT_PROBED] = "head_not_probed",
};

static bool choose_mutant(const char *name)
{
    for (int i = 1; i < MUTANT_END; i++) {
        if (strcmp(mutant_names[i], name) == 0)
            bt_mutant = i;
    }
    return bt_mutant != 0;
}
#else
static bool choose_mutant(const char *name)
{
    (void)name;
    return false;
}
#endif

typedef struct sim_options {
    uint64_t from, seeds, steps;
    bool verbose, json;
    const char *mutant;
} sim_options;

static bool take_number(const char *name, const char *argument, const char *value, uint64_t *ret_number)
{
    if (strcmp(name, argument) != 0 || value == NULL)
        return false;
    *ret_number = strtoull(value, NULL, 10);
    return true;
}

static bool parse(int count, char **arguments, sim_options *ret_options)
{
    *ret_options = (sim_options){ .seeds = 1000, .steps = 1500 };
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : NULL;
        if (take_number("--seed", arguments[i], value, &ret_options->from)) {
            ret_options->seeds = 1;
            i++;
        } else if (take_number("--seeds", arguments[i], value, &ret_options->seeds) || take_number("--from", arguments[i], value,
            &ret_options->from) ||
                   take_number("--steps", arguments[i], value, &ret_options->steps)) {
            i++;
        } else if (strcmp(arguments[i], "--verbose") == 0) {
            ret_options->verbose = true;
        } else if (strcmp(arguments[i], "--mutant") == 0 && value != NULL && choose_mutant(value)) {
            ret_options->mutant = value;
            i++;
        } else if (strcmp(arguments[i], "--json") == 0) {
            ret_options->json = true;
        } else {
            fprintf(stderr, "sim: unknown argument %s\n"
                "usage: sim [--seed N | --from N --seeds N] [--steps N] [--verbose] [--json] [--mutant NAME]\n", arguments[i]);
            return false;
        }
    }
    return true;
}

static void add(sim_counts *to, const sim_counts *from)
{
    uint64_t *a = (uint64_t *)to;
    const uint64_t *b = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof *to / sizeof *a; i++)
        a[i] += b[i];
}

#define COUNTS(X) \
    X(runs) X(steps) X(accepted) X(refused) X(repeated) X(takeovers) X(yields) X(gave_way) X(warm) X(cold) X(voids) X(gaps) X(settled) X(barriers) X(key_hits) X(drops) \
    X(resends) X(deadlines) \
    X(by_report) X(by_reading) X(truncations) X(snapshots) X(torn) X(jumps) X(rejected) X(lies) X(losses) X(read_only) X(acceptances) X(short_acceptances) \
    X(losses_accepted) X(probes)

static void print_counts(const sim_counts *counts)
{
#define PRINT(field) printf(" " #field " %llu", (unsigned long long)counts->field);
    COUNTS(PRINT)
    printf("\n");
#undef PRINT
}

/* A simulation that never met a fault proves nothing about it. */
static bool is_vacuous(const sim_counts *counts)
{
    bool vacuous = false;
#define MET(field) \
    if (counts->field == 0) { \
        printf("vacuous: no " #field "\n"); \
        vacuous = true; \
    }
    COUNTS(MET)
#undef MET
    return vacuous;
}

static void caught_by_abort(int number)
{
    (void)number;
    static const char text[] = "caught: an assertion\n";
    ssize_t written = write(1, text, sizeof text - 1);
    _exit(written > 0 ? 0 : 1);
}

static int report(const sim_options *options, const sim_counts *total, const sim_world *last, double seconds)
{
    bool violated = last->violation[0] != '\0';
    if (violated)
        printf("seed %llu: %s\n", (unsigned long long)last->seed, last->violation);
    if (options->mutant != NULL) {
        printf("mutant %s: %s after %llu runs\n", options->mutant, violated ? "caught" : "NOT CAUGHT", (unsigned long long)total->runs);
        return violated ? 0 : 1;
    }
    print_counts(total);
    double rate = (double)total->steps / (seconds > 0 ? seconds : 1);
    if (options->json)
        printf("{\"name\":\"sim.steps\",\"value\":%.0f,\"unit\":\"steps/s\"}\n", rate);
    else
        printf("%.0f steps/s\n", rate);
    return violated || (options->seeds >= 4000 && is_vacuous(total)) ? 1 : 0;
}

int main(int count, char **arguments)
{
    sim_options options;
    if (!parse(count, arguments, &options))
        return 2;
    if (options.mutant != NULL)
        signal(SIGABRT, caught_by_abort);
    static sim_world world;
    sim_counts total = { 0 };
    clock_t begin = clock();
    for (uint64_t seed = options.from; seed < options.from + options.seeds; seed++) {
        world_begin(&world, seed, options.verbose);
        for (uint64_t step = 0; step < options.steps && world.violation[0] == '\0'; step++)
            world_step(&world);
        if (world.violation[0] == '\0')
            world_calm(&world);
        if (world.violation[0] == '\0')
            world_check(&world);
        world_end(&world);
        world.counts.runs = 1;
        add(&total, &world.counts);
        if (world.violation[0] != '\0')
            break;
    }
    return report(&options, &total, &world, (double)(clock() - begin) / CLOCKS_PER_SEC);
}
