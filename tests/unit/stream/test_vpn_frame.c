/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/limits.h"
#include "vpn/stream/vpn_frame.h"

static void test_whole_packets_are_lent_from_the_input(void **state)
{
	(void)state;
	static const uint8_t in[] = {0, 0, 0, 2, 'a', 'b', 0, 0, 0, 1, 'c', 0, 0};
	struct vpn_frame_reader *r;
	struct span rest = span_of(in, sizeof(in)), packet;
	assert_ok(vpn_frame_reader_new(1400, &r));
	assert_ok(vpn_frame_reader_read(r, &rest, &packet));
	assert_ptr_equal(packet.p, in + 4);
	assert_int_equal(packet.len, 2);
	assert_true(vpn_frame_reader_is_between(r));
	assert_ok(vpn_frame_reader_read(r, &rest, &packet));
	assert_ptr_equal(packet.p, in + 10);
	assert_err(vpn_frame_reader_read(r, &rest, &packet), ERR_AGAIN);
	assert_int_equal(rest.len, 0);
	assert_false(vpn_frame_reader_is_between(r));
	assert_null(vpn_frame_reader_free(r));
	assert_null(vpn_frame_reader_free(NULL));
}

/* One stream, cut in two at each place, and into chunks of each size. */
static void test_cuts_do_not_matter(void **state)
{
	(void)state;
	uint8_t in[80];
	struct wbuf w = wbuf_of(in, sizeof(in));
	static const size_t lens[] = {1, 3, 4, 5, 20, 1, 7};
	for (size_t i = 0; i < 7; i++) {
		vpn_frame_put_header(wbuf_reserve(&w, 4), lens[i]);
		memset(wbuf_reserve(&w, lens[i]), (int)('a' + i), lens[i]);
	}
	for (size_t chunk = 1; chunk <= w.len; chunk++) {
		struct vpn_frame_reader *r;
		assert_ok(vpn_frame_reader_new(20, &r));
		size_t got = 0;
		for (size_t at = 0; at < w.len; at += chunk) {
			size_t n = w.len - at < chunk ? w.len - at : chunk;
			uint8_t *exact = testkit_copy(span_of(in + at, n));
			struct span rest = span_of(exact, n), packet;
			while (vpn_frame_reader_read(r, &rest, &packet) == ERR_OK) {
				assert_int_equal(packet.len, lens[got]);
				for (size_t k = 0; k < packet.len; k++)
					assert_int_equal(packet.p[k], 'a' + got);
				got++;
			}
			assert_int_equal(rest.len, 0);
			free(exact);
		}
		assert_int_equal(got, 7);
		assert_true(vpn_frame_reader_is_between(r));
		vpn_frame_reader_free(r);
	}
}

static void test_bad_lengths_are_refused_at_once_and_for_good(void **state)
{
	(void)state;
	static const struct {
		uint32_t len, max;
		enum err e;
	} cases[] = {{0, 1400, ERR_RANGE},
		     {1401, 1400, ERR_TOO_LONG},
		     {UINT32_MAX, 1400, ERR_TOO_LONG},
		     {0x80000000, 65535, ERR_TOO_LONG},
		     {65536, 65535, ERR_TOO_LONG},
		     {2, 1, ERR_TOO_LONG}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vpn_frame_reader *r;
		uint8_t in[4];
		struct span packet, rest = span_of(in, 4);
		store_be32(in, cases[i].len);
		assert_ok(vpn_frame_reader_new(cases[i].max, &r));
		assert_err(vpn_frame_reader_read(r, &rest, &packet), cases[i].e);
		rest = span_of("\0\0\0\1x", 5);
		assert_err(vpn_frame_reader_read(r, &rest, &packet), cases[i].e);
		assert_int_equal(rest.len, 5);
		assert_false(vpn_frame_reader_is_between(r));
		vpn_frame_reader_free(r);
	}
}

static void test_longest_packets_pass(void **state)
{
	(void)state;
	struct vpn_frame_reader *r;
	uint8_t *in = calloc(1, 4 + PACKET_LEN_MAX);
	struct span packet, first = span_of(in, 10), rest = span_of(in + 10, PACKET_LEN_MAX - 6);
	vpn_frame_put_header(in, PACKET_LEN_MAX);
	assert_ok(vpn_frame_reader_new(PACKET_LEN_MAX, &r));
	assert_err(vpn_frame_reader_read(r, &first, &packet), ERR_AGAIN);
	assert_ok(vpn_frame_reader_read(r, &rest, &packet));
	assert_int_equal(packet.len, PACKET_LEN_MAX);
	vpn_frame_reader_free(r);
	free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_packets_are_lent_from_the_input),
		cmocka_unit_test(test_cuts_do_not_matter),
		cmocka_unit_test(test_bad_lengths_are_refused_at_once_and_for_good),
		cmocka_unit_test(test_longest_packets_pass),
	};
	return cmocka_run_group_tests_name("vpn_frame", tests, NULL, NULL);
}
