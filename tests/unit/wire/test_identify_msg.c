/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "wire/identify_msg.h"
#include "wire/pb.h"

static uint8_t *vector_of(const char *name, size_t *ret_len)
{
	json_t *root = testkit_vectors("protobuf_messages.json");
	const json_t *message = json_object_get(json_object_get(root, "messages"), name);
	uint8_t *bytes = testkit_unhex(testkit_string(message, "pb"), ret_len);
	json_decref(root);
	return bytes;
}

static void assert_addr(const struct multiaddr *addr, const char *text)
{
	char buf[MULTIADDR_TEXT_MAX];
	assert_string_equal(multiaddr_format(addr, buf), text);
}

static enum err decode(struct span bytes, struct identify_msg *ret_msg)
{
	uint8_t *copy = testkit_copy(bytes);
	struct identify_msg msg;
	enum err e = identify_msg_decode(span_of(copy, bytes.len), &msg);
	if (e == ERR_OK) /* its views are into the copy: only counts and addresses outlive it */
		*ret_msg = msg;
	free(copy);
	return e;
}

static void test_vector_of_js_is_understood_in_its_own_order(void **state)
{
	(void)state;
	size_t len;
	uint8_t *bytes = vector_of("identify", &len);
	struct identify_msg msg;
	assert_ok(identify_msg_decode(span_of(bytes, len), &msg));

	assert_int_equal(msg.public_key.len, 36);
	struct peer_id id;
	assert_ok(peer_id_from_public_key(msg.public_key, &id));
	assert_int_equal(msg.listen_addrs.len, 1);
	assert_int_equal(msg.listen_addrs.skipped, 0);
	assert_addr(&msg.listen_addrs.at[0], "/ip4/192.0.2.1/tcp/4001");
	assert_addr(&msg.observed_addr, "/ip4/198.51.100.7/tcp/5000");
	assert_int_equal(msg.protocols_len, 2);
	assert_span_equal(msg.protocols[0], span_str("/ipfs/ping/1.0.0"));
	assert_span_equal(msg.protocols[1], span_str("/ipfs/id/1.0.0"));
	assert_span_equal(msg.protocol_version, span_str("/wire/1.0.0"));
	assert_span_equal(msg.agent_version, span_str("c-libp2p/0.1"));
	assert_null(msg.signed_peer_record.p);

	/* Ours has the same fields in the order of their numbers. */
	uint8_t out[256];
	struct wbuf w = wbuf_of(out, sizeof(out));
	identify_msg_put(&w, &msg);
	assert_ok(wbuf_check(&w));
	assert_int_equal(w.len, len);
	struct span rest = wbuf_view(&w);
	struct pb_field field;
	uint32_t last = 0;
	while (pb_next(&rest, &field) == ERR_OK) {
		assert_true(field.number >= last);
		last = field.number;
	}
	struct identify_msg again;
	assert_ok(identify_msg_decode(wbuf_view(&w), &again));
	assert_span_equal(again.public_key, msg.public_key);
	assert_span_equal(again.agent_version, msg.agent_version);
	assert_span_equal(again.protocol_version, msg.protocol_version);
	assert_span_equal(again.protocols[1], msg.protocols[1]);
	assert_true(multiaddr_equal(&again.observed_addr, &msg.observed_addr));
	free(bytes);
}

static void test_every_cut_is_refused_or_ends_between_fields(void **state)
{
	(void)state;
	size_t len;
	uint8_t *bytes = vector_of("identify", &len);
	unsigned whole = 0;
	for (size_t cut = 0; cut < len; cut++) {
		struct identify_msg msg;
		enum err e = decode(span_of(bytes, cut), &msg);
		if (e == ERR_OK)
			whole++;
		else
			assert_err(e, ERR_TRUNCATED);
	}
	assert_int_equal(whole, 7); /* before each of the seven fields */
	free(bytes);
}

static void test_lengths_at_their_extremes_are_refused(void **state)
{
	(void)state;
	static const uint32_t fields[] = {1, 2, 3, 4, 5, 6, 8, 9};
	static const uint64_t lens[] = {2,          127,       128,       IDENTIFY_READ_MAX,
					UINT32_MAX, INT64_MAX, UINT64_MAX};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		for (size_t j = 0; j < sizeof(lens) / sizeof(lens[0]); j++) {
			uint8_t raw[16];
			struct wbuf w = wbuf_of(raw, sizeof(raw));
			wbuf_put_uvarint(&w, fields[i] << 3 | PB_BYTES);
			wbuf_put_uvarint(&w, lens[j]);
			wbuf_put_u8(&w, '/');
			struct identify_msg msg;
			assert_err(decode(wbuf_view(&w), &msg), ERR_TRUNCATED);
		}
	}
}

static void test_known_field_of_another_type_is_malformed(void **state)
{
	(void)state;
	static const uint32_t fields[] = {1, 2, 3, 4, 5, 6, 8};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		uint8_t raw[16];
		struct wbuf w = wbuf_of(raw, sizeof(raw));
		pb_put_uint(&w, fields[i], 1);
		struct identify_msg msg;
		assert_err(decode(wbuf_view(&w), &msg), ERR_MALFORMED);
	}
}

static void test_unknown_fields_are_skipped(void **state)
{
	(void)state;
	uint8_t raw[64];
	struct wbuf w = wbuf_of(raw, sizeof(raw));
	pb_put_uint(&w, 7, 1);
	pb_put_fixed64(&w, 100, 1);
	pb_put_bytes(&w, 6, span_str("agent"));
	pb_put_bytes(&w, 1000, span_str("\xff\xff"));
	struct identify_msg msg;
	assert_ok(identify_msg_decode(wbuf_view(&w), &msg));
	assert_span_equal(msg.agent_version, span_str("agent"));
}

static void test_unreadable_address_costs_only_itself(void **state)
{
	(void)state;
	uint8_t raw[128];
	struct wbuf w = wbuf_of(raw, sizeof(raw));
	pb_put_bytes(&w, 2, span_str("\x33unknown code"));
	pb_put_bytes(&w, 2, span_of(NULL, 0));
	pb_put_bytes(&w, 2, span_of("\x04\xc0\x00\x02\x01\x06\x0f\xa1", 8));
	pb_put_bytes(&w, 2, span_of("\x04\xc0\x00", 3));
	pb_put_bytes(&w, 4, span_of("\x04\xc0\x00", 3));
	struct identify_msg msg;
	assert_ok(decode(wbuf_view(&w), &msg));
	assert_int_equal(msg.listen_addrs.len, 1);
	assert_int_equal(msg.listen_addrs.skipped, 3);
	assert_addr(&msg.listen_addrs.at[0], "/ip4/192.0.2.1/tcp/4001");
	assert_int_equal(msg.observed_addr.len, 0);
}

static void test_names_that_are_no_protocols_are_skipped(void **state)
{
	(void)state;
	uint8_t raw[MSS_TOKEN_LEN_MAX + 128];
	struct wbuf w = wbuf_of(raw, sizeof(raw));
	uint8_t longest[MSS_TOKEN_LEN_MAX];
	memset(longest, '/', sizeof(longest));
	pb_put_bytes(&w, 3, span_str("x/1.0.0"));
	pb_put_bytes(&w, 3, span_of(NULL, 0));
	pb_put_bytes(&w, 3, span_str("/x\n/y"));
	pb_put_bytes(&w, 3, span_str("/x"));
	pb_put_bytes(&w, 3, span_of(longest, sizeof(longest)));
	assert_ok(wbuf_check(&w));
	struct identify_msg msg;
	assert_ok(decode(wbuf_view(&w), &msg));
	assert_int_equal(msg.protocols_len, 1);
	assert_int_equal(msg.protocols_skipped, 4);
}

static void test_fields_beyond_the_bounds_are_counted_not_kept(void **state)
{
	(void)state;
	static uint8_t raw[IDENTIFY_READ_MAX + 1];
	struct wbuf w = wbuf_of(raw, IDENTIFY_READ_MAX);
	for (unsigned i = 0; i < IDENTIFY_ADDRS_MAX + 5; i++)
		pb_put_bytes(&w, 2, span_of("\x04\xc0\x00\x02\x01\x06\x0f\xa1", 8));
	for (unsigned i = 0; i < IDENTIFY_PROTOCOLS_MAX + 7; i++)
		pb_put_bytes(&w, 3, span_str("/x"));
	assert_ok(wbuf_check(&w));
	struct identify_msg msg;
	assert_ok(decode(wbuf_view(&w), &msg));
	assert_int_equal(msg.listen_addrs.len, IDENTIFY_ADDRS_MAX);
	assert_int_equal(msg.listen_addrs.skipped, 5);
	assert_int_equal(msg.protocols_len, IDENTIFY_PROTOCOLS_MAX);
	assert_int_equal(msg.protocols_skipped, 7);

	/* The cheapest fields, as many as a message may hold. */
	for (size_t i = 0; i < sizeof(raw); i += 2)
		memcpy(raw + i, "\x1a", i + 1 < sizeof(raw) ? 2 : 1);
	assert_ok(decode(span_of(raw, IDENTIFY_READ_MAX), &msg));
	assert_int_equal(msg.protocols_skipped, IDENTIFY_READ_MAX / 2);
	assert_err(decode(span_of(raw, IDENTIFY_READ_MAX + 1), &msg), ERR_TOO_LONG);
}

static void test_message_that_does_not_fit_overflows(void **state)
{
	(void)state;
	size_t len;
	uint8_t *bytes = vector_of("identify", &len);
	struct identify_msg msg;
	assert_ok(identify_msg_decode(span_of(bytes, len), &msg));
	for (size_t cap = 0; cap < len; cap++) {
		uint8_t *out = malloc(cap > 0 ? cap : 1);
		assert_non_null(out);
		struct wbuf w = wbuf_of(out, cap);
		identify_msg_put(&w, &msg);
		assert_err(wbuf_check(&w), ERR_FULL);
		free(out);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector_of_js_is_understood_in_its_own_order),
		cmocka_unit_test(test_every_cut_is_refused_or_ends_between_fields),
		cmocka_unit_test(test_lengths_at_their_extremes_are_refused),
		cmocka_unit_test(test_known_field_of_another_type_is_malformed),
		cmocka_unit_test(test_unknown_fields_are_skipped),
		cmocka_unit_test(test_unreadable_address_costs_only_itself),
		cmocka_unit_test(test_names_that_are_no_protocols_are_skipped),
		cmocka_unit_test(test_fields_beyond_the_bounds_are_counted_not_kept),
		cmocka_unit_test(test_message_that_does_not_fit_overflows),
	};
	return cmocka_run_group_tests_name("identify_msg", tests, NULL, NULL);
}
