/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "packets.h"
#include "vpn/packet/ecn.h"
#include "vpn/packet/packet.h"

enum {
	NOT_ECT = 0,
	ECT1 = 1,
	ECT0 = 2,
	CE = 3,
};

static void fill_random(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)testkit_random();
}

static void test_marked_v4_header_equals_one_made_anew(void **state)
{
	(void)state;
	for (int round = 0; round < 200000; round++) {
		uint8_t p[60], anew[60];
		size_t len = 20 + (size_t)(testkit_random() % 11) * 4;
		fill_random(p, len);
		p[0] = (uint8_t)(0x40 | len / 4);
		store_be16(p + 10, 0);
		memcpy(anew, p, len);
		store_be16(p + 10, (uint16_t)~naive_sum(p, len));
		uint8_t ecn = p[1] & 3;

		assert_int_equal(ecn_mark(p, len), ecn != NOT_ECT);

		if (ecn != NOT_ECT)
			anew[1] |= CE;
		store_be16(anew + 10, (uint16_t)~naive_sum(anew, len));
		assert_memory_equal(p, anew, len);
	}
}

static void test_checksum_is_right_at_the_ends_of_its_range(void **state)
{
	(void)state;
	/* All 65536 identifications: the checksum takes each of its values. */
	for (unsigned id = 0; id <= UINT16_MAX; id++) {
		uint8_t p[20];
		put_v4(p, IPPROTO_UDP, 0);
		p[1] = ECT0;
		store_be16(p + 4, (uint16_t)id);
		store_be16(p + 10, 0);
		store_be16(p + 10, (uint16_t)~naive_sum(p, 20));
		assert_true(ecn_mark(p, sizeof(p)));
		assert_int_equal(naive_sum(p, 20), 0xffff);
	}
}

static void test_wrong_checksum_stays_wrong(void **state)
{
	(void)state;
	uint8_t p[20];
	put_v4(p, IPPROTO_UDP, 0);
	p[1] = ECT1;
	store_be16(p + 10, 0);
	store_be16(p + 10, (uint16_t)(~naive_sum(p, 20) ^ 0x0100));
	assert_true(ecn_mark(p, sizeof(p)));
	assert_int_not_equal(naive_sum(p, 20), 0xffff);
}

static void test_v6_mark_moves_two_bits_only(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint8_t p[40], expected[40];
		fill_random(p, sizeof(p));
		p[0] = (uint8_t)(0x60 | (p[0] & 0xf));
		memcpy(expected, p, sizeof(p));
		unsigned ecn = load_be16(p) >> 4 & 3;
		if (ecn != NOT_ECT)
			store_be16(expected, (uint16_t)(load_be16(p) | CE << 4));

		assert_int_equal(ecn_mark(p, sizeof(p)), ecn != NOT_ECT);
		assert_memory_equal(p, expected, sizeof(p));
	}
}

/* As packet_parse(), which is tested elsewhere, reads it. */
static unsigned ecn_of(const uint8_t *p, size_t len)
{
	struct packet_info info;
	assert_ok(packet_parse(span_of(p, len), &info));
	return info.traffic_class & 3u;
}

static void test_each_codepoint_does_as_rfc_3168_says(void **state)
{
	(void)state;
	for (unsigned ecn = NOT_ECT; ecn <= CE; ecn++) {
		for (unsigned dscp = 0; dscp < 64; dscp++) {
			uint8_t p[60] = {0};
			put_v4(p, IPPROTO_ICMP, 8);
			p[1] = (uint8_t)(dscp << 2 | ecn);
			assert_int_equal(ecn_mark(p, 28), ecn != NOT_ECT);
			assert_int_equal(ecn_of(p, 28), ecn == NOT_ECT ? NOT_ECT : CE);
			assert_int_equal(p[1] >> 2, dscp);

			put_v6(p, IPPROTO_ICMPV6, 8);
			store_be16(p, (uint16_t)(0x6000 | dscp << 6 | ecn << 4));
			assert_int_equal(ecn_mark(p, 48), ecn != NOT_ECT);
			assert_int_equal(ecn_of(p, 48), ecn == NOT_ECT ? NOT_ECT : CE);
			assert_int_equal(load_be16(p) >> 6 & 63, dscp);
		}
	}
}

static void test_second_mark_changes_nothing(void **state)
{
	(void)state;
	uint8_t p[28] = {0}, once[28];
	put_v4(p, IPPROTO_ICMP, 8);
	p[1] = ECT0;
	assert_true(ecn_mark(p, sizeof(p)));
	memcpy(once, p, sizeof(p));
	assert_true(ecn_mark(p, sizeof(p)));
	assert_memory_equal(p, once, sizeof(p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marked_v4_header_equals_one_made_anew),
		cmocka_unit_test(test_checksum_is_right_at_the_ends_of_its_range),
		cmocka_unit_test(test_wrong_checksum_stays_wrong),
		cmocka_unit_test(test_v6_mark_moves_two_bits_only),
		cmocka_unit_test(test_each_codepoint_does_as_rfc_3168_says),
		cmocka_unit_test(test_second_mark_changes_nothing),
	};
	return cmocka_run_group_tests_name("ecn", tests, NULL, NULL);
}
