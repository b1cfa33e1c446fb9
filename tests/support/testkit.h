/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * testkit.h - what tests share: asserts that print bytes and errors by name, hex, and the vectors
 *
 * Include this instead of cmocka.h. Functions that can fail fail the test.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/err.h"
#include "base/span.h"

/* Both print names: expected "ok", got "truncated". */
#define assert_err(expr, expected) testkit_assert_err((expr), (expected), #expr, __FILE__, __LINE__)
#define assert_ok(expr)            assert_err(expr, ERR_OK)
/* Prints both as hex, from the first difference. */
#define assert_span_equal(a, b) testkit_assert_span((a), (b), __FILE__, __LINE__)

void testkit_assert_err(enum err got, enum err expected, const char *expr, const char *file,
			int line);
void testkit_assert_span(struct span a, struct span b, const char *file, int line);

/* Hex text -> bytes in a fresh allocation (of exactly that size, so that ASan sees an overrun);
 * *ret_len bytes. free() it. */
uint8_t *testkit_unhex(const char *hex, size_t *ret_len);
/* A copy in an allocation of exactly that size. free() it. */
uint8_t *testkit_copy(struct span s);

/* tests/vectors/NAME as JSON; json_decref() it. */
json_t *testkit_vectors(const char *name);
/* A string member of an object; fails the test if there is none. */
const char *testkit_string(const json_t *object, const char *key);

/* Random numbers for tests: a seed from RUNNEL_TEST_SEED or the time, printed once, so that a
 * failure can be replayed. */
uint64_t testkit_random(void);
