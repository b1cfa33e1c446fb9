/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>

#include "p2p/host/gate.h"

static union netaddr addr(const char *text)
{
	union netaddr a;
	memset(&a, 0, sizeof(a));
	if (strchr(text, ':') != NULL) {
		a.in6.sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &a.in6.sin6_addr), 1);
	} else {
		a.in4.sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &a.in4.sin_addr), 1);
	}
	return a;
}

/* How many connections from these addresses get in; `fmt` has one %d. */
static int count_admitted(struct gate *g, const char *fmt, int n, bool is_known)
{
	int admitted = 0;
	for (int i = 0; i < n; i++) {
		char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), fmt, i);
#pragma GCC diagnostic pop
		union netaddr a = addr(text);
		unsigned slot;
		admitted += gate_admit(g, &a, is_known, &slot) == ERR_OK;
	}
	return admitted;
}

static void test_one_ip4_address_gets_its_share_only(void **state)
{
	(void)state;
	struct gate g = {.n_used = 0};
	union netaddr a = addr("192.0.2.1");
	unsigned slot = 0;
	for (int i = 0; i < CONN_PER_IP4_MAX; i++)
		assert_ok(gate_admit(&g, &a, false, &slot));
	assert_err(gate_admit(&g, &a, false, &slot), ERR_LIMIT);
	union netaddr b = addr("192.0.2.2");
	unsigned other;
	assert_ok(gate_admit(&g, &b, false, &other));
	gate_release(&g, slot);
	assert_ok(gate_admit(&g, &a, false, &slot));
}

static void test_a_household_gets_no_more_by_using_many_addresses(void **state)
{
	(void)state;
	struct gate g = {.n_used = 0};
	assert_int_equal(count_admitted(&g, "2001:db8:0:aa%02d::1", 50, false),
			 CONN_PER_IP6_56_MAX);
}

static void test_a_site_is_bounded_across_its_households(void **state)
{
	(void)state;
	struct gate g = {.n_used = 0};
	/* each in a /56 of its own */
	assert_int_equal(count_admitted(&g, "2001:db8:0:%02d00::1", 100, false),
			 CONN_PER_IP6_48_MAX);
}

static void test_strangers_leave_room_for_known_addresses(void **state)
{
	(void)state;
	struct gate g = {.n_used = 0};
	int strangers = count_admitted(&g, "198.51.100.%d", 255, false);
	assert_int_equal(strangers, CONN_TRANSIENT_MAX - CONN_TRANSIENT_RESERVED);
	assert_int_equal(count_admitted(&g, "203.0.113.%d", 255, true), CONN_TRANSIENT_RESERVED);
	assert_int_equal(g.n_used, CONN_TRANSIENT_MAX);
}

/* How many of n may come at `now` from addresses that `fmt` makes of a number, from `first` on. */
static int count_paced(struct gate *g, const char *fmt, int first, int n, nsec_t now)
{
	int paced = 0;
	for (int i = first; i < first + n; i++) {
		char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), fmt, (unsigned)i & 255, (unsigned)i >> 8 & 255);
#pragma GCC diagnostic pop
		union netaddr a = addr(text);
		paced += gate_pace(g, &a, true, now) == ERR_OK;
	}
	return paced;
}

static const nsec_t start = 1000 * NSEC_PER_SEC;

static struct gate *gate_new(void)
{
	struct gate *g = calloc(1, sizeof(*g));
	assert_non_null(g);
	g->key = testkit_random();
	return g;
}

static void test_one_address_has_a_burst_and_a_rate(void **state)
{
	(void)state;
	struct gate *g = gate_new();
	assert_int_equal(count_paced(g, "192.0.2.1", 0, 1000, start), CONN_RATE_IP4_BURST);
	assert_int_equal(count_paced(g, "192.0.2.1", 0, 1000, start + NSEC_PER_SEC),
			 CONN_RATE_IP4_PER_SEC);
	assert_int_equal(count_paced(g, "192.0.2.1", 0, 1000, start + 3600 * NSEC_PER_SEC),
			 CONN_RATE_IP4_BURST);
	free(g);
}

static void test_one_address_does_not_spend_the_tokens_of_others(void **state)
{
	(void)state;
	struct gate *g = gate_new();
	count_paced(g, "192.0.2.1", 0, 1000, start);
	/* but those that share both buckets with it, one in four million each */
	assert_in_range(count_paced(g, "198.51.%2$u.%1$u", 0, 1000, start), 998, 1000);
	free(g);
}

static void test_a_household_has_one_bucket_and_a_site_one_for_all_of_them(void **state)
{
	(void)state;
	struct gate *g = gate_new();
	assert_int_equal(count_paced(g, "2001:db8:0:aa%02x::1", 0, 1000, start),
			 CONN_RATE_IP4_BURST);
	free(g);
	g = gate_new();
	assert_int_equal(count_paced(g, "2001:db8:0:%02x00::1", 0, 1024, start),
			 CONN_RATE_IP6_48_BURST);
	assert_int_equal(count_paced(g, "2001:db8:0:%02x00::1", 0, 1024, start + NSEC_PER_SEC),
			 CONN_RATE_IP6_48_PER_SEC);
	free(g);
}

static void test_all_strangers_have_one_bucket_that_known_addresses_pass_by(void **state)
{
	(void)state;
	struct gate *g = gate_new();
	union netaddr a = addr("192.0.2.1");
	for (uint32_t i = 0; i < CONN_RATE_BURST; i++) {
		union netaddr b = addr("198.51.0.0");
		b.in4.sin_addr.s_addr |= htonl(i);
		assert_ok(gate_pace(g, &b, false, start));
	}
	for (int i = 0; i < 2 * CONN_RATE_IP4_BURST; i++)
		assert_err(gate_pace(g, &a, false, start), ERR_BUSY);
	/* Those refused took no tokens; of the others a few may share both of its buckets. */
	assert_in_range(count_paced(g, "192.0.2.1", 0, 1000, start), CONN_RATE_IP4_BURST - 16,
			CONN_RATE_IP4_BURST);
	assert_err(gate_pace(g, &a, false, start), ERR_LIMIT);
	assert_ok(gate_pace(g, &a, false, start + NSEC_PER_SEC));
	free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_ip4_address_gets_its_share_only),
		cmocka_unit_test(test_a_household_gets_no_more_by_using_many_addresses),
		cmocka_unit_test(test_a_site_is_bounded_across_its_households),
		cmocka_unit_test(test_strangers_leave_room_for_known_addresses),
		cmocka_unit_test(test_one_address_has_a_burst_and_a_rate),
		cmocka_unit_test(test_one_address_does_not_spend_the_tokens_of_others),
		cmocka_unit_test(test_a_household_has_one_bucket_and_a_site_one_for_all_of_them),
		cmocka_unit_test(test_all_strangers_have_one_bucket_that_known_addresses_pass_by),
	};
	return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
