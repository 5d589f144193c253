/* chosen - tells a mutant build of a server which mutant it is: BERTH_MUTANT in the environment, by name. "list" prints the names. A name that it
 * does not know ends it before anything is served, so that a run cannot take a sound server for a mutant that was not caught. */
#ifdef OF_COMMANDS
#include "commands/owner/mutant.h"
#else
#include "projections/loop/mutant.h"
#endif
#include "core/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    int mutant;
} names[] = {
#ifdef OF_COMMANDS
    { "no_parent_check", MUTANT_NO_PARENT_CHECK },
    { "answer_on_append", MUTANT_ANSWER_ON_APPEND },
    { "refuse_unconfirmed", MUTANT_REFUSE_UNCONFIRMED },
    { "no_key_memory", MUTANT_NO_KEY_MEMORY },
    { "head_before_proof", MUTANT_HEAD_BEFORE_PROOF },
    { "settle_without_barrier", MUTANT_SETTLE_WITHOUT_BARRIER },
    { "forget_keys_at_takeover", MUTANT_FORGET_KEYS_AT_TAKEOVER },
    { "void_copy_settles", MUTANT_VOID_COPY_SETTLES },
    { "proof_across_generations", MUTANT_PROOF_ACROSS_GENERATIONS },
    { "resend_confirms", MUTANT_RESEND_CONFIRMS },
    { "deadlines_late", MUTANT_DEADLINES_LATE },
    { "no_roll_back", MUTANT_NO_ROLL_BACK },
    { "save_unproved", MUTANT_SAVE_UNPROVED },
    { "no_comparison", MUTANT_NO_COMPARISON },
    { "jump_ignored", MUTANT_JUMP_IGNORED },
    { "lost_suffix_ignored", MUTANT_LOST_SUFFIX_IGNORED },
    { "old_acceptance", MUTANT_OLD_ACCEPTANCE },
    { "accepted_not_forgotten", MUTANT_ACCEPTED_NOT_FORGOTTEN },
    { "head_not_probed", MUTANT_HEAD_NOT_PROBED },
#else
    { "projector_no_parent_check", BT_PROJECTOR_NO_PARENT_CHECK },
    { "projector_drops_a_batch", BT_PROJECTOR_DROPS_A_BATCH },
#endif
};

#ifdef OF_COMMANDS
int bt_mutant;
#define chosen bt_mutant
_Static_assert(BT_COUNT_OF(names) == MUTANT_END - 1, "a mutant without a name here");
#else
int bt_projector_mutant;
#define chosen bt_projector_mutant
#endif

/* The variable goes: to the server it would be a setting that there is not. */
__attribute__((constructor)) static void choose(void)
{
    const char *name = getenv("BERTH_MUTANT");
    bool list = name != NULL && strcmp(name, "list") == 0;
    for (size_t i = 0; i < BT_COUNT_OF(names); i++) {
        if (list)
            puts(names[i].name);
        else if (name != NULL && strcmp(names[i].name, name) == 0)
            chosen = names[i].mutant;
    }
    unsetenv("BERTH_MUTANT");
    if (list)
        exit(0);
    if (name == NULL || strcmp(name, "none") == 0) /* as --help and the control run want it */
        return;
    if (chosen == 0) {
        fprintf(stderr, "BERTH_MUTANT=%s is no mutant of this program; BERTH_MUTANT=list names them\n", name);
        exit(2);
    }
}
