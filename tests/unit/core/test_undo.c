/* undo - a random run of changes, commits and roll-backs leaves what a plain copy says it should. */
#include "tests/unit/test.h"

#include "core/memory.h"
#include "core/undo.h"

typedef struct cell_state {
    uint32_t cells[16];
    uint32_t *block; /* replaced now and then */
} cell_state;

static void change(cell_state *state, bt_undo *undo, uint64_t random)
{
    uint32_t *cell = &state->cells[random % 16];
    bt_undo_save(undo, cell, sizeof *cell);
    *cell = (uint32_t)(random >> 8);
    bt_undo_save(undo, state->block, sizeof *state->block);
    *state->block = (uint32_t)(random >> 20);
    if (random % 5 == 0) {
        uint32_t *block = bt_undo_alloc(undo, sizeof *block);
        *block = *state->block + 1;
        bt_undo_retire(undo, state->block);
        bt_undo_save(undo, &state->block, sizeof state->block);
        state->block = block;
    }
}

static void undo__over_random_frames__restores_each_earlier_state(void **unused)
{
    enum { FRAMES_MAX = 20 };
    cell_state state = { .block = bt_alloc(sizeof(uint32_t)) };
    bt_undo *undo = bt_undo_new();
    struct { uint32_t cells[16], block; } before[FRAMES_MAX];
    size_t frames = 0;
    uint64_t random = 7;
    for (int step = 0; step < 50000; step++) {
        random = bt_mix64(random + 0x9e3779b97f4a7c15ULL);
        if (frames > 0 && random % 7 == 0) {
            bt_undo_commit_oldest(undo);
            memmove(before, before + 1, --frames * sizeof before[0]);
        } else if (frames > 0 && random % 7 == 1) {
            bt_undo_roll_back_newest(undo);
            frames--;
            assert_memory_equal(state.cells, before[frames].cells, sizeof state.cells);
            assert_int_equal(*state.block, before[frames].block);
        } else if (frames < FRAMES_MAX) {
            memcpy(before[frames].cells, state.cells, sizeof state.cells);
            before[frames++].block = *state.block;
            bt_undo_begin(undo);
            for (uint64_t i = 0; i < random % 4; i++)
                change(&state, undo, bt_mix64(random + i));
        }
        assert_int_equal(bt_undo_frame_count(undo), frames);
    }
    bt_undo_free(undo);
    bt_release(state.block);
}

static int references;
static void drop_reference(void *unused) { references--; }

static void undo__of_a_counted_reference__drops_it_once(void **unused)
{
    bt_undo *undo = bt_undo_new();
    bt_undo_begin(undo);
    references = 2; /* one of them was there before */
    bt_undo_acquired(undo, &references, drop_reference);
    bt_undo_roll_back_newest(undo);
    assert_int_equal(references, 1);

    bt_undo_begin(undo);
    bt_undo_retire_by(undo, &references, drop_reference);
    bt_undo_roll_back_newest(undo);
    assert_int_equal(references, 1);

    bt_undo_begin(undo);
    bt_undo_retire_by(undo, &references, drop_reference);
    assert_int_equal(references, 1);
    bt_undo_commit_oldest(undo);
    assert_int_equal(references, 0);
    bt_undo_free(undo);

    references = 1;
    bt_undo_retire_by(NULL, &references, drop_reference);
    assert_int_equal(references, 0);
}

static void undo__outside_of_any_frame__keeps_nothing(void **unused)
{
    bt_undo *undo = bt_undo_new();
    uint32_t cell = 1, *block = bt_undo_alloc(undo, sizeof *block);
    bt_undo_save(undo, &cell, sizeof cell);
    bt_undo_begin(undo);
    bt_undo_save(undo, &cell, sizeof cell);
    cell = 2;
    bt_undo_roll_back_newest(undo);
    assert_int_equal(cell, 1);
    *block = 3; /* it was not the frame's */
    bt_undo_retire(undo, block);
    references = 1;
    bt_undo_retire_by(undo, &references, drop_reference);
    assert_int_equal(references, 0);
    bt_undo_free(undo);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(undo__over_random_frames__restores_each_earlier_state),
                                         cmocka_unit_test(undo__of_a_counted_reference__drops_it_once),
                                         cmocka_unit_test(undo__outside_of_any_frame__keeps_nothing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
