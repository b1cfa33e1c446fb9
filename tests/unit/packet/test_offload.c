/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/limits.h"
#include "packets.h"
#include "vpn/packet/offload.h"
#include "vpn/packet/packet.h"

struct sample {
	uint8_t *bytes;
	size_t len;
	struct packet_info info;
	struct offload offload;
};

/* A packet with `data_len` bytes after its headers, to be cut into segments of gso_size (0: only
 * the checksum is open), fields in canonical form. */
static struct sample sample_of(unsigned version, uint8_t protocol, size_t data_len,
			       uint16_t gso_size)
{
	size_t ip_len = version == 4 ? 20 : 40;
	size_t header_len = protocol == IPPROTO_TCP ? 20 : 8;
	struct sample s = {.len = ip_len + header_len + data_len};
	s.bytes = malloc(s.len);
	memset(s.bytes, 0x5a, s.len);
	if (version == 4)
		put_v4(s.bytes, protocol, s.len - ip_len);
	else
		put_v6(s.bytes, protocol, s.len - ip_len);
	if (protocol == IPPROTO_TCP)
		put_tcp(s.bytes, ip_len, s.len);
	else
		put_udp(s.bytes, ip_len, s.len);
	assert_ok(packet_parse(span_of(s.bytes, s.len), &s.info));
	s.offload = (struct offload){
		.flags = OFFLOAD_NEEDS_CSUM,
		.csum_start = (uint16_t)ip_len,
		.csum_offset = protocol == IPPROTO_TCP ? 16 : 6,
	};
	if (gso_size > 0) {
		uint8_t tcp = version == 4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6;
		s.offload.gso_type = protocol == IPPROTO_TCP ? tcp : OFFLOAD_GSO_UDP_L4;
		s.offload.gso_size = gso_size;
		s.offload.hdr_len = (uint16_t)(ip_len + header_len);
	}
	return s;
}

static enum err check(const struct sample *s, const struct offload *o)
{
	return offload_check(o, span_of(s->bytes, s->len), &s->info);
}

static void test_canonical_packets_pass(void **state)
{
	(void)state;
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
	for (unsigned i = 0; i < 8; i++) {
		struct sample s =
			sample_of(i & 1 ? 4 : 6, protocols[i >> 1 & 1], 3000, i & 4 ? 1200 : 0);
		uint8_t wire[OFFLOAD_LEN];
		struct offload back;
		assert_ok(check(&s, &s.offload));
		offload_put(wire, &s.offload);
		assert_ok(offload_parse(wire, s.len, &back));
		assert_memory_equal(&back, &s.offload, sizeof(back));
		free(s.bytes);
	}
}

/* Any other value in any field is refused: there is one form only. */
static void test_every_other_field_value_is_refused(void **state)
{
	(void)state;
	struct sample s = sample_of(4, IPPROTO_TCP, 3000, 1200);
	for (size_t byte = 0; byte < OFFLOAD_LEN; byte++) {
		for (unsigned v = 0; v < 256; v++) {
			uint8_t wire[OFFLOAD_LEN];
			struct offload o;
			offload_put(wire, &s.offload);
			bool same = wire[byte] == v;
			wire[byte] = (uint8_t)v;
			enum err e = offload_parse(wire, s.len, &o);
			if (e == ERR_OK)
				e = check(&s, &o);
			/* gso_size is the sender's choice, and ECN a bit of the type. */
			bool free_choice = byte == 4 || byte == 5 || (byte == 1 && v == 0x81);
			if (same)
				assert_ok(e);
			else if (!free_choice)
				assert_int_not_equal(e, ERR_OK);
		}
	}
	free(s.bytes);
}

static void test_segment_counts_are_bounded(void **state)
{
	(void)state;
	struct sample s = sample_of(4, IPPROTO_TCP, 60000, 1200);
	s.offload.gso_size = 1;
	assert_err(check(&s, &s.offload), ERR_LIMIT);
	s.offload.gso_size = 60000 / OFFLOAD_SEGMENTS_MAX;
	assert_err(check(&s, &s.offload), ERR_LIMIT);
	s.offload.gso_size++;
	assert_ok(check(&s, &s.offload));
	s.offload.gso_size = 0;
	assert_err(check(&s, &s.offload), ERR_RANGE);
	free(s.bytes);
}

static void test_fields_beyond_the_packet_are_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < 60; len++) {
		struct offload o, csum = {.flags = 1, .csum_start = 20, .csum_offset = 16};
		uint8_t wire[OFFLOAD_LEN];
		offload_put(wire, &csum);
		assert_err(offload_parse(wire, len, &o), len < 38 ? ERR_RANGE : ERR_OK);
		csum.gso_type = OFFLOAD_GSO_TCP4;
		csum.hdr_len = 40;
		csum.gso_size = 10;
		offload_put(wire, &csum);
		assert_err(offload_parse(wire, len, &o), len <= 40 ? ERR_RANGE : ERR_OK);
		csum.csum_start = 0xffff;
		offload_put(wire, &csum);
		assert_err(offload_parse(wire, len, &o), ERR_RANGE);
	}
}

static void test_offload_of_other_protocols_and_fragments_is_refused(void **state)
{
	(void)state;
	struct sample s = sample_of(4, IPPROTO_TCP, 3000, 0);
	s.info.fragment = PACKET_FRAGMENT_FIRST;
	assert_err(check(&s, &s.offload), ERR_MALFORMED);
	s.info.fragment = PACKET_WHOLE;
	s.info.protocol = IPPROTO_SCTP;
	assert_err(check(&s, &s.offload), ERR_MALFORMED);
	free(s.bytes);
	/* A TCP header that claims to be longer than the packet. */
	s = sample_of(4, IPPROTO_TCP, 10, 0);
	s.bytes[20 + 12] = 0xf0;
	assert_err(check(&s, &s.offload), ERR_MALFORMED);
	s.bytes[20 + 12] = 0x40;
	assert_err(check(&s, &s.offload), ERR_MALFORMED);
	free(s.bytes);
}

static void test_kernels_hints_become_canonical(void **state)
{
	(void)state;
	struct sample s = sample_of(6, IPPROTO_TCP, 3000, 1200);
	struct offload o = s.offload;
	o.hdr_len = 999; /* as the kernel does it: what is linear */
	o.flags |= 2;    /* data valid */
	assert_ok(offload_canonicalize(&o, span_of(s.bytes, s.len), &s.info));
	assert_memory_equal(&o, &s.offload, sizeof(o));

	/* A super-packet of one segment is only a packet. */
	o = s.offload;
	o.gso_size = 3000;
	assert_ok(offload_canonicalize(&o, span_of(s.bytes, s.len), &s.info));
	assert_false(offload_is_super(&o));
	assert_int_equal(o.csum_start, 40);

	o = (struct offload){.flags = 2, .hdr_len = 66};
	assert_ok(offload_canonicalize(&o, span_of(s.bytes, s.len), &s.info));
	assert_true(offload_is_plain(&o) && o.hdr_len == 0);

	o = s.offload;
	o.csum_start = 41;
	struct offload was = o;
	assert_err(offload_canonicalize(&o, span_of(s.bytes, s.len), &s.info), ERR_MALFORMED);
	assert_memory_equal(&o, &was, sizeof(o));
	free(s.bytes);
}

static void test_finished_checksums_are_right(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		uint8_t protocol = i & 1 ? IPPROTO_TCP : IPPROTO_UDP;
		struct sample s = sample_of(i & 2 ? 4 : 6, protocol, i, 0);
		size_t at = s.info.transport_offset;
		offload_finish_checksum(&s.offload, s.bytes, s.len);
		assert_true(offload_is_plain(&s.offload));
		assert_true(transport_checksum_is_right(s.bytes, s.len, at, protocol));
		uint8_t *was = testkit_copy(span_of(s.bytes, s.len));
		offload_finish_checksum(&s.offload, s.bytes, s.len);
		assert_memory_equal(s.bytes, was, s.len);
		free(was);
		free(s.bytes);
	}
}

static void test_segment_length_is_what_meets_the_mtu(void **state)
{
	(void)state;
	struct offload o = {.gso_type = OFFLOAD_GSO_TCP4, .hdr_len = 40, .gso_size = 1000};
	assert_int_equal(offload_segment_len(&o, 5000), 1040);
	assert_int_equal(offload_segment_len(&o, 900), 900);
	o = (struct offload){0};
	assert_int_equal(offload_segment_len(&o, 5000), 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canonical_packets_pass),
		cmocka_unit_test(test_every_other_field_value_is_refused),
		cmocka_unit_test(test_segment_counts_are_bounded),
		cmocka_unit_test(test_fields_beyond_the_packet_are_refused),
		cmocka_unit_test(test_offload_of_other_protocols_and_fragments_is_refused),
		cmocka_unit_test(test_kernels_hints_become_canonical),
		cmocka_unit_test(test_finished_checksums_are_right),
		cmocka_unit_test(test_segment_length_is_what_meets_the_mtu),
	};
	return cmocka_run_group_tests_name("offload", tests, NULL, NULL);
}
