/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/limits.h"
#include "packets.h"
#include "vpn/packet/checksum.h"
#include "vpn/packet/icmp.h"
#include "vpn/packet/icmp_limiter.h"

static const uint8_t gateway[16] = {10, 0, 0, 254}, gateway6[16] = {0xfd, [15] = 254};

/* A UDP packet of that length in *p, parsed. */
static struct packet_info udp_packet(uint8_t *p, unsigned version, size_t len)
{
	size_t at = version == 4 ? put_v4(p, IPPROTO_UDP, len - 20)
				 : put_v6(p, IPPROTO_UDP, len - 40);
	put_udp(p, at, len);
	struct packet_info info;
	assert_ok(packet_parse(span_of(p, len), &info));
	return info;
}

static void test_checksum_agrees_with_a_naive_one(void **state)
{
	(void)state;
	/* RFC 1071 3. */
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	assert_int_equal(checksum_fold(checksum_add(0, span_of(example, 8))), 0xddf2);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t p[70];
		size_t len = testkit_random() % sizeof(p), at = testkit_random() % 8;
		for (size_t k = 0; k < sizeof(p); k++)
			p[k] = i % 2 == 0 ? 0xff : (uint8_t)testkit_random();
		if (at > len)
			at = len;
		uint8_t *exact = testkit_copy(span_of(p + at, len - at));
		assert_int_equal(checksum_fold(checksum_add(0, span_of(exact, len - at))),
				 naive_sum(p + at, len - at));
		free(exact);
	}
	uint8_t *big = malloc(65535);
	memset(big, 0xff, 65535);
	assert_int_equal(checksum_fold(checksum_add(0, span_of(big, 65535))),
			 naive_sum(big, 65535));
	free(big);
}

static void test_v4_unreachable_byte_by_byte(void **state)
{
	(void)state;
	uint8_t p[64], out[ICMP_ERROR_LEN_MAX];
	struct packet_info info = udp_packet(p, 4, 40);
	struct ip_addr from = ip_addr_v4(gateway);
	struct wbuf w = wbuf_of(out, sizeof(out));
	assert_ok(icmp_error_build(ICMP_UNREACHABLE, 0, span_of(p, 40), &info, &from, &w));
	assert_int_equal(w.len, 20 + 8 + 40);
	assert_int_equal(naive_sum(out, 20), 0xffff);
	assert_int_equal(naive_sum(out + 20, 48), 0xffff);
	assert_int_equal(load_be16(out + 20), 0x0301);
	assert_int_equal(load_be32(out + 24), 0);
	assert_span_equal(span_of(out + 28, 40), span_of(p, 40));
	assert_ok(packet_parse(wbuf_view(&w), &info));
	assert_true(ip_addr_equal(&info.source, &from));
	assert_span_equal(ip_addr_view(&info.destination), span_of(host_a, 4));
}

static void test_v6_errors_have_right_checksums(void **state)
{
	(void)state;
	static const uint8_t types[][2] = {{1, 0}, {1, 3}, {1, 1}, {1, 5}, {2, 0}};
	uint8_t p[64], out[ICMP_ERROR_LEN_MAX];
	struct ip_addr from = ip_addr_v6(gateway6);
	for (unsigned reason = 0; reason < ICMP_REASON_COUNT; reason++) {
		struct packet_info info = udp_packet(p, 6, 61);
		struct wbuf w = wbuf_of(out, sizeof(out));
		assert_ok(icmp_error_build(reason, 1400, span_of(p, 61), &info, &from, &w));
		assert_int_equal(w.len, 40 + 8 + 61);
		assert_true(transport_checksum_is_right(out, w.len, 40, IPPROTO_ICMPV6));
		assert_span_equal(span_of(out + 40, 2), span_of(types[reason], 2));
		assert_int_equal(load_be32(out + 44), reason == ICMP_TOO_BIG ? 1400 : 0);
		assert_ok(packet_parse(wbuf_view(&w), &info));
		assert_int_equal(info.protocol, IPPROTO_ICMPV6);
	}
}

static void test_too_big_says_the_mtu(void **state)
{
	(void)state;
	uint8_t p[64], out[ICMP_ERROR_LEN_MAX];
	struct packet_info info = udp_packet(p, 4, 40);
	struct ip_addr from = ip_addr_v4(gateway), from6 = ip_addr_v6(gateway6);
	struct wbuf w = wbuf_of(out, sizeof(out));
	/* Without DF it should have been fragmented: there is nothing to say. */
	assert_err(icmp_error_build(ICMP_TOO_BIG, 1300, span_of(p, 40), &info, &from, &w),
		   ERR_REFUSED);
	info.dont_fragment = true;
	assert_ok(icmp_error_build(ICMP_TOO_BIG, 1300, span_of(p, 40), &info, &from, &w));
	assert_int_equal(load_be16(out + 20), 0x0304);
	assert_int_equal(load_be32(out + 24), 1300);
	/* RFC 8200 5: IPv6 asks 1280 of every link. */
	info = udp_packet(p, 6, 60);
	w = wbuf_of(out, sizeof(out));
	assert_ok(icmp_error_build(ICMP_TOO_BIG, 600, span_of(p, 60), &info, &from6, &w));
	assert_int_equal(load_be32(out + 44), 1280);
}

static void test_errors_quote_as_much_as_is_allowed(void **state)
{
	(void)state;
	uint8_t *p = calloc(1, 3000);
	uint8_t *out = malloc(ICMP_ERROR_LEN_MAX);
	struct packet_info info = udp_packet(p, 4, 1500);
	struct ip_addr from = ip_addr_v4(gateway), from6 = ip_addr_v6(gateway6);
	struct wbuf w = wbuf_of(out, ICMP_ERROR_LEN_MAX);
	assert_ok(icmp_error_build(ICMP_NO_ROUTE, 0, span_of(p, 1500), &info, &from, &w));
	assert_int_equal(w.len, 576);
	info = udp_packet(p, 6, 3000);
	w = wbuf_of(out, ICMP_ERROR_LEN_MAX);
	assert_ok(icmp_error_build(ICMP_NO_ROUTE, 0, span_of(p, 3000), &info, &from6, &w));
	assert_int_equal(w.len, 1280);
	assert_true(transport_checksum_is_right(out, w.len, 40, IPPROTO_ICMPV6));
	/* No room: nothing is written. */
	w = wbuf_of(out, 1279);
	assert_err(icmp_error_build(ICMP_NO_ROUTE, 0, span_of(p, 3000), &info, &from6, &w),
		   ERR_FULL);
	assert_int_equal(w.len, 0);
	assert_err(icmp_error_build(ICMP_NO_ROUTE, 0, span_of(p, 3000), &info, &from, &w),
		   ERR_UNSUPPORTED);
	free(p);
	free(out);
}

static bool allowed(const uint8_t *p, size_t len, enum icmp_reason reason)
{
	struct packet_info info;
	assert_ok(packet_parse(span_of(p, len), &info));
	return icmp_error_is_allowed(reason, span_of(p, len), &info);
}

static void test_no_errors_about_icmp_errors(void **state)
{
	(void)state;
	uint8_t p[64] = {0};
	for (unsigned type = 0; type < 256; type++) {
		put_v4(p, IPPROTO_ICMP, 8);
		p[20] = (uint8_t)type;
		bool query = memchr("\0\10\11\12\15\16\17\20\21\22\52\53", (int)type, 12) != NULL;
		assert_int_equal(allowed(p, 28, ICMP_NO_ROUTE), query);
		put_v6(p, IPPROTO_ICMPV6, 8);
		p[40] = (uint8_t)type;
		assert_int_equal(allowed(p, 48, ICMP_NO_ROUTE), type >= 128 && type != 137);
	}
	/* No type at all: might be one. */
	assert_false(allowed(p, put_v4(p, IPPROTO_ICMP, 0), ICMP_NO_ROUTE));
	assert_false(allowed(p, put_v6(p, IPPROTO_ICMPV6, 0), ICMP_NO_ROUTE));
}

static void test_no_errors_about_later_fragments(void **state)
{
	(void)state;
	uint8_t p[64] = {0};
	put_v4(p, IPPROTO_UDP, 8);
	store_be16(p + 6, 0x2000);
	assert_true(allowed(p, 28, ICMP_NO_ROUTE));
	store_be16(p + 6, 100);
	assert_false(allowed(p, 28, ICMP_NO_ROUTE));
}

static void test_no_errors_to_what_is_no_single_host(void **state)
{
	(void)state;
	static const uint8_t sources[][4] = {{0, 0, 0, 0},   {0, 1, 2, 3},   {127, 0, 0, 1},
					     {224, 0, 0, 1}, {240, 0, 0, 1}, {255, 255, 255, 255}};
	uint8_t p[64] = {0};
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		put_v4(p, IPPROTO_UDP, 8);
		assert_true(allowed(p, 28, ICMP_NO_ROUTE));
		memcpy(p + 12, sources[i], 4);
		assert_false(allowed(p, 28, ICMP_NO_ROUTE));
	}
	static const uint8_t sources6[][16] = {{0}, {[15] = 1}, {0xff, 2, [15] = 1}};
	for (size_t i = 0; i < sizeof(sources6) / sizeof(sources6[0]); i++) {
		put_v6(p, IPPROTO_UDP, 8);
		assert_true(allowed(p, 48, ICMP_NO_ROUTE));
		memcpy(p + 8, sources6[i], 16);
		assert_false(allowed(p, 48, ICMP_NO_ROUTE));
	}
}

static void test_no_errors_about_multicast_and_broadcast(void **state)
{
	(void)state;
	uint8_t p[64] = {0};
	put_v4(p, IPPROTO_UDP, 8);
	p[6] = 0x40;
	p[16] = 224;
	assert_false(allowed(p, 28, ICMP_NO_ROUTE));
	assert_false(allowed(p, 28, ICMP_TOO_BIG));
	memset(p + 16, 255, 4);
	assert_false(allowed(p, 28, ICMP_NO_ROUTE));
	put_v6(p, IPPROTO_UDP, 8);
	p[24] = 0xff;
	assert_false(allowed(p, 48, ICMP_NO_ROUTE));
	assert_true(allowed(p, 48, ICMP_TOO_BIG));
}

static void test_limiter_lets_a_burst_and_then_the_rate(void **state)
{
	(void)state;
	struct icmp_limiter limiter;
	icmp_limiter_init(&limiter);
	nsec_t now = 5 * NSEC_PER_SEC;
	unsigned taken = 0;
	for (unsigned i = 0; i < 1000; i++)
		taken += icmp_limiter_take(&limiter, now);
	assert_int_equal(taken, ICMP_ERRORS_BURST);
	/* Ten seconds of a flood: the rate, whatever is asked. */
	taken = 0;
	for (unsigned i = 0; i < 10000; i++) {
		now += NSEC_PER_MSEC;
		taken += icmp_limiter_take(&limiter, now);
	}
	assert_int_equal(taken, 10 * ICMP_ERRORS_PER_SEC);
	/* A long silence saves up one burst and no more. */
	now += 3600 * NSEC_PER_SEC;
	taken = 0;
	for (unsigned i = 0; i < 1000; i++)
		taken += icmp_limiter_take(&limiter, now);
	assert_int_equal(taken, ICMP_ERRORS_BURST);
}

static void test_limiter_starts_full_at_time_zero(void **state)
{
	(void)state;
	struct icmp_limiter limiter;
	icmp_limiter_init(&limiter);
	assert_true(icmp_limiter_take(&limiter, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksum_agrees_with_a_naive_one),
		cmocka_unit_test(test_v4_unreachable_byte_by_byte),
		cmocka_unit_test(test_v6_errors_have_right_checksums),
		cmocka_unit_test(test_too_big_says_the_mtu),
		cmocka_unit_test(test_errors_quote_as_much_as_is_allowed),
		cmocka_unit_test(test_no_errors_about_icmp_errors),
		cmocka_unit_test(test_no_errors_about_later_fragments),
		cmocka_unit_test(test_no_errors_to_what_is_no_single_host),
		cmocka_unit_test(test_no_errors_about_multicast_and_broadcast),
		cmocka_unit_test(test_limiter_lets_a_burst_and_then_the_rate),
		cmocka_unit_test(test_limiter_starts_full_at_time_zero),
	};
	return cmocka_run_group_tests_name("icmp", tests, NULL, NULL);
}
