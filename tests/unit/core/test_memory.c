/* memory - the end of a program that has none left: one line and a status of its own, no core as large as the memory. */
#include "tests/unit/test.h"

#include "core/memory.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Under AddressSanitizer a request that no machine can meet is an error of its own, unless it is told to do as malloc does. */
const char *__asan_default_options(void) __attribute__((visibility("default"), used));
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void) __attribute__((visibility("default"), used));
const char *__tsan_default_options(void) { return "allocator_may_return_null=1"; }

static volatile size_t more_than_there_is = SIZE_MAX / 4;

static void alloc__of_more_than_there_is__ends_the_program_with_one_line_and_its_status(void **unused)
{
    int said[2], status = 0;
    char text[4096];
    assert_int_equal(pipe(said), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(said[1], STDERR_FILENO);
        bt_release(bt_alloc(more_than_there_is));
        _exit(0);
    }
    close(said[1]);
    size_t size = 0;
    for (ssize_t got; size < sizeof text - 1 && (got = read(said[0], text + size, sizeof text - 1 - size)) > 0;)
        size += (size_t)got;
    text[size] = '\0';
    close(said[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), BT_EXIT_OUT_OF_MEMORY);
    assert_non_null(strstr(text, "berth: out of memory"));
}

static void arena__asked_for_more_than_its_limit__says_no(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 1 << 20);
    assert_non_null(bt_arena_try_take(&arena, 1 << 19));
    assert_null(bt_arena_try_take(&arena, 1 << 20));
    assert_null(bt_arena_try_take(&arena, SIZE_MAX - 8));
    bt_arena_release(&arena);
}

static void arena__filled_to_its_limit_from_outside__still_has_what_the_program_needs(void **unused)
{
    bt_arena arena;
    bt_arena_init(&arena, 1 << 20);
    while (bt_arena_try_take(&arena, 1000) != NULL)
        ;
    char *last = bt_arena_take(&arena, 40000);
    assert_int_equal(last[39999], 0);
    assert_str(bt_arena_printf(&arena, "%d", 7), "7");
    assert_null(bt_arena_try_take(&arena, 40000));
    bt_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc__of_more_than_there_is__ends_the_program_with_one_line_and_its_status),
        cmocka_unit_test(arena__asked_for_more_than_its_limit__says_no),
        cmocka_unit_test(arena__filled_to_its_limit_from_outside__still_has_what_the_program_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
