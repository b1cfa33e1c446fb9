/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "packets.h"
#include "vpn/packet/conn_key.h"

static struct conn_key key(const char *text)
{
	struct conn_key k;
	assert_ok(conn_key_parse(span_str(text), &k));
	return k;
}

static struct conn_key key_of(const uint8_t *packet, size_t len)
{
	struct packet_info info;
	assert_ok(packet_parse(span_of(packet, len), &info));
	struct conn_key k;
	memset(&k, 0xa5, sizeof(k)); /* what was there before must not shine through */
	conn_key_of(&info, &k);
	return k;
}

static struct conn_key random_key(void)
{
	struct conn_key k = {.family = testkit_random() % 2 != 0 ? 4 : 6};
	size_t len = k.family == 4 ? 4 : 16;
	for (size_t i = 0; i < len; i++) {
		/* Many zeros, so that "::" stands in all places. */
		uint64_t r = testkit_random();
		k.ip[i] = r % 2 != 0 ? 0 : (uint8_t)(r >> 8);
	}
	uint64_t r = testkit_random();
	k.source_port = (uint16_t)(r >> (r % 17));
	k.destination_port = (uint16_t)(r >> 32 >> (r / 17 % 17));
	return k;
}

static void assert_key_text(const struct conn_key *k, const char *text)
{
	char buf[CONN_KEY_TEXT_MAX];
	assert_string_equal(conn_key_format(k, buf), text);
}

static void test_key_of_a_connection_is_source_port_destination_and_its_port(void **state)
{
	(void)state;
	uint8_t p[128] = {0};
	put_v4(p, IPPROTO_TCP, 20);
	put_tcp(p, 20, 40);
	struct conn_key k = key_of(p, 40);
	assert_key_text(&k, "1234:10.0.0.2:443");

	put_v6(p, IPPROTO_UDP, 8);
	put_udp(p, 40, 48);
	k = key_of(p, 48);
	assert_key_text(&k, "5353:fd00::2:53");
}

static void test_key_has_no_stray_bytes(void **state)
{
	(void)state;
	uint8_t p[128] = {0};
	put_v4(p, IPPROTO_TCP, 20);
	put_tcp(p, 20, 40);
	struct conn_key k = key_of(p, 40), parsed = key("1234:10.0.0.2:443");
	assert_memory_equal(&k, &parsed, sizeof(k));
	assert_true(conn_key_equal(&k, &parsed));
	assert_true(conn_key_hash(&k, 7) == conn_key_hash(&parsed, 7));
}

static void test_what_has_no_ports_has_ports_zero(void **state)
{
	(void)state;
	uint8_t p[128] = {0};
	put_v4(p, IPPROTO_ICMP, 8);
	memset(p + 20, 0x42, 8);
	struct conn_key k = key_of(p, 28);
	assert_key_text(&k, "0:10.0.0.2:0");

	put_v6(p, IPPROTO_ICMPV6, 8);
	memset(p + 40, 0x42, 8);
	k = key_of(p, 48);
	assert_key_text(&k, "0:fd00::2:0");
}

static void test_all_fragments_of_a_datagram_have_one_key(void **state)
{
	(void)state;
	uint8_t first[64] = {0}, later[64] = {0};
	put_v4(first, IPPROTO_UDP, 24);
	put_udp(first, 20, 44);
	store_be16(first + 6, 0x2000); /* more follow */
	put_v4(later, IPPROTO_UDP, 24);
	memset(later + 20, 0x42, 24);
	store_be16(later + 6, 3); /* from byte 24 on; the last */
	struct conn_key a = key_of(first, 44), b = key_of(later, 44);
	assert_key_text(&a, "0:10.0.0.2:0");
	assert_true(conn_key_equal(&a, &b));

	memset(first, 0, sizeof(first));
	memset(later, 0, sizeof(later));
	put_v6(first, IPPROTO_FRAGMENT, 16);
	first[40] = IPPROTO_UDP;
	store_be16(first + 42, 1);
	put_udp(first, 48, 56);
	put_v6(later, IPPROTO_FRAGMENT, 16);
	later[40] = IPPROTO_UDP;
	store_be16(later + 42, 8);
	a = key_of(first, 56);
	b = key_of(later, 56);
	assert_key_text(&a, "0:fd00::2:0");
	assert_true(conn_key_equal(&a, &b));
}

static void test_an_atomic_fragment_keeps_its_ports(void **state)
{
	(void)state;
	uint8_t p[64] = {0};
	put_v6(p, IPPROTO_FRAGMENT, 16);
	p[40] = IPPROTO_UDP;
	put_udp(p, 48, 56);
	struct conn_key k = key_of(p, 56);
	assert_key_text(&k, "5353:fd00::2:53");
}

static void test_keys_that_differ_in_one_part_differ(void **state)
{
	(void)state;
	struct conn_key k = key("1:10.0.0.2:3");
	static const char *const others[] = {"2:10.0.0.2:3", "1:10.0.0.2:4", "1:10.0.0.3:3",
					     "3:10.0.0.2:1", "1:a00:2:::3"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct conn_key other = key(others[i]);
		assert_false(conn_key_equal(&k, &other));
		assert_true(conn_key_hash(&k, 7) != conn_key_hash(&other, 7));
	}
	/* The same bytes of address in the other family. */
	struct conn_key v6 = k;
	v6.family = 6;
	assert_false(conn_key_equal(&k, &v6));
	assert_true(conn_key_hash(&k, 7) != conn_key_hash(&v6, 7));
}

static void test_text_and_key_are_each_others_inverse(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct conn_key k = random_key(), back;
		char buf[CONN_KEY_TEXT_MAX], again[CONN_KEY_TEXT_MAX];
		struct span text = span_str(conn_key_format(&k, buf));
		assert_true(text.len < CONN_KEY_TEXT_MAX);
		assert_ok(conn_key_parse(text, &back));
		assert_memory_equal(&k, &back, sizeof(k));
		assert_string_equal(conn_key_format(&back, again), buf);
	}
}

static void test_longest_text_fits(void **state)
{
	(void)state;
	struct conn_key k = {.family = 6, .source_port = 65535, .destination_port = 65535};
	memset(k.ip, 0xff, sizeof(k.ip));
	assert_key_text(&k, "65535:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535");
}

static void test_texts_that_are_not_canonical_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err err;
	} cases[] = {
		{"", ERR_MALFORMED},
		{":", ERR_MALFORMED},
		{"::", ERR_MALFORMED},
		{":::", ERR_MALFORMED},
		{"1:2", ERR_MALFORMED},
		{"1::2", ERR_MALFORMED},
		{":10.0.0.1:2", ERR_MALFORMED},
		{"1:10.0.0.1:", ERR_MALFORMED},
		{"1:10.0.0.1", ERR_MALFORMED},
		{"01:10.0.0.1:2", ERR_MALFORMED},
		{"1:10.0.0.1:02", ERR_MALFORMED},
		{"00:10.0.0.1:2", ERR_MALFORMED},
		{"1:10.0.0.01:2", ERR_MALFORMED},
		{" 1:10.0.0.1:2", ERR_MALFORMED},
		{"1 :10.0.0.1:2", ERR_MALFORMED},
		{"1: 10.0.0.1:2", ERR_MALFORMED},
		{"1:10.0.0.1:2 ", ERR_MALFORMED},
		{"1:10.0.0.1:2\n", ERR_MALFORMED},
		{"+1:10.0.0.1:2", ERR_MALFORMED},
		{"-1:10.0.0.1:2", ERR_MALFORMED},
		{"0x1:10.0.0.1:2", ERR_MALFORMED},
		{"1:10.0.0.1:2a", ERR_MALFORMED},
		{"1:[fd00::1]:2", ERR_MALFORMED},
		{"1:FD00::1:2", ERR_MALFORMED},
		{"1:fd00::0001:2", ERR_MALFORMED},
		{"1:fd00:0:0:0:0:0:0:1:2", ERR_MALFORMED},
		{"1:fd00::1:2:3:4:5:6:7:8:9", ERR_MALFORMED},
		{"1:fe80::1%lo:2", ERR_MALFORMED},
		{"1:10.0.0.256:2", ERR_MALFORMED},
		{"1:none:2", ERR_MALFORMED},
		{"65536:10.0.0.1:2", ERR_RANGE},
		{"1:10.0.0.1:65536", ERR_RANGE},
		{"1:10.0.0.1:655360000000000000000000000000000000", ERR_RANGE},
		{"1:10.0.0.1:4294967297", ERR_RANGE},
		{"99999x:10.0.0.1:2", ERR_MALFORMED},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conn_key k;
		uint8_t *exact = testkit_copy(span_str(cases[i].text));
		assert_err(conn_key_parse(span_of(exact, strlen(cases[i].text)), &k), cases[i].err);
		free(exact);
	}
	struct conn_key k;
	assert_err(conn_key_parse(span_of(NULL, 0), &k), ERR_MALFORMED);
	assert_err(conn_key_parse(span_of("1:10.0.0.1\0:2", 13), &k), ERR_MALFORMED);
}

static void test_cut_texts_never_read_past_their_end_or_mean_the_whole(void **state)
{
	(void)state;
	static const char *const texts[] = {"51000:10.7.0.2:443", "51000:fd07::2:443", "0::::0",
					    "65535:2001:db8::ff:fe00:1:65535"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct conn_key whole = key(texts[i]);
		size_t len = strlen(texts[i]);
		for (size_t from = 0; from <= len; from++) {
			for (size_t to = from; to <= len; to++) {
				struct span cut = span_of(texts[i] + from, to - from);
				uint8_t *exact = testkit_copy(cut);
				struct conn_key k;
				enum err e = conn_key_parse(span_of(exact, cut.len), &k);
				free(exact);
				if (e != ERR_OK)
					continue;
				/* A cut that is a key by itself is written as it was read. */
				char buf[CONN_KEY_TEXT_MAX];
				assert_span_equal(span_str(conn_key_format(&k, buf)), cut);
				assert_true(cut.len == len || !conn_key_equal(&k, &whole));
			}
		}
	}
}

static void test_failure_leaves_the_result_alone(void **state)
{
	(void)state;
	struct conn_key k, before;
	memset(&k, 0xa5, sizeof(k));
	memcpy(&before, &k, sizeof(k));
	assert_err(conn_key_parse(span_str("1:10.0.0.1:65536"), &k), ERR_RANGE);
	assert_memory_equal(&k, &before, sizeof(k));
}

/* Pearson's chi square of how `n` hashes, shifted, fall into 2^bits buckets. */
static double unevenness(const uint64_t *hashes, size_t n, unsigned shift, unsigned bits)
{
	size_t buckets = (size_t)1 << bits;
	uint32_t *counts = calloc(buckets, sizeof(*counts));
	assert_non_null(counts);
	for (size_t i = 0; i < n; i++)
		counts[hashes[i] >> shift & (buckets - 1)]++;
	double expected = (double)n / (double)buckets, sum = 0;
	for (size_t i = 0; i < buckets; i++) {
		double off = counts[i] - expected;
		sum += off * off / expected;
	}
	free(counts);
	return sum;
}

/* Keys that differ in 16 bits only, counted up. */
static void fill(uint64_t *hashes, size_t n, const char *base, unsigned what, uint64_t seed)
{
	struct conn_key k = key(base);
	size_t last = k.family == 4 ? 3 : 15;
	for (size_t i = 0; i < n; i++) {
		if (what == 0)
			k.source_port = (uint16_t)i;
		else if (what == 1)
			k.destination_port = (uint16_t)i;
		else if (what == 2)
			store_be16(k.ip + last - 1, (uint16_t)i);
		else
			store_be16(k.ip + (last == 3 ? 0 : 6), (uint16_t)i);
		hashes[i] = conn_key_hash(&k, seed);
	}
}

static void test_hash_spreads_sequential_ports_and_addresses(void **state)
{
	(void)state;
	enum {
		N = 65536
	};
	static uint64_t hashes[N];
	static const unsigned shifts[] = {0, 7, 24, 32, 56};
	for (int round = 0; round < 8; round++) {
		/* A seed that is no good, too: 0 and small ones. */
		uint64_t seed = round < 2 ? (uint64_t)round : testkit_random();
		for (unsigned what = 0; what < 4; what++) {
			for (size_t s = 0; s < sizeof(shifts) / sizeof(shifts[0]); s++) {
				fill(hashes, N, what % 2 != 0 ? "9:fd07::2:443" : "9:10.7.0.2:443",
				     what, seed);
				/* 256 buckets: the mean is 255, the deviation 23. Better than
				 * chance is no fault. */
				assert_true(unevenness(hashes, N, shifts[s], 8) < 255 + 10 * 23);
			}
		}
	}
}

static int compare_low_halves(const void *a, const void *b)
{
	uint32_t x = (uint32_t) * (const uint64_t *)a, y = (uint32_t) * (const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void test_low_half_alone_tells_sequential_keys_apart(void **state)
{
	(void)state;
	enum {
		N = 65536
	};
	static uint64_t hashes[N];
	uint64_t seed = testkit_random();
	for (unsigned what = 0; what < 4; what++) {
		fill(hashes, N, "9:10.7.0.2:443", what, seed);
		qsort(hashes, N, sizeof(hashes[0]), compare_low_halves);
		size_t met = 0;
		for (size_t i = 1; i < N; i++)
			met += (uint32_t)hashes[i] == (uint32_t)hashes[i - 1] ? 1 : 0;
		/* By chance half a pair meets among 2^32 values. */
		assert_true(met < 16);
	}
}

static void test_each_bit_of_key_and_seed_moves_half_of_the_hash(void **state)
{
	(void)state;
	enum {
		ROUNDS = 4096
	};
	/* 21 bytes of a key: address, ports, family; then the seed. */
	for (unsigned bit = 0; bit < 168 + 64; bit++) {
		unsigned flips[64] = {0};
		for (int round = 0; round < ROUNDS; round++) {
			struct conn_key k = random_key();
			uint64_t seed = testkit_random();
			uint64_t before = conn_key_hash(&k, seed);
			if (bit < 168)
				((uint8_t *)&k)[bit / 8] ^= (uint8_t)(1u << bit % 8);
			else
				seed ^= (uint64_t)1 << (bit - 168);
			uint64_t moved = before ^ conn_key_hash(&k, seed);
			for (unsigned i = 0; i < 64; i++)
				flips[i] += (moved >> i & 1) != 0 ? 1 : 0;
		}
		/* Half of them, give or take 10 deviations of 32. */
		for (unsigned i = 0; i < 64; i++)
			assert_in_range(flips[i], ROUNDS / 2 - 320, ROUNDS / 2 + 320);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_of_a_connection_is_source_port_destination_and_its_port),
		cmocka_unit_test(test_key_has_no_stray_bytes),
		cmocka_unit_test(test_what_has_no_ports_has_ports_zero),
		cmocka_unit_test(test_all_fragments_of_a_datagram_have_one_key),
		cmocka_unit_test(test_an_atomic_fragment_keeps_its_ports),
		cmocka_unit_test(test_keys_that_differ_in_one_part_differ),
		cmocka_unit_test(test_text_and_key_are_each_others_inverse),
		cmocka_unit_test(test_longest_text_fits),
		cmocka_unit_test(test_texts_that_are_not_canonical_are_refused),
		cmocka_unit_test(test_cut_texts_never_read_past_their_end_or_mean_the_whole),
		cmocka_unit_test(test_failure_leaves_the_result_alone),
		cmocka_unit_test(test_hash_spreads_sequential_ports_and_addresses),
		cmocka_unit_test(test_low_half_alone_tells_sequential_keys_apart),
		cmocka_unit_test(test_each_bit_of_key_and_seed_moves_half_of_the_hash),
	};
	return cmocka_run_group_tests_name("conn_key", tests, NULL, NULL);
}
