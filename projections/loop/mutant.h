/* mutant - the fault runs' proof that their checker can see: each name here breaks one promise of a projector (tests/faults/mutants). One more build
 * of this folder, with BT_MUTANTS, can be told which one to be; in every other all of this is the constant 0 and folds away. */
#ifndef BERTH_PROJECTIONS_LOOP_MUTANT_H
#define BERTH_PROJECTIONS_LOOP_MUTANT_H

typedef enum bt_projector_mutation {
    BT_PROJECTOR_NO_MUTANT,
    BT_PROJECTOR_NO_PARENT_CHECK, /* a void record is projected as if it were valid */
    BT_PROJECTOR_DROPS_A_BATCH,   /* now and then a position moves on without the rows that it accounts for */
} bt_projector_mutation;

#ifdef BT_MUTANTS
extern int bt_projector_mutant; /* defined by tests/faults/mutants */
#define PROJECTOR_MUTANT(which) (bt_projector_mutant == BT_PROJECTOR_##which)
#else
#define PROJECTOR_MUTANT(which) 0
#endif

#endif
