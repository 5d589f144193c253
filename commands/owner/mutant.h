/* mutant - the simulation's proof that it can see: each name here breaks one clause of the protocol, and tests/sim must
 * catch it. One more build of the owner, with BT_MUTANTS, can be told which one to be; in every other all of this is the
 * constant 0 and folds away. */
#ifndef BERTH_COMMANDS_OWNER_MUTANT_H
#define BERTH_COMMANDS_OWNER_MUTANT_H

enum {
    MUTANT_NONE,
    MUTANT_NO_PARENT_CHECK,           /* a void record is folded as if it were valid */
    MUTANT_ANSWER_ON_APPEND,          /* an accepted command is answered before its record is proved */
    MUTANT_REFUSE_UNCONFIRMED,        /* a refusal is answered at once */
    MUTANT_NO_KEY_MEMORY,             /* the keys of proved records are not remembered */
    MUTANT_HEAD_BEFORE_PROOF,         /* any good report of the first open attempt proves it, wherever it landed */
    MUTANT_SETTLE_WITHOUT_BARRIER,    /* at the end of the log, what is open is called void */
    MUTANT_FORGET_KEYS_AT_TAKEOVER,   /* a new owner starts with no keys */
    MUTANT_VOID_COPY_SETTLES,         /* an own record read back void is called not applied */
    MUTANT_PROOF_ACROSS_GENERATIONS,  /* a report proves though it is of an older pipeline, by its offset alone */
    MUTANT_RESEND_CONFIRMS,           /* a record sent again releases refusals that came after it was first sent */
    MUTANT_DEADLINES_LATE,            /* commands are decided before what is due */
    MUTANT_NO_ROLL_BACK,              /* a dropped pipeline leaves its events folded */
    MUTANT_SAVE_UNPROVED,             /* a snapshot holds what is only in flight */
    MUTANT_NO_COMPARISON,             /* what was proved by report is not compared with what is read back */
    MUTANT_JUMP_IGNORED,              /* a reader takes a jump in offsets for granted */
    MUTANT_LOST_SUFFIX_IGNORED,       /* a log that ends before what was proved is folded again from its start */
    MUTANT_OLD_ACCEPTANCE,            /* any acceptance that the log holds is taken for one of this loss */
    MUTANT_ACCEPTED_NOT_FORGOTTEN,    /* after an accepted loss the log is folded on top of the state that held what was lost */
    MUTANT_HEAD_NOT_PROBED,           /* nobody looks whether the head of before a silence still stands */
    MUTANT_END,
};

#ifdef BT_MUTANTS
extern int bt_mutant; /* defined by the simulation's main */
#define MUTANT(which) (bt_mutant == MUTANT_##which)
#else
#define MUTANT(which) 0
#endif

#endif
