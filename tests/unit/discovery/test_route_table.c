/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table beside a list that is searched from front to back: they must agree on any address. */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/util.h"
#include "vpn/discovery/route_table.h"

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr;
	assert_ok(ip_addr_parse(span_str(text), &addr));
	return addr;
}

static struct route route(const char *text, uint32_t peer)
{
	struct route r = {.peer = peer};
	assert_ok(ip_prefix_parse(span_str(text), &r.prefix));
	return r;
}

static uint32_t find(const struct route_table *table, const char *text)
{
	struct ip_addr addr = ip(text);
	return route_table_find(table, &addr);
}

static uint32_t find_slowly(const struct route *routes, size_t n, const struct ip_addr *addr)
{
	const struct route *best = NULL;
	for (size_t i = 0; i < n; i++) {
		if (ip_prefix_contains(&routes[i].prefix, addr) &&
		    (best == NULL || routes[i].prefix.len > best->prefix.len))
			best = &routes[i];
	}
	return best != NULL ? best->peer : ROUTE_NONE;
}

static void test_longest_prefix_wins(void **state)
{
	(void)state;
	const struct route routes[] = {
		route("10.0.0.0/8", 1),     route("10.7.0.0/16", 2), route("10.7.1.0/24", 1),
		route("10.7.1.9/32", 3),    route("fd07::/16", 4),   route("fd07::/64", 5),
		route("fd07::1/128", 6),    route("ff00::/8", 7),    route("255.255.255.255/32", 8),
		route("192.168.0.0/16", 9),
	};
	struct route_table *t;
	assert_ok(route_table_new(routes, ARRAY_LEN(routes), &t));
	assert_int_equal(find(t, "9.255.255.255"), ROUTE_NONE);
	assert_int_equal(find(t, "10.0.0.0"), 1);
	assert_int_equal(find(t, "10.7.0.255"), 2);
	assert_int_equal(find(t, "10.7.1.8"), 1);
	assert_int_equal(find(t, "10.7.1.9"), 3);
	assert_int_equal(find(t, "10.7.1.10"), 1);
	assert_int_equal(find(t, "10.7.2.0"), 2);
	assert_int_equal(find(t, "10.8.0.0"), 1);
	assert_int_equal(find(t, "11.0.0.0"), ROUTE_NONE);
	assert_int_equal(find(t, "255.255.255.254"), ROUTE_NONE);
	assert_int_equal(find(t, "255.255.255.255"), 8);
	assert_int_equal(find(t, "::"), ROUTE_NONE);
	assert_int_equal(find(t, "fd07::"), 5);
	assert_int_equal(find(t, "fd07::1"), 6);
	assert_int_equal(find(t, "fd07::2"), 5);
	assert_int_equal(find(t, "fd07:0:0:1::"), 4);
	assert_int_equal(find(t, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 7);
	assert_int_equal(find(t, "::ffff:10.7.1.9"), ROUTE_NONE);
	route_table_free(t);
}

static void test_source_is_allowed_only_from_the_peer_of_its_longest_match(void **state)
{
	(void)state;
	const struct route routes[] = {route("10.7.0.0/24", 0), route("10.7.0.2/32", 1)};
	struct ip_addr two = ip("10.7.0.2");
	struct ip_addr three = ip("10.7.0.3");
	struct ip_addr outside = ip("10.8.0.1");
	struct ip_addr none = {0};
	struct route_table *t;
	assert_ok(route_table_new(routes, ARRAY_LEN(routes), &t));
	assert_true(route_table_allows(t, 1, &two));
	assert_false(route_table_allows(t, 0, &two));
	assert_true(route_table_allows(t, 0, &three));
	assert_false(route_table_allows(t, 1, &three));
	assert_false(route_table_allows(t, 0, &outside));
	assert_false(route_table_allows(t, ROUTE_NONE, &outside));
	assert_false(route_table_allows(t, ROUTE_NONE, &none));
	route_table_free(t);
}

static void test_empty_table_finds_nothing(void **state)
{
	(void)state;
	struct route_table *t;
	assert_ok(route_table_new(NULL, 0, &t));
	assert_int_equal(find(t, "0.0.0.0"), ROUTE_NONE);
	assert_int_equal(find(t, "255.255.255.255"), ROUTE_NONE);
	assert_int_equal(find(t, "::1"), ROUTE_NONE);
	route_table_free(t);
}

static void test_default_routes_take_the_rest(void **state)
{
	(void)state;
	const struct route routes[] = {route("0.0.0.0/0", 1), route("::/0", 2),
				       route("0.0.0.0/32", 3), route("::/128", 4)};
	struct route_table *t;
	assert_ok(route_table_new(routes, ARRAY_LEN(routes), &t));
	assert_int_equal(find(t, "0.0.0.0"), 3);
	assert_int_equal(find(t, "0.0.0.1"), 1);
	assert_int_equal(find(t, "255.255.255.255"), 1);
	assert_int_equal(find(t, "::"), 4);
	assert_int_equal(find(t, "::1"), 2);
	route_table_free(t);
}

static void test_prefixes_nested_at_every_length_are_told_apart(void **state)
{
	(void)state;
	struct route routes[129];
	struct route_table *t;
	/* All zeroes and all ones: the chain ends at the first and at the last address. */
	for (unsigned ones = 0; ones < 2; ones++) {
		uint8_t bytes[16];
		memset(bytes, ones ? 0xff : 0, sizeof(bytes));
		for (unsigned i = 0; i <= 128; i++) {
			struct ip_prefix p = {.addr = ip_addr_v6(bytes), .len = (uint8_t)i};
			routes[i] = (struct route){.prefix = ip_prefix_network(&p), .peer = i};
		}
		assert_ok(route_table_new(routes, 129, &t));
		for (unsigned i = 0; i < 128; i++) {
			uint8_t probe[16];
			memcpy(probe, bytes, sizeof(probe));
			probe[i / 8] ^= (uint8_t)(0x80 >> i % 8);
			assert_int_equal(route_table_find_ip6(t, probe), i);
		}
		assert_int_equal(route_table_find_ip6(t, bytes), 128);
		route_table_free(t);
	}
}

static void test_faulty_routes_are_refused(void **state)
{
	(void)state;
	struct route twice[] = {route("10.0.0.0/8", 1), route("fd00::/8", 1),
				route("10.0.0.0/8", 2)};
	struct route bits[] = {route("10.0.0.1/8", 1)};
	struct route nobody[] = {route("10.0.0.0/8", ROUTE_NONE)};
	struct route length[] = {route("10.0.0.0/8", 1)};
	struct route family[] = {{.peer = 1}};
	struct route_table *t = NULL;
	length[0].prefix.len = 33;
	assert_err(route_table_new(twice, 3, &t), ERR_DUPLICATE);
	assert_err(route_table_new(bits, 1, &t), ERR_RANGE);
	assert_err(route_table_new(nobody, 1, &t), ERR_RANGE);
	assert_err(route_table_new(length, 1, &t), ERR_RANGE);
	assert_err(route_table_new(family, 1, &t), ERR_RANGE);
	assert_null(t);
}

static struct ip_addr random_addr(uint8_t family, unsigned spread)
{
	uint8_t bytes[16] = {10, 7};
	for (size_t i = 0; i < sizeof(bytes); i++) {
		/* Few values, so that prefixes nest; the edges of bytes, so that they are met. */
		static const uint8_t edges[] = {0, 1, 127, 128, 254, 255};
		uint64_t r = testkit_random();
		if (r % 8 < spread)
			bytes[i] = edges[r / 8 % sizeof(edges)];
	}
	return family == 4 ? ip_addr_v4(bytes) : ip_addr_v6(bytes);
}

static int compare_routes(const void *a, const void *b)
{
	const struct route *x = a;
	const struct route *y = b;
	return memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
}

/* Up to n different prefixes. */
static size_t make_routes(struct route *routes, size_t n, unsigned spread)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t family = testkit_random() % 2 == 0 ? 4 : 6;
		struct ip_prefix p = {.addr = random_addr(family, spread)};
		p.len = (uint8_t)(testkit_random() % (ip_addr_bits(&p.addr) + 1));
		routes[i].prefix = ip_prefix_network(&p);
		routes[i].peer = (uint32_t)(testkit_random() % 20);
	}
	qsort(routes, n, sizeof(*routes), compare_routes);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || compare_routes(&routes[kept - 1], &routes[i]) != 0)
			routes[kept++] = routes[i];
	}
	for (size_t i = kept; i > 1; i--) {
		size_t j = testkit_random() % i;
		struct route swap = routes[i - 1];
		routes[i - 1] = routes[j];
		routes[j] = swap;
	}
	return kept;
}

static struct ip_addr step(struct ip_addr addr, int by)
{
	for (size_t i = ip_addr_bits(&addr) / 8; i-- > 0;) {
		addr.bytes[i] = (uint8_t)(addr.bytes[i] + by);
		if (addr.bytes[i] != (by > 0 ? 0 : 255))
			break;
	}
	return addr;
}

static void compare_at(const struct route_table *t, const struct route *routes, size_t n,
		       struct ip_addr addr)
{
	char text[IP_ADDR_TEXT_MAX];
	uint32_t fast = route_table_find(t, &addr);
	uint32_t slow = find_slowly(routes, n, &addr);
	if (fast != slow)
		fail_msg("%s: found %u, not %u", ip_addr_format(&addr, text), fast, slow);
}

static void test_any_table_agrees_with_a_linear_search(void **state)
{
	(void)state;
	enum {
		N = 400,
	};
	struct route *routes = calloc(N, sizeof(*routes));
	assert_non_null(routes);
	for (unsigned round = 0; round < 60; round++) {
		unsigned spread = round % 8 + 1;
		size_t n = make_routes(routes, testkit_random() % N, spread);
		struct route_table *t;
		assert_ok(route_table_new(routes, n, &t));
		for (size_t i = 0; i < n; i++) {
			/* The first address of a prefix, the last, and those beside. */
			struct ip_addr first = routes[i].prefix.addr;
			struct ip_addr last = first;
			for (unsigned bit = routes[i].prefix.len; bit < ip_addr_bits(&last); bit++)
				last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
			compare_at(t, routes, n, first);
			compare_at(t, routes, n, last);
			compare_at(t, routes, n, step(first, -1));
			compare_at(t, routes, n, step(last, 1));
		}
		for (unsigned i = 0; i < 500; i++)
			compare_at(t, routes, n, random_addr(i % 2 == 0 ? 4 : 6, spread));
		route_table_free(t);
	}
	free(routes);
}

static void test_hundred_thousand_prefixes(void **state)
{
	(void)state;
	enum {
		N = 100000,
	};
	struct route *routes = calloc(2 * N, sizeof(*routes));
	assert_non_null(routes);
	for (uint32_t i = 0; i < N; i++) {
		uint8_t ip4[4];
		uint8_t ip6[16] = {0xfd, 7};
		store_be32(ip4, 0x0a000000 + i * 2);
		store_be32(ip6 + 12, i * 2);
		routes[2 * i].prefix = (struct ip_prefix){.addr = ip_addr_v4(ip4), .len = 32};
		routes[2 * i + 1].prefix = (struct ip_prefix){.addr = ip_addr_v6(ip6), .len = 128};
		routes[2 * i].peer = i;
		routes[2 * i + 1].peer = i;
	}
	struct route_table *t;
	assert_ok(route_table_new(routes, 2 * N, &t));
	/* At most two ranges a prefix, and one more for each family. */
	assert_true(route_table_bytes(t) <= (2 * N + 1) * (8 + 32) + 128);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(route_table_find_ip4(t, routes[2 * i].prefix.addr.bytes), i);
		struct ip_addr beside = step(routes[2 * i].prefix.addr, 1);
		assert_int_equal(route_table_find(t, &beside), ROUTE_NONE);
		assert_int_equal(route_table_find_ip6(t, routes[2 * i + 1].prefix.addr.bytes), i);
		beside = step(routes[2 * i + 1].prefix.addr, 1);
		assert_int_equal(route_table_find(t, &beside), ROUTE_NONE);
	}
	route_table_free(t);
	free(routes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_prefix_wins),
		cmocka_unit_test(test_source_is_allowed_only_from_the_peer_of_its_longest_match),
		cmocka_unit_test(test_empty_table_finds_nothing),
		cmocka_unit_test(test_default_routes_take_the_rest),
		cmocka_unit_test(test_prefixes_nested_at_every_length_are_told_apart),
		cmocka_unit_test(test_faulty_routes_are_refused),
		cmocka_unit_test(test_any_table_agrees_with_a_linear_search),
		cmocka_unit_test(test_hundred_thousand_prefixes),
	};
	return cmocka_run_group_tests_name("route_table", tests, NULL, NULL);
}
