/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/limits.h"
#include "packets.h"
#include "vpn/packet/packet.h"

/* Parse a copy of exactly that size, so that ASan sees a read past it. */
static enum err parse(const uint8_t *p, size_t len, struct packet_info *info)
{
	uint8_t *exact = testkit_copy(span_of(p, len));
	enum err e = packet_parse(span_of(exact, len), info);
	free(exact);
	return e;
}

static size_t v4_udp(uint8_t *p, size_t data_len)
{
	size_t at = put_v4(p, IPPROTO_UDP, 8 + data_len);
	memset(p + at + 8, 0xda, data_len);
	put_udp(p, at, at + 8 + data_len);
	return at + 8 + data_len;
}

static void test_v4_udp_is_read(void **state)
{
	(void)state;
	uint8_t p[100];
	size_t len = v4_udp(p, 5);
	p[1] = 0xb9;
	p[6] = 0x40;
	struct packet_info info;
	assert_ok(parse(p, len, &info));
	assert_int_equal(info.version, 4);
	assert_int_equal(info.protocol, IPPROTO_UDP);
	assert_int_equal(info.traffic_class, 0xb9);
	assert_true(info.dont_fragment);
	assert_int_equal(info.fragment, PACKET_WHOLE);
	assert_int_equal(info.source_port, 5353);
	assert_int_equal(info.destination_port, 53);
	assert_int_equal(info.transport_offset, 20);
	assert_int_equal(info.len, len);
	assert_span_equal(ip_addr_view(&info.source), span_of(host_a, 4));
	assert_span_equal(ip_addr_view(&info.destination), span_of(host_b, 4));
}

static void test_v4_options_are_passed_over(void **state)
{
	(void)state;
	uint8_t p[100];
	put_v4(p, IPPROTO_TCP, 40 + 20);
	p[0] = 0x4f;
	memset(p + 20, 1, 40);
	put_tcp(p, 60, 80);
	struct packet_info info;
	assert_ok(parse(p, 80, &info));
	assert_int_equal(info.transport_offset, 60);
	assert_int_equal(info.destination_port, 443);
}

static void test_icmp_has_no_ports(void **state)
{
	(void)state;
	uint8_t p[100] = {0};
	struct packet_info info;
	size_t at = put_v4(p, IPPROTO_ICMP, 8);
	memset(p + at, 0xee, 8);
	assert_ok(parse(p, 28, &info));
	assert_int_equal(info.source_port | info.destination_port, 0);
	at = put_v6(p, IPPROTO_ICMPV6, 8);
	memset(p + at, 0xee, 8);
	assert_ok(parse(p, 48, &info));
	assert_int_equal(info.source_port | info.destination_port, 0);
}

static void test_every_truncation_is_an_error(void **state)
{
	(void)state;
	uint8_t p[200];
	struct packet_info info;
	size_t len = v4_udp(p, 11);
	for (size_t n = 0; n < len; n++)
		assert_err(parse(p, n, &info), ERR_TRUNCATED);
	size_t at = put_v6(p, IPPROTO_DSTOPTS, 8 + 20);
	memset(p + at, 0, 8);
	p[at] = IPPROTO_TCP;
	put_tcp(p, at + 8, at + 28);
	assert_ok(parse(p, at + 28, &info));
	for (size_t n = 0; n < at + 28; n++)
		assert_err(parse(p, n, &info), ERR_TRUNCATED);
	/* The same cuts with a length that says so: all of it must be there, or it is refused. */
	for (size_t n = 0; n < 28; n++) {
		store_be16(p + 4, (uint16_t)n);
		assert_err(parse(p, at + n, &info), ERR_MALFORMED);
	}
}

static void test_trailing_bytes_are_an_error(void **state)
{
	(void)state;
	uint8_t p[200] = {0};
	struct packet_info info;
	size_t len = v4_udp(p, 11);
	assert_err(parse(p, len + 1, &info), ERR_MALFORMED);
	put_v6(p, IPPROTO_NONE, 0);
	assert_ok(parse(p, 40, &info));
	assert_err(parse(p, 41, &info), ERR_MALFORMED);
	store_be16(p + 4, 0xffff);
	assert_err(parse(p, 41, &info), ERR_TRUNCATED);
}

static void test_v4_header_lengths_at_their_extremes(void **state)
{
	(void)state;
	uint8_t p[200];
	struct packet_info info;
	size_t len = v4_udp(p, 60);
	for (unsigned ihl = 0; ihl < 16; ihl++) {
		p[0] = (uint8_t)(0x40 | ihl);
		enum err e = parse(p, len, &info);
		assert_int_equal(e == ERR_OK, ihl >= 5);
		if (ihl >= 5)
			assert_int_equal(info.source_port, load_be16(p + ihl * 4));
	}
	p[0] = 0x46;
	store_be16(p + 2, 20);
	assert_err(parse(p, 20, &info), ERR_MALFORMED);
}

static void test_other_versions_are_unsupported(void **state)
{
	(void)state;
	uint8_t p[60] = {0};
	struct packet_info info;
	for (unsigned v = 0; v < 16; v++) {
		p[0] = (uint8_t)(v << 4);
		if (v != 4 && v != 6)
			assert_err(parse(p, sizeof(p), &info), ERR_UNSUPPORTED);
	}
}

static void test_ports_need_a_whole_transport_header(void **state)
{
	(void)state;
	static const struct {
		uint8_t protocol;
		size_t len_min;
	} cases[] = {{IPPROTO_TCP, 20},  {IPPROTO_UDP, 8},   {IPPROTO_UDPLITE, 8},
		     {IPPROTO_SCTP, 12}, {IPPROTO_DCCP, 12}, {IPPROTO_ICMP, 0},
		     {IPPROTO_ESP, 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t n = 0; n <= 20; n++) {
			uint8_t p[80];
			struct packet_info info;
			enum err expected = n < cases[i].len_min ? ERR_MALFORMED : ERR_OK;
			memset(p, 0x11, sizeof(p));
			assert_err(parse(p, put_v4(p, cases[i].protocol, n) + n, &info), expected);
			assert_err(parse(p, put_v6(p, cases[i].protocol, n) + n, &info), expected);
		}
	}
}

static void test_v4_fragments_have_ports_only_in_the_first(void **state)
{
	(void)state;
	uint8_t p[100];
	struct packet_info info;
	size_t len = v4_udp(p, 8);
	store_be16(p + 6, 0x2000);
	assert_ok(parse(p, len, &info));
	assert_int_equal(info.fragment, PACKET_FRAGMENT_FIRST);
	assert_int_equal(info.destination_port, 53);
	store_be16(p + 6, 0x2000 | 1);
	assert_ok(parse(p, len, &info));
	assert_int_equal(info.fragment, PACKET_FRAGMENT_LATER);
	assert_int_equal(info.destination_port, 0);
	store_be16(p + 6, 1000);
	assert_ok(parse(p, len, &info));
	assert_int_equal(info.fragment, PACKET_FRAGMENT_LATER);
}

static void test_fragments_that_deceive_are_refused(void **state)
{
	(void)state;
	uint8_t p[100];
	struct packet_info info;
	size_t at = put_v4(p, IPPROTO_TCP, 24);
	put_tcp(p, at, at + 24);
	/* RFC 3128: a second fragment that rewrites the TCP flags of the first. */
	store_be16(p + 6, 1);
	assert_err(parse(p, at + 24, &info), ERR_MALFORMED);
	store_be16(p + 6, 2);
	assert_err(parse(p, at + 24, &info), ERR_MALFORMED);
	store_be16(p + 6, 3);
	assert_ok(parse(p, at + 24, &info));
	/* RFC 1858: a first fragment too small for its header. */
	put_v4(p, IPPROTO_TCP, 16);
	store_be16(p + 6, 0x2000);
	assert_err(parse(p, at + 16, &info), ERR_MALFORMED);
	/* The ping of death: data beyond the end of any packet. */
	put_v4(p, IPPROTO_ICMP, 24);
	store_be16(p + 6, 0x1fff);
	assert_err(parse(p, at + 24, &info), ERR_MALFORMED);
	/* Not the last, and not a multiple of 8 long. */
	put_v4(p, IPPROTO_ICMP, 23);
	store_be16(p + 6, 0x2000);
	assert_err(parse(p, at + 23, &info), ERR_MALFORMED);
}

static void test_v6_fragments(void **state)
{
	(void)state;
	uint8_t p[120] = {0};
	struct packet_info info;
	size_t at = put_v6(p, IPPROTO_FRAGMENT, 8 + 32);
	p[at] = IPPROTO_TCP;
	put_tcp(p, at + 8, at + 40);
	assert_ok(parse(p, at + 40, &info));
	assert_int_equal(info.fragment, PACKET_WHOLE);
	assert_int_equal(info.destination_port, 443);
	p[at + 3] = 1;
	assert_ok(parse(p, at + 40, &info));
	assert_int_equal(info.fragment, PACKET_FRAGMENT_FIRST);
	assert_int_equal(info.destination_port, 443);
	store_be16(p + at + 2, 800);
	assert_ok(parse(p, at + 40, &info));
	assert_int_equal(info.fragment, PACKET_FRAGMENT_LATER);
	assert_int_equal(info.destination_port, 0);
	assert_int_equal(info.protocol, IPPROTO_TCP);
	assert_int_equal(info.transport_offset, at + 8);
	/* What follows in a later fragment is not a header, even if it says so. */
	p[at] = IPPROTO_HOPOPTS;
	assert_ok(parse(p, at + 40, &info));
	assert_int_equal(info.protocol, IPPROTO_HOPOPTS);
	store_be16(p + at + 2, 8);
	p[at] = IPPROTO_TCP;
	assert_err(parse(p, at + 40, &info), ERR_MALFORMED);
	store_be16(p + at + 2, 0xfff8);
	assert_err(parse(p, at + 40, &info), ERR_MALFORMED);
}

static void test_v6_extensions_are_walked(void **state)
{
	(void)state;
	uint8_t p[200] = {0};
	struct packet_info info;
	/* hop-by-hop 8, routing 24, authentication (words of 4) 24, destination 8, UDP 8 */
	size_t at = put_v6(p, IPPROTO_HOPOPTS, 8 + 24 + 24 + 8 + 8);
	p[at] = IPPROTO_ROUTING;
	p[at + 8] = IPPROTO_AH;
	p[at + 9] = 2;
	p[at + 32] = IPPROTO_DSTOPTS;
	p[at + 33] = 4;
	p[at + 56] = IPPROTO_UDP;
	put_udp(p, at + 64, at + 72);
	assert_ok(parse(p, at + 72, &info));
	assert_int_equal(info.protocol, IPPROTO_UDP);
	assert_int_equal(info.transport_offset, at + 64);
	assert_int_equal(info.source_port, 5353);
	/* Each length field at all its values: either the chain still ends in a place where a
	 * UDP header fits, or it is refused; a wrong one must not read past the packet. */
	static const size_t lengths[] = {1, 9, 33, 57};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint8_t was = p[at + lengths[i]];
		for (unsigned v = 0; v < 256; v++) {
			p[at + lengths[i]] = (uint8_t)v;
			if (parse(p, at + 72, &info) == ERR_OK)
				assert_true(info.transport_offset <= at + 72);
			else
				assert_int_not_equal(v, was);
		}
		p[at + lengths[i]] = was;
	}
}

static void test_v6_chains_are_bounded(void **state)
{
	(void)state;
	uint8_t p[400] = {0};
	struct packet_info info;
	for (unsigned n = 1; n <= 12; n++) {
		size_t at = put_v6(p, IPPROTO_DSTOPTS, n * 8 + 8);
		for (unsigned i = 0; i < n; i++, at += 8) {
			p[at] = i + 1 < n ? IPPROTO_DSTOPTS : IPPROTO_UDP;
			p[at + 1] = 0;
		}
		put_udp(p, at, at + 8);
		assert_err(parse(p, at + 8, &info),
			   n <= PACKET_EXTENSIONS_MAX ? ERR_OK : ERR_LIMIT);
	}
}

static void test_v6_headers_out_of_place_are_refused(void **state)
{
	(void)state;
	uint8_t p[200] = {0};
	struct packet_info info;
	size_t at = put_v6(p, IPPROTO_DSTOPTS, 24);
	p[at] = IPPROTO_HOPOPTS;
	p[at + 8] = IPPROTO_UDP;
	assert_err(parse(p, at + 24, &info), ERR_MALFORMED);
	put_v6(p, IPPROTO_FRAGMENT, 24);
	memset(p + at, 0, 24);
	p[at] = IPPROTO_FRAGMENT;
	p[at + 8] = IPPROTO_UDP;
	assert_err(parse(p, at + 24, &info), ERR_MALFORMED);
}

static void test_what_esp_hides_is_not_guessed(void **state)
{
	(void)state;
	uint8_t p[100];
	struct packet_info info;
	memset(p, IPPROTO_TCP, sizeof(p));
	size_t at = put_v6(p, IPPROTO_ESP, 40);
	assert_ok(parse(p, at + 40, &info));
	assert_int_equal(info.protocol, IPPROTO_ESP);
	assert_int_equal(info.source_port | info.destination_port, 0);
}

/* FAULTS: 0 to 20 bytes of anything are never a packet with ports. */
static void test_tiny_garbage_is_never_classified(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t p[21];
		for (size_t k = 0; k < sizeof(p); k++)
			p[k] = (uint8_t)testkit_random();
		if (i % 2 == 0)
			p[0] = (uint8_t)(0x40 | (p[0] & 0xf));
		size_t len = testkit_random() % sizeof(p);
		struct packet_info info;
		if (len >= 4 && i % 4 == 0)
			store_be16(p + 2, (uint16_t)len);
		if (parse(p, len, &info) == ERR_OK) {
			assert_int_equal(len, 20);
			assert_int_equal(info.source_port | info.destination_port, 0);
		}
	}
}

/* A second reader, written from the RFCs' pictures without a thought for speed. Returns the
 * offset of the transport header, or -1 where there is none to be trusted. */
static int naive_transport(const uint8_t *p, size_t len, uint8_t *ret_protocol, bool *ret_ports)
{
	if (len < 20 || (p[0] >> 4 == 6 && len < 40))
		return -1;
	size_t at = p[0] >> 4 == 4 ? 4u * (p[0] & 15) : 40;
	uint8_t protocol = p[0] >> 4 == 4 ? p[9] : p[6];
	bool later = p[0] >> 4 == 4 && (load_be16(p + 6) & 0x1fff) != 0;
	static const uint8_t extensions[] = {0, 43, 44, 51, 60, 135, 139, 140};
	while (p[0] >> 4 == 6 && !later && memchr(extensions, protocol, sizeof(extensions))) {
		if (at + 8 > len)
			return -1;
		size_t step = protocol == 44   ? 8
			      : protocol == 51 ? 4u * (p[at + 1] + 2u)
					       : 8u * (p[at + 1] + 1u);
		later = protocol == 44 && (load_be16(p + at + 2) >> 3) != 0;
		protocol = p[at];
		at += step;
	}
	*ret_protocol = protocol;
	*ret_ports = !later && packet_protocol_has_ports(protocol);
	return at > len ? -1 : (int)at;
}

static void test_random_packets_agree_with_a_naive_reader(void **state)
{
	(void)state;
	static const uint8_t likely[] = {0, 43, 44, 51, 60, 6, 17, 58, 132, 59, 135};
	unsigned accepted = 0;
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t p[160];
		for (size_t k = 0; k < sizeof(p); k++)
			p[k] = testkit_random() % 3 == 0 ? likely[testkit_random() % sizeof(likely)]
							 : (uint8_t)(testkit_random() % 4);
		size_t payload = testkit_random() % 100;
		uint8_t protocol = likely[testkit_random() % sizeof(likely)];
		size_t len = payload + (i % 4 == 0 ? put_v4(p, protocol, payload)
						   : put_v6(p, protocol, payload));
		if (i % 8 == 0)
			store_be16(p + 6, (uint16_t)(testkit_random() & 0x2003));
		struct packet_info info;
		if (parse(p, len, &info) != ERR_OK)
			continue;
		accepted++;
		bool ports;
		int at = naive_transport(p, len, &protocol, &ports);
		assert_int_equal(info.transport_offset, at);
		assert_int_equal(info.protocol, protocol);
		assert_int_equal(info.source_port, ports ? load_be16(p + at) : 0);
		assert_int_equal(info.destination_port, ports ? load_be16(p + at + 2) : 0);
	}
	assert_true(accepted > 10000);
}

static void test_longest_packets_are_read(void **state)
{
	(void)state;
	uint8_t *p = calloc(1, 70000);
	struct packet_info info;
	put_v4(p, IPPROTO_UDP, 65535 - 20);
	assert_ok(parse(p, 65535, &info));
	assert_int_equal(info.len, 65535);
	put_v6(p, IPPROTO_UDP, 65535 - 40);
	assert_ok(parse(p, 65535, &info));
	put_v6(p, IPPROTO_UDP, 65535);
	assert_err(parse(p, 65575, &info), ERR_TOO_LONG);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4_udp_is_read),
		cmocka_unit_test(test_v4_options_are_passed_over),
		cmocka_unit_test(test_icmp_has_no_ports),
		cmocka_unit_test(test_every_truncation_is_an_error),
		cmocka_unit_test(test_trailing_bytes_are_an_error),
		cmocka_unit_test(test_v4_header_lengths_at_their_extremes),
		cmocka_unit_test(test_other_versions_are_unsupported),
		cmocka_unit_test(test_ports_need_a_whole_transport_header),
		cmocka_unit_test(test_v4_fragments_have_ports_only_in_the_first),
		cmocka_unit_test(test_fragments_that_deceive_are_refused),
		cmocka_unit_test(test_v6_fragments),
		cmocka_unit_test(test_v6_extensions_are_walked),
		cmocka_unit_test(test_v6_chains_are_bounded),
		cmocka_unit_test(test_v6_headers_out_of_place_are_refused),
		cmocka_unit_test(test_what_esp_hides_is_not_guessed),
		cmocka_unit_test(test_tiny_garbage_is_never_classified),
		cmocka_unit_test(test_random_packets_agree_with_a_naive_reader),
		cmocka_unit_test(test_longest_packets_are_read),
	};
	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
