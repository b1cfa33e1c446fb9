/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* testkit.c - see testkit.h */
#include "support/testkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void testkit_assert_err(enum err got, enum err expected, const char *expr, const char *file,
			int line)
{
	if (got != expected) {
		print_error("%s: expected %s, got %s\n", expr, err_name(expected), err_name(got));
		_fail(file, line);
	}
}

static void print_hex(const char *label, struct span s, size_t from)
{
	char hex[3 * 32 + 1] = "";
	size_t end = s.len - from < 32 ? s.len : from + 32;
	for (size_t i = from, at = 0; i < end; i++, at += 2)
		snprintf(hex + at, sizeof(hex) - at, "%02x", s.p[i]);
	print_error("%s: %zu bytes, from %zu: %s\n", label, s.len, from, hex);
}

void testkit_assert_span(struct span a, struct span b, const char *file, int line)
{
	if (span_equal(a, b))
		return;
	size_t at = 0;
	while (at < a.len && at < b.len && a.p[at] == b.p[at])
		at++;
	print_hex("left ", a, at);
	print_hex("right", b, at);
	_fail(file, line);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	fail_msg("not hex: '%c'", c);
	return -1;
}

uint8_t *testkit_unhex(const char *hex, size_t *ret_len)
{
	size_t len = strlen(hex) / 2;
	assert_int_equal(strlen(hex) % 2, 0);
	uint8_t *bytes = malloc(len > 0 ? len : 1);
	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
	*ret_len = len;
	return bytes;
}

uint8_t *testkit_copy(struct span s)
{
	uint8_t *bytes = malloc(s.len > 0 ? s.len : 1);
	assert_non_null(bytes);
	if (s.len > 0)
		memcpy(bytes, s.p, s.len);
	return bytes;
}

json_t *testkit_vectors(const char *name)
{
	const char *dir = getenv("RUNNEL_TEST_VECTORS");
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", dir != NULL ? dir : "tests/vectors", name);
	json_error_t error;
	json_t *root = json_load_file(path, 0, &error);
	if (root == NULL)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	return root;
}

const char *testkit_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	if (text == NULL)
		fail_msg("no text '%s' in the vector", key);
	return text;
}

uint64_t testkit_random(void)
{
	/* splitmix64 */
	static uint64_t state;
	if (state == 0) {
		const char *seed = getenv("RUNNEL_TEST_SEED");
		state = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
		print_message("# RUNNEL_TEST_SEED=%llu\n", (unsigned long long)state);
	}
	uint64_t z = state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
