/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "noise_fixture.h"

#include <stdlib.h>

static void test_bytes_may_arrive_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[512];
	for (size_t i = 0; i < NOISE_MESSAGES; i++) {
		struct secure *to = f->end[(i + 1) % 2];
		size_t len = fixture_take(f->end[i % 2], buf, sizeof(buf));
		for (size_t n = 0; n < len; n++) {
			size_t left;
			assert_ok(fixture_feed(to, span_of(buf, n), &left));
			assert_int_equal(left, n);
		}
		assert_false(to->is_done);
		assert_ok(fixture_feed(to, span_of(buf, len), NULL));
	}
	fixture_assert_text(f->end[0], f->end[1], "hello");
	fixture_assert_text(f->end[1], f->end[0], "hello");
}

static void test_records_behind_the_handshake_stay_in_the_input(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[1024];
	size_t len = fixture_take(f->end[0], buf, sizeof(buf));
	assert_ok(fixture_feed(f->end[1], span_of(buf, len), NULL));
	len = fixture_take(f->end[1], buf, sizeof(buf));
	assert_ok(fixture_feed(f->end[0], span_of(buf, len), NULL));
	assert_true(f->end[0]->is_done);

	/* The last message and two records, in one piece. */
	size_t message_len = fixture_take(f->end[0], buf, sizeof(buf));
	size_t record_len, used;
	len = message_len;
	for (size_t i = 0; i < 2; i++) {
		memset(buf + len + NOISE_HEAD_LEN, 'a' + (int)i, 3);
		assert_ok(f->end[0]->ops->seal(f->end[0], buf + len, 3, &record_len));
		len += record_len;
	}
	struct span in = span_of(buf, len);
	struct secure *s = f->end[1];
	assert_ok(s->ops->feed(s, &in));
	assert_true(s->is_done);
	assert_int_equal(in.len, len - message_len);
	assert_ok(s->ops->feed(s, &in)); /* nothing more for it */
	assert_int_equal(in.len, len - message_len);

	uint8_t *at = buf + message_len;
	struct span plain;
	for (size_t n = 0; n < record_len; n++)
		assert_err(s->ops->open(s, at, n, &used, &plain), ERR_AGAIN);
	assert_ok(s->ops->open(s, at, 2 * record_len, &used, &plain));
	assert_span_equal(plain, span_str("aaa"));
	assert_int_equal(used, record_len);
	assert_ok(s->ops->open(s, at + used, record_len, &used, &plain));
	assert_span_equal(plain, span_str("bbb"));
}

static void test_take_without_room_writes_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[34];
	struct wbuf w = wbuf_of(buf, 33);
	struct secure *s = f->end[0];
	assert_err(s->ops->take(s, &w), ERR_FULL);
	assert_int_equal(w.len, 0);
	assert_false(w.overflowed);
	w = wbuf_of(buf, 34);
	assert_ok(s->ops->take(s, &w));
	assert_int_equal(w.len, 34);
	assert_ok(s->ops->take(s, &w)); /* nothing more, and room for it */
	assert_int_equal(w.len, 34);
}

static void test_first_message_has_no_payload(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[512];
	assert_int_equal(fixture_take(f->end[0], buf, sizeof(buf)), NOISE_HEAD_LEN + X25519_LEN);
	assert_int_equal(fixture_take(f->end[1], buf, sizeof(buf)), 0);
}

static void test_records_of_all_sizes_pass(void **state)
{
	struct fixture *f = *state;
	fixture_connect(f);
	static const size_t sizes[] = {1, 2, 15, 16, 17, 1400, NOISE_PLAIN_LEN_MAX};
	uint8_t *record = malloc(NOISE_HEAD_LEN + NOISE_FRAME_LEN_MAX);
	assert_non_null(record);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len, used;
		struct span plain;
		for (size_t n = 0; n < sizes[i]; n++)
			record[NOISE_HEAD_LEN + n] = (uint8_t)(n * 7);
		assert_ok(f->end[0]->ops->seal(f->end[0], record, sizes[i], &len));
		assert_int_equal(load_be16(record), sizes[i] + AEAD_TAG_LEN);
		assert_ok(f->end[1]->ops->open(f->end[1], record, len, &used, &plain));
		assert_int_equal(used, len);
		assert_int_equal(plain.len, sizes[i]);
		for (size_t n = 0; n < sizes[i]; n++)
			assert_true(plain.p[n] == (uint8_t)(n * 7));
	}
	free(record);
}

static void test_empty_record_is_no_data(void **state)
{
	struct fixture *f = *state;
	fixture_connect(f);
	uint8_t record[NOISE_HEAD_LEN + AEAD_TAG_LEN] = {0, AEAD_TAG_LEN};
	size_t used;
	struct span plain;
	assert_ok(noise_cipher_seal(&fixture_noise(f->end[0])->tx, span_of("", 0),
				    record + NOISE_HEAD_LEN, 0, record + NOISE_HEAD_LEN));
	assert_ok(f->end[1]->ops->open(f->end[1], record, sizeof(record), &used, &plain));
	assert_int_equal(used, sizeof(record));
	assert_int_equal(plain.len, 0);
	fixture_assert_text(f->end[0], f->end[1], "and on");
}

static void test_dialled_peer_is_accepted_by_its_id(void **state)
{
	struct fixture *f = *state;
	struct noise_conf conf = fixture_conf(f, SECURE_INITIATOR);
	conf.expected = *identity_peer_id(f->identity[1]);
	fixture_make(f, SECURE_INITIATOR, &conf);
	fixture_connect(f);
}

static void test_muxer_is_agreed_only_when_both_offer_it(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *initiator, *responder;
		bool is_agreed;
	} cases[] = {
		{MUXER, MUXER, true},
		{MUXER, NULL, false},
		{NULL, MUXER, false},
		{NULL, NULL, false},
		{MUXER, "/mplex/6.7.0", false}, /* no overlap: not the end of the connection */
		{MUXER, "/yamux/1.0.00", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct noise_conf conf = fixture_conf(f, SECURE_INITIATOR);
		conf.muxer = cases[i].initiator;
		fixture_make(f, SECURE_INITIATOR, &conf);
		conf = fixture_conf(f, SECURE_RESPONDER);
		conf.muxer = cases[i].responder;
		fixture_make(f, SECURE_RESPONDER, &conf);
		fixture_connect(f);
		assert_int_equal(f->end[0]->is_muxer_agreed, cases[i].is_agreed);
		assert_int_equal(f->end[1]->is_muxer_agreed, cases[i].is_agreed);
	}
}

static void test_muxer_is_found_in_a_longer_list(void **state)
{
	struct fixture *f = *state;
	/* The muxer as the n-th of the list, from the first to the one past what we read. */
	for (size_t n = 0; n <= NOISE_MUXERS_MAX; n++) {
		uint8_t payload[1024];
		struct liar liar;
		liar_init(&liar, SECURE_INITIATOR);
		struct wbuf w = wbuf_of(payload, sizeof(payload));
		w.len = liar_payload(&liar, f->identity[0], NULL, payload, sizeof(payload));
		for (size_t i = 0; i < n; i++) /* extensions may be split: protobuf merges them */
			wbuf_put(&w, span_of("\x22\x04\x12\x02/x", 6));
		wbuf_put(&w, span_of("\x22\x0e\x12\x0c" MUXER, 16));
		struct secure *s = fixture_make(f, SECURE_RESPONDER, NULL);
		assert_ok(liar_play(&liar, s, wbuf_view(&w)));
		assert_true(s->is_done);
		assert_int_equal(s->is_muxer_agreed, n < NOISE_MUXERS_MAX);
		liar_deinit(&liar);
	}
}

static void test_unknown_fields_are_skipped(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[1024];
	struct liar liar;
	liar_init(&liar, SECURE_INITIATOR);
	struct wbuf w = wbuf_of(payload, sizeof(payload));
	wbuf_put(&w, span_of("\x1a\x04"
			     "data",
			     6));                              /* field 3, of old */
	wbuf_put(&w, span_of("\xa0\x06\x07", 3));              /* field 100, a number */
	wbuf_put(&w, span_of("\x22\x05\x0a\x01h\x18\x01", 7)); /* a hash; a number */
	w.len += liar_payload(&liar, f->identity[0], MUXER, payload + w.len,
			      sizeof(payload) - w.len);
	assert_ok(liar_play(&liar, f->end[1], wbuf_view(&w)));
	assert_true(f->end[1]->is_done && f->end[1]->is_muxer_agreed);
	liar_deinit(&liar);
}

static void test_responder_learns_the_lane_and_the_initiator_none(void **state)
{
	struct fixture *f = *state;
	const uint32_t lanes[] = {0, 1, 7, LANES_MAX - 1};
	for (size_t i = 0; i < sizeof(lanes) / sizeof(lanes[0]); i++) {
		struct noise_conf conf = fixture_conf(f, SECURE_INITIATOR);
		conf.lane = lanes[i];
		fixture_make(f, SECURE_INITIATOR, &conf);
		conf = fixture_conf(f, SECURE_RESPONDER);
		conf.lane = 5; /* says nothing */
		fixture_make(f, SECURE_RESPONDER, &conf);
		fixture_connect(f);
		assert_int_equal(f->end[1]->remote_lane, lanes[i]);
		assert_int_equal(f->end[0]->remote_lane, 0);
		assert_true(f->end[0]->is_muxer_agreed && f->end[1]->is_muxer_agreed);
	}
}

/* What every node before lanes sends, and every other implementation. */
static void test_lane_0_leaves_the_payload_as_it_was(void **state)
{
	(void)state;
	uint8_t bytes[64];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	noise_payload_put(&w, span_str("k"), span_str("s"), "/m", 0);
	assert_span_equal(wbuf_view(&w), span_of("\x0a\x01k\x12\x01s\x22\x04\x12\x02/m", 12));
	w = wbuf_of(bytes, sizeof(bytes));
	noise_payload_put(&w, span_str("k"), span_str("s"), NULL, 0);
	assert_span_equal(wbuf_view(&w), span_of("\x0a\x01k\x12\x01s", 6));
	w = wbuf_of(bytes, sizeof(bytes));
	noise_payload_put(&w, span_str("k"), span_str("s"), "/m", 3);
	assert_span_equal(wbuf_view(&w),
			  span_of("\x0a\x01k\x12\x01s\x22\x08\x12\x02/m\xe0\xa6\x0e\x03", 16));
}

static void test_handshake_secrets_are_gone_once_done(void **state)
{
	struct fixture *f = *state;
	fixture_connect(f);
	static const struct noise_handshake nothing;
	for (size_t i = 0; i < 2; i++)
		assert_memory_equal(&fixture_noise(f->end[i])->handshake, &nothing,
				    sizeof(nothing));
}

#define NOISE_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NOISE_TEST(test_bytes_may_arrive_one_at_a_time),
		NOISE_TEST(test_records_behind_the_handshake_stay_in_the_input),
		NOISE_TEST(test_take_without_room_writes_nothing),
		NOISE_TEST(test_first_message_has_no_payload),
		NOISE_TEST(test_records_of_all_sizes_pass),
		NOISE_TEST(test_empty_record_is_no_data),
		NOISE_TEST(test_dialled_peer_is_accepted_by_its_id),
		NOISE_TEST(test_muxer_is_agreed_only_when_both_offer_it),
		NOISE_TEST(test_muxer_is_found_in_a_longer_list),
		NOISE_TEST(test_unknown_fields_are_skipped),
		NOISE_TEST(test_responder_learns_the_lane_and_the_initiator_none),
		NOISE_TEST(test_lane_0_leaves_the_payload_as_it_was),
		NOISE_TEST(test_handshake_secrets_are_gone_once_done),
	};
	return cmocka_run_group_tests_name("noise", tests, NULL, NULL);
}
