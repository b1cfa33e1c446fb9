/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Envelopes and the peer records in them. */
#include "support/testkit.h"

#include <stdlib.h>

#include "wire/envelope.h"
#include "wire/pb.h"
#include "wire/peer_record.h"

struct hex {
	uint8_t *bytes;
	struct span span;
};

struct fixture {
	json_t *root;
	struct hex envelope, payload, payload_type, signature, signed_data;
	struct envelope read;
};

static struct hex hex_of(const json_t *object, const char *key)
{
	size_t len;
	uint8_t *bytes = testkit_unhex(testkit_string(object, key), &len);
	return (struct hex){.bytes = bytes, .span = span_of(bytes, len)};
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->root = testkit_vectors("signed_records.json");
	const json_t *record = json_object_get(f->root, "peer_record");
	f->envelope = hex_of(record, "envelope");
	f->payload = hex_of(record, "payload");
	f->payload_type = hex_of(record, "payload_type");
	f->signature = hex_of(record, "signature");
	f->signed_data = hex_of(record, "signed_data");
	assert_ok(envelope_decode(f->envelope.span, &f->read));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	json_decref(f->root);
	free(f->envelope.bytes);
	free(f->payload.bytes);
	free(f->payload_type.bytes);
	free(f->signature.bytes);
	free(f->signed_data.bytes);
	free(f);
	return 0;
}

static void test_vector_is_read_and_written(void **state)
{
	struct fixture *f = *state;
	assert_span_equal(f->read.payload, f->payload.span);
	assert_span_equal(f->read.payload_type, f->payload_type.span);
	assert_span_equal(f->read.signature, f->signature.span);
	assert_int_equal(f->read.public_key.len, 36);

	uint8_t out[512];
	struct wbuf w = wbuf_of(out, sizeof(out));
	envelope_put(&w, &f->read);
	assert_span_equal(wbuf_view(&w), f->envelope.span);
}

static void assert_signed(struct span domain, const struct envelope *envelope, struct span expected)
{
	uint8_t *out = malloc(expected.len);
	assert_non_null(out);
	struct wbuf w = wbuf_of(out, expected.len);
	envelope_put_signed(&w, domain, envelope);
	assert_ok(wbuf_check(&w));
	assert_span_equal(wbuf_view(&w), expected);
	assert_int_equal(envelope_signed_len(domain, envelope), expected.len);
	free(out);
}

static void test_signed_bytes_are_those_of_the_vectors(void **state)
{
	struct fixture *f = *state;
	struct span domain;
	assert_ok(peer_record_domain(f->read.payload_type, &domain));
	assert_signed(domain, &f->read, f->signed_data.span);

	const json_t *voucher = json_object_get(f->root, "reservation_voucher");
	struct hex type = hex_of(voucher, "payload_type");
	struct hex payload = hex_of(voucher, "payload");
	struct hex signed_data = hex_of(voucher, "signed_data");
	struct envelope envelope = {.payload_type = type.span, .payload = payload.span};
	assert_signed(span_str(testkit_string(voucher, "domain")), &envelope, signed_data.span);
	assert_err(peer_record_domain(type.span, &domain), ERR_UNSUPPORTED);
	free(type.bytes);
	free(payload.bytes);
	free(signed_data.bytes);
}

static void test_each_payload_type_has_its_domain(void **state)
{
	struct fixture *f = *state;
	struct span domain;
	assert_span_equal(peer_record_own_payload_type(), f->payload_type.span);
	const json_t *legacy = json_object_get(f->root, "rust_legacy");
	assert_ok(
		peer_record_domain(span_str(testkit_string(legacy, "payload_type_utf8")), &domain));
	assert_span_equal(domain, span_str(testkit_string(legacy, "domain")));
	assert_err(peer_record_domain(span_of(NULL, 0), &domain), ERR_UNSUPPORTED);
}

static void test_every_cut_of_an_envelope_is_refused(void **state)
{
	struct fixture *f = *state;
	for (size_t cut = 0; cut < f->envelope.span.len; cut++) {
		uint8_t *copy = testkit_copy(span_of(f->envelope.bytes, cut));
		struct envelope envelope;
		enum err e = envelope_decode(span_of(copy, cut), &envelope);
		assert_true(e == ERR_TRUNCATED || e == ERR_MALFORMED);
		free(copy);
	}
}

static void test_envelope_lacks_nothing(void **state)
{
	struct fixture *f = *state;
	for (unsigned left_out = 0; left_out < 4; left_out++) {
		struct envelope envelope = f->read;
		struct span *const members[] = {&envelope.public_key, &envelope.payload_type,
						&envelope.payload, &envelope.signature};
		members[left_out]->len = 0;
		uint8_t out[512];
		struct wbuf w = wbuf_of(out, sizeof(out));
		envelope_put(&w, &envelope);
		assert_err(envelope_decode(wbuf_view(&w), &envelope), ERR_MALFORMED);
	}
}

static void test_record_of_the_vector_is_read_and_written(void **state)
{
	struct fixture *f = *state;
	const json_t *expected = json_object_get(f->root, "peer_record");
	struct peer_record record;
	assert_ok(peer_record_decode(f->payload.span, &record));
	char id[PEER_ID_TEXT_MAX];
	assert_string_equal(peer_id_format(&record.peer, id), testkit_string(expected, "peer_id"));
	assert_true(record.seq == strtoull(testkit_string(expected, "seq"), NULL, 10));
	size_t i;
	json_t *text;
	json_array_foreach(json_object_get(expected, "addrs"), i, text)
	{
		char buf[MULTIADDR_TEXT_MAX];
		assert_true(i < record.addrs.len);
		assert_string_equal(multiaddr_format(&record.addrs.at[i], buf),
				    json_string_value(text));
	}
	assert_int_equal(i, record.addrs.len);
	assert_int_equal(record.addrs.skipped, 0);

	uint8_t *out = malloc(f->payload.span.len);
	assert_non_null(out);
	struct wbuf w = wbuf_of(out, f->payload.span.len);
	peer_record_put(&w, &record);
	assert_ok(wbuf_check(&w));
	assert_span_equal(wbuf_view(&w), f->payload.span);
	free(out);
}

static void test_record_cut_anywhere_is_refused_or_ends_between_fields(void **state)
{
	struct fixture *f = *state;
	unsigned whole = 0;
	for (size_t cut = 0; cut < f->payload.span.len; cut++) {
		uint8_t *copy = testkit_copy(span_of(f->payload.bytes, cut));
		struct peer_record record;
		if (peer_record_decode(span_of(copy, cut), &record) == ERR_OK)
			whole++;
		free(copy);
	}
	assert_int_equal(whole, 3); /* after the id, the number, the first address */
}

static void test_record_skips_and_counts_what_it_cannot_keep(void **state)
{
	struct fixture *f = *state;
	uint8_t raw[1024];
	struct wbuf w = wbuf_of(raw, sizeof(raw));
	struct peer_record record;
	assert_ok(peer_record_decode(f->payload.span, &record));
	pb_put_bytes(&w, 1, peer_id_view(&record.peer));
	pb_put_bytes(&w, 3, span_of(NULL, 0));                       /* no address in it */
	pb_put_bytes(&w, 3, span_of("\x0a\x02\x33\x00", 4));         /* unknown code */
	pb_put_bytes(&w, 3, span_of("\x10\x01\x0a\x02\xdd\x03", 6)); /* unknown field */
	for (unsigned i = 0; i < IDENTIFY_ADDRS_MAX; i++)
		pb_put_bytes(&w, 3, span_of("\x0a\x02\xdd\x03", 4));
	assert_ok(wbuf_check(&w));
	assert_ok(peer_record_decode(wbuf_view(&w), &record));
	assert_int_equal(record.seq, 0);
	assert_int_equal(record.addrs.len, IDENTIFY_ADDRS_MAX);
	assert_int_equal(record.addrs.skipped, 3);

	pb_put_bytes(&w, 3, span_of("\x0a\x05\x33", 3)); /* a length beyond its message */
	assert_err(peer_record_decode(wbuf_view(&w), &record), ERR_TRUNCATED);
}

static void test_record_without_a_good_peer_id_is_refused(void **state)
{
	(void)state;
	struct peer_record record;
	assert_err(peer_record_decode(span_of(NULL, 0), &record), ERR_MALFORMED);
	assert_err(peer_record_decode(span_of("\x10\x01", 2), &record), ERR_MALFORMED);
	assert_err(peer_record_decode(span_of("\x0a\x02\x00\x00", 4), &record), ERR_MALFORMED);
	assert_err(peer_record_decode(span_of("\x0a\x02\x12\x20", 4), &record), ERR_MALFORMED);
	assert_err(peer_record_decode(span_of("\x08\x01", 2), &record), ERR_MALFORMED);
	assert_err(peer_record_decode(span_of("\x12\x01\x01", 3), &record), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector_is_read_and_written),
		cmocka_unit_test(test_signed_bytes_are_those_of_the_vectors),
		cmocka_unit_test(test_each_payload_type_has_its_domain),
		cmocka_unit_test(test_every_cut_of_an_envelope_is_refused),
		cmocka_unit_test(test_envelope_lacks_nothing),
		cmocka_unit_test(test_record_of_the_vector_is_read_and_written),
		cmocka_unit_test(test_record_cut_anywhere_is_refused_or_ends_between_fields),
		cmocka_unit_test(test_record_skips_and_counts_what_it_cannot_keep),
		cmocka_unit_test(test_record_without_a_good_peer_id_is_refused),
	};
	return cmocka_run_group_tests_name("envelope", tests, setup, teardown);
}
