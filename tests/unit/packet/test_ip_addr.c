/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "vpn/packet/ip_addr.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;
	assert_ok(ip_addr_parse(span_str(text), &a));
	return a;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;
	assert_ok(ip_prefix_parse(span_str(text), &p));
	return p;
}

static void test_addresses_survive_text(void **state)
{
	(void)state;
	static const char *const texts[] = {"0.0.0.0", "10.1.2.3", "255.255.255.255",    "::",
					    "::1",     "fd00::1",  "2001:db8::ff:fe00:1"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char buf[IP_ADDR_TEXT_MAX];
		struct ip_addr a = addr(texts[i]);
		assert_string_equal(ip_addr_format(&a, buf), texts[i]);
		assert_int_equal(ip_addr_bits(&a), strchr(texts[i], ':') != NULL ? 128 : 32);
	}
}

static void test_what_is_no_address_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"10.1.2",
		"10.1.2.3.4",
		"10.1.2.256",
		" 10.1.2.3",
		"10.1.2.3 ",
		"10.1.2.",
		"0x0a.1.2.3",
		":",
		"fe80::1%eth0",
		"1::2::3",
		"fd00::g",
		"::ffff:1.2.3.4:5",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct ip_addr a;
		uint8_t *exact = testkit_copy(span_str(texts[i]));
		assert_err(ip_addr_parse(span_of(exact, strlen(texts[i])), &a), ERR_MALFORMED);
		free(exact);
	}
	struct ip_addr a;
	assert_err(ip_addr_parse(span_of("10.0.0.1\0", 9), &a), ERR_MALFORMED);
}

static void test_families_never_compare_equal(void **state)
{
	(void)state;
	struct ip_addr v4 = addr("0.0.0.0"), v6 = addr("::");
	assert_false(ip_addr_equal(&v4, &v6));
	struct ip_prefix all4 = prefix("0.0.0.0/0"), all6 = prefix("::/0");
	assert_false(ip_prefix_contains(&all4, &v6));
	assert_false(ip_prefix_contains(&all6, &v4));
	assert_false(ip_prefix_overlaps(&all4, &all6));
}

static void test_special_addresses_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool unspecified, multicast, loopback, link_local;
	} cases[] = {
		{"0.0.0.0", true, false, false, false},
		{"::", true, false, false, false},
		{"224.0.0.1", false, true, false, false},
		{"239.255.255.255", false, true, false, false},
		{"ff02::1", false, true, false, false},
		{"127.9.9.9", false, false, true, false},
		{"::1", false, false, true, false},
		{"169.254.1.1", false, false, false, true},
		{"febf::1", false, false, false, true},
		{"fec0::1", false, false, false, false},
		{"240.0.0.1", false, false, false, false},
		{"10.0.0.1", false, false, false, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_addr a = addr(cases[i].text);
		assert_int_equal(ip_addr_is_unspecified(&a), cases[i].unspecified);
		assert_int_equal(ip_addr_is_multicast(&a), cases[i].multicast);
		assert_int_equal(ip_addr_is_loopback(&a), cases[i].loopback);
		assert_int_equal(ip_addr_is_link_local(&a), cases[i].link_local);
	}
}

static void test_prefixes_survive_text(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {{"10.0.0.0/24", "10.0.0.0/24"},
					       {"10.0.0.1", "10.0.0.1/32"},
					       {"fd00::1", "fd00::1/128"},
					       {"fd00::/8", "fd00::/8"},
					       {"0.0.0.0/0", "0.0.0.0/0"}};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char buf[IP_PREFIX_TEXT_MAX];
		struct ip_prefix p = prefix(pairs[i][0]);
		assert_string_equal(ip_prefix_format(&p, buf), pairs[i][1]);
	}
}

static void test_bad_prefix_lengths_are_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"10.0.0.0/",   "10.0.0.0/-1",  "10.0.0.0/+8",
					    "10.0.0.0/08", "10.0.0.0/ 8",  "10.0.0.0/8/8",
					    "/8",          "10.0.0.0/1000"};
	struct ip_prefix p;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_err(ip_prefix_parse(span_str(texts[i]), &p), ERR_MALFORMED);
	assert_err(ip_prefix_parse(span_str("10.0.0.0/33"), &p), ERR_RANGE);
	assert_err(ip_prefix_parse(span_str("::/129"), &p), ERR_RANGE);
	assert_err(ip_prefix_parse(span_of(NULL, 0), &p), ERR_MALFORMED);
}

static void test_host_bits_are_seen_and_masked(void **state)
{
	(void)state;
	struct ip_prefix p = prefix("10.1.255.3/17");
	char buf[IP_PREFIX_TEXT_MAX];
	assert_false(ip_prefix_is_network(&p));
	struct ip_prefix network = ip_prefix_network(&p);
	assert_string_equal(ip_prefix_format(&network, buf), "10.1.128.0/17");
	assert_true(ip_prefix_is_network(&network));
}

static bool contains_bit_by_bit(const struct ip_prefix *p, const struct ip_addr *a)
{
	if (p->addr.family != a->family)
		return false;
	for (unsigned i = 0; i < p->len; i++) {
		unsigned bit = 7 - i % 8;
		if (((p->addr.bytes[i / 8] >> bit) & 1) != ((a->bytes[i / 8] >> bit) & 1))
			return false;
	}
	return true;
}

static void test_contains_agrees_with_bit_by_bit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50000; i++) {
		uint64_t r = testkit_random();
		struct ip_prefix p = {.addr.family = r & 1 ? 4 : 6};
		unsigned bits = ip_addr_bits(&p.addr);
		p.len = (uint8_t)((r >> 8) % (bits + 1));
		for (unsigned k = 0; k < bits / 8; k++)
			p.addr.bytes[k] = (uint8_t)testkit_random();
		struct ip_addr a = p.addr;
		unsigned flip = (unsigned)(r >> 16) % bits;
		if (r & 2)
			a.bytes[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		assert_int_equal(ip_prefix_contains(&p, &a), contains_bit_by_bit(&p, &a));
	}
}

static void test_overlap_is_symmetric(void **state)
{
	(void)state;
	struct ip_prefix wide = prefix("10.0.0.0/8"), narrow = prefix("10.9.0.0/16");
	struct ip_prefix other = prefix("11.0.0.0/8");
	assert_true(ip_prefix_overlaps(&wide, &narrow));
	assert_true(ip_prefix_overlaps(&narrow, &wide));
	assert_false(ip_prefix_overlaps(&narrow, &other));
}

static void test_broadcast_is_the_last_of_a_network(void **state)
{
	(void)state;
	struct ip_prefix p = prefix("10.0.0.1/24"), p31 = prefix("10.0.0.0/31");
	struct ip_addr last = addr("10.0.0.255"), first = addr("10.0.0.0"), one = addr("10.0.0.1");
	struct ip_addr outside = addr("10.0.1.255");
	assert_true(ip_prefix_is_broadcast(&p, &last));
	assert_false(ip_prefix_is_broadcast(&p, &first));
	assert_false(ip_prefix_is_broadcast(&p, &outside));
	assert_false(ip_prefix_is_broadcast(&p31, &one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_survive_text),
		cmocka_unit_test(test_what_is_no_address_is_refused),
		cmocka_unit_test(test_families_never_compare_equal),
		cmocka_unit_test(test_special_addresses_are_told_apart),
		cmocka_unit_test(test_prefixes_survive_text),
		cmocka_unit_test(test_bad_prefix_lengths_are_refused),
		cmocka_unit_test(test_host_bits_are_seen_and_masked),
		cmocka_unit_test(test_contains_agrees_with_bit_by_bit),
		cmocka_unit_test(test_overlap_is_symmetric),
		cmocka_unit_test(test_broadcast_is_the_last_of_a_network),
	};
	return cmocka_run_group_tests_name("ip_addr", tests, NULL, NULL);
}
