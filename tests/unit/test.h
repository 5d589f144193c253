/* test - cmocka with what it needs included first. One executable a file; a test's name is a sentence. */
#ifndef BERTH_TESTS_UNIT_TEST_H
#define BERTH_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base.h"

#define assert_str(view, text) assert_true(bt_str_is((view), (text)))

#endif
