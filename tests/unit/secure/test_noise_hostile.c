/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "noise_fixture.h"

#include <stdlib.h>

/* Make both ends anew and bring them to where message `index` (0..2) was taken into buf. */
static size_t play_until(struct fixture *f, size_t index, uint8_t *buf, size_t cap)
{
	fixture_make(f, SECURE_INITIATOR, NULL);
	fixture_make(f, SECURE_RESPONDER, NULL);
	for (size_t i = 0;; i++) {
		size_t len = fixture_take(f->end[i % 2], buf, cap);
		if (i == index)
			return len;
		assert_ok(fixture_feed(f->end[(i + 1) % 2], span_of(buf, len), NULL));
	}
}

static void test_every_flipped_bit_of_messages_2_and_3_is_refused(void **state)
{
	struct fixture *f = *state;
	for (size_t index = 1; index < NOISE_MESSAGES; index++) {
		uint8_t buf[512];
		size_t len = play_until(f, index, buf, sizeof(buf));
		for (size_t bit = 0; bit < 8 * len; bit++) {
			assert_int_equal(play_until(f, index, buf, sizeof(buf)), len);
			struct secure *to = f->end[(index + 1) % 2];
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
			enum err e = fixture_feed(to, span_of(buf, len), NULL);
			if (bit / 8 < NOISE_HEAD_LEN && e == ERR_OK) {
				/* Longer than what came: it waits. With more, it fails. */
				uint8_t more[70000] = {0};
				memcpy(more, buf, len);
				e = fixture_feed(to, span_of(more, sizeof(more)), NULL);
			}
			assert_int_not_equal(e, ERR_OK);
			assert_false(to->is_done);
			/* And the right one comes too late. */
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_err(fixture_feed(to, span_of(buf, len), NULL), e);
			struct wbuf w = wbuf_of(buf, sizeof(buf));
			assert_err(to->ops->take(to, &w), e);
			assert_int_equal(w.len, 0);
		}
	}
}

/* The key in message 1 is not protected by itself; message 2 depends on it. */
static void test_flipped_bit_of_message_1_shows_in_message_2(void **state)
{
	struct fixture *f = *state;
	for (size_t bit = 0; bit < 8 * X25519_LEN; bit += 11) {
		uint8_t buf[512];
		size_t len = play_until(f, 0, buf, sizeof(buf));
		buf[NOISE_HEAD_LEN + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_ok(fixture_feed(f->end[1], span_of(buf, len), NULL));
		len = fixture_take(f->end[1], buf, sizeof(buf));
		assert_err(fixture_feed(f->end[0], span_of(buf, len), NULL), ERR_DECRYPT);
	}
}

static void test_truncated_messages_wait_and_shorter_lengths_fail(void **state)
{
	struct fixture *f = *state;
	for (size_t index = 0; index < NOISE_MESSAGES; index++) {
		uint8_t buf[512];
		size_t len = play_until(f, index, buf, sizeof(buf)), left;
		for (size_t cut = 0; cut < len; cut++) {
			assert_ok(fixture_feed(f->end[(index + 1) % 2], span_of(buf, cut), &left));
			assert_int_equal(left, cut);
		}
		for (size_t short_len = 0; short_len < len - NOISE_HEAD_LEN; short_len++) {
			play_until(f, index, buf, sizeof(buf));
			store_be16(buf, (uint16_t)short_len);
			assert_int_not_equal(fixture_feed(f->end[(index + 1) % 2],
							  span_of(buf, NOISE_HEAD_LEN + short_len),
							  NULL),
					     ERR_OK);
		}
	}
}

static void test_impossible_lengths_fail_at_the_header(void **state)
{
	struct fixture *f = *state;
	static const size_t overheads[NOISE_MESSAGES] = {32, 96, 64};
	for (size_t index = 0; index < NOISE_MESSAGES; index++) {
		size_t most = overheads[index] + NOISE_PAYLOAD_LEN_MAX;
		const struct {
			size_t len;
			enum err expected;
		} cases[] = {
			{0, ERR_MALFORMED},
			{overheads[index] - 1, ERR_MALFORMED},
			{overheads[index], ERR_OK}, /* and waits for it */
			{most, ERR_OK},
			{most + 1, ERR_TOO_LONG},
			{NOISE_FRAME_LEN_MAX, ERR_TOO_LONG},
		};
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			uint8_t buf[512];
			play_until(f, index, buf, sizeof(buf));
			store_be16(buf, (uint16_t)cases[i].len);
			assert_err(fixture_feed(f->end[(index + 1) % 2],
						span_of(buf, NOISE_HEAD_LEN), NULL),
				   cases[i].expected);
		}
	}
}

static void test_points_of_low_order_end_the_handshake(void **state)
{
	struct fixture *f = *state;
	uint8_t message[NOISE_HEAD_LEN + 96] = {0, 32};
	/* As the initiator's ephemeral key: ee fails when the responder answers. */
	assert_err(fixture_feed(f->end[1], span_of(message, NOISE_HEAD_LEN + 32), NULL),
		   ERR_BAD_KEY);
	/* As the responder's: ee fails before anything is decrypted. */
	message[1] = 96;
	assert_err(fixture_feed(f->end[0], span_of(message, sizeof(message)), NULL), ERR_BAD_KEY);
}

static void test_payload_of_message_1_is_ignored(void **state)
{
	struct fixture *f = *state;
	static uint8_t message[NOISE_HEAD_LEN + 32 + NOISE_PAYLOAD_LEN_MAX];
	memset(message, 0x09, sizeof(message));
	store_be16(message, sizeof(message) - NOISE_HEAD_LEN);
	assert_ok(fixture_feed(f->end[1], span_of(message, sizeof(message)), NULL));
	assert_false(f->end[1]->is_done);
}

/* What an honest end says to this payload, in both roles. */
static void assert_refused(struct fixture *f,
			   struct span (*make)(struct fixture *f, struct liar *l),
			   enum err expected)
{
	for (size_t i = 0; i < 2; i++) {
		struct liar liar;
		struct secure *s = fixture_make(f, (enum secure_role)i, NULL);
		liar_init(&liar, (enum secure_role)(1 - i));
		struct span payload = make(f, &liar);
		assert_err(liar_play(&liar, s, payload), expected);
		assert_false(s->is_done);
		assert_int_equal(s->remote_id.len, 0);
		liar_deinit(&liar);
	}
}

static uint8_t scratch[8192];

/* The identity of neither end. */
static struct identity *stranger(void)
{
	uint8_t seed[IDENTITY_SEED_LEN] = {77};
	struct identity *identity;
	assert_ok(identity_from_seed(seed, &identity));
	return identity;
}

static struct span honest(struct fixture *f, struct liar *l)
{
	(void)f;
	struct identity *identity = stranger();
	size_t len = liar_payload(l, identity, MUXER, scratch, sizeof(scratch));
	identity_free(identity);
	return span_of(scratch, len);
}

static struct span signed_for_another_static_key(struct fixture *f, struct liar *l)
{
	struct liar other = *l;
	other.handshake.static_pair.public_key[0] ^= 1;
	return honest(f, &other);
}

/* Their key, our signature: someone in between. */
static struct span key_of_another(struct fixture *f, struct liar *l)
{
	struct identity *identity = stranger();
	struct identity *victim = f->identity[l->handshake.is_initiator ? 0 : 1];
	uint8_t data[NOISE_SIGNED_LEN], signature[IDENTITY_SIGNATURE_LEN];
	noise_payload_signed(l->handshake.static_pair.public_key, data);
	assert_ok(identity_sign(identity, span_of(data, sizeof(data)), signature));
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	noise_payload_put(&w, identity_public_key(victim), span_of(signature, sizeof(signature)),
			  MUXER, 0);
	identity_free(identity);
	return wbuf_view(&w);
}

static struct span empty(struct fixture *f, struct liar *l)
{
	(void)f;
	(void)l;
	return span_of(scratch, 0);
}

static struct span without_signature(struct fixture *f, struct liar *l)
{
	(void)l;
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	wbuf_put(&w, span_of("\x0a\x24", 2));
	wbuf_put(&w, identity_public_key(f->identity[0]));
	return wbuf_view(&w);
}

static struct span key_twice(struct fixture *f, struct liar *l)
{
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	w.len = honest(f, l).len;
	wbuf_put(&w, span_of("\x0a\x24", 2));
	wbuf_put(&w, identity_public_key(f->identity[0]));
	return wbuf_view(&w);
}

static struct span signature_as_a_number(struct fixture *f, struct liar *l)
{
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	w.len = without_signature(f, l).len;
	wbuf_put(&w, span_of("\x10\x07", 2));
	return wbuf_view(&w);
}

static struct span bad_extensions(struct fixture *f, struct liar *l)
{
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	w.len = honest(f, l).len;
	wbuf_put(&w, span_of("\x22\x02\x12\x05", 4)); /* a name that ends before its length */
	return wbuf_view(&w);
}

static struct span key_of_the_future(struct fixture *f, struct liar *l)
{
	struct span payload = honest(f, l);
	assert_int_equal(scratch[3], 1); /* 0a 24 08 TYPE */
	scratch[3] = 4;
	return payload;
}

/* A key that is longer than any we read. */
static struct span long_key(struct fixture *f, struct liar *l)
{
	(void)f;
	(void)l;
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	const size_t len = 2100; /* RSA 16384 */
	wbuf_put(&w, span_of("\x0a\xb4\x10", 3));
	uint8_t *key = wbuf_reserve(&w, len);
	memset(key, 0x55, len);
	memcpy(key, "\x08\x00\x12\xaf\x10", 5);
	wbuf_put(&w, span_of("\x12\x01s", 3));
	return wbuf_view(&w);
}

static void test_bad_identities_are_refused(void **state)
{
	struct fixture *f = *state;
	assert_refused(f, signed_for_another_static_key, ERR_BAD_SIGNATURE);
	assert_refused(f, key_of_another, ERR_BAD_SIGNATURE);
	assert_refused(f, empty, ERR_MALFORMED);
	assert_refused(f, without_signature, ERR_MALFORMED);
	assert_refused(f, key_twice, ERR_MALFORMED);
	assert_refused(f, signature_as_a_number, ERR_MALFORMED);
	assert_refused(f, bad_extensions, ERR_MALFORMED);
	assert_refused(f, key_of_the_future, ERR_UNSUPPORTED);
	assert_refused(f, long_key, ERR_BAD_KEY);
}

static void test_truncated_payloads_are_refused(void **state)
{
	struct fixture *f = *state;
	size_t whole = 0;
	for (size_t cut = 0; cut == 0 || cut < whole; cut++) {
		struct liar liar;
		struct secure *s = fixture_make(f, SECURE_RESPONDER, NULL);
		liar_init(&liar, SECURE_INITIATOR);
		whole = honest(f, &liar).len;
		/* Key and signature alone, before the extensions, are a whole message. */
		bool is_whole = cut == whole - 16;
		enum err e = liar_play(&liar, s, span_of(scratch, cut));
		if (is_whole)
			assert_ok(e);
		else
			assert_err(e, ERR_MALFORMED);
		assert_int_equal(s->is_done, is_whole);
		liar_deinit(&liar);
	}
}

/* --- lanes -----------------------------------------------------------------------------------
 */

/* What a responder says to an honest payload with these extensions behind it. */
static enum err say_extensions(struct fixture *f, struct span extensions, uint32_t *ret_lane)
{
	struct liar liar;
	struct secure *s = fixture_make(f, SECURE_RESPONDER, NULL);
	liar_init(&liar, SECURE_INITIATOR);
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	w.len = honest(f, &liar).len;
	wbuf_put_u8(&w, 0x22);
	wbuf_put_u8(&w, (uint8_t)extensions.len);
	wbuf_put(&w, extensions);
	enum err e = liar_play(&liar, s, wbuf_view(&w));
	assert_int_equal(s->is_done, e == ERR_OK);
	*ret_lane = s->remote_lane;
	liar_deinit(&liar);
	return e;
}

#define LANE    "\xe0\xa6\x0e" /* field 29292, a number */
#define TEXT(t) span_of(t, sizeof(t) - 1)

static void test_lanes_out_of_range_are_refused(void **state)
{
	struct fixture *f = *state;
	const struct {
		struct span bytes;
		enum err expected;
		uint32_t lane;
	} cases[] = {
		{TEXT(LANE "\x00"), ERR_OK, 0},
		{TEXT(LANE "\x01"), ERR_OK, 1},
		{TEXT(LANE "\x3f"), ERR_OK, 63},
		{TEXT(LANE "\x40"), ERR_RANGE, 0},
		{TEXT(LANE "\xff\xff\xff\xff\x0f"), ERR_RANGE, 0},
		{TEXT(LANE "\x81\x80\x80\x80\x10"), ERR_RANGE, 0}, /* 2^32 + 1: not lane 1 */
		{TEXT(LANE "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ERR_RANGE, 0},
		{TEXT(LANE "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), ERR_MALFORMED, 0},
		{TEXT(LANE "\x01" LANE "\x01"), ERR_MALFORMED, 0}, /* twice */
		{TEXT(LANE "\x00" LANE "\x01"), ERR_MALFORMED, 0},
		{TEXT("\xe2\xa6\x0e\x01\x01"), ERR_MALFORMED, 0},         /* bytes, not a number */
		{TEXT("\xe5\xa6\x0e\x01\x00\x00\x00"), ERR_MALFORMED, 0}, /* fixed32 */
		{TEXT("\xe8\xa6\x0e\x07"), ERR_OK, 0}, /* the field behind it: nobody's */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t lane;
		assert_err(say_extensions(f, cases[i].bytes, &lane), cases[i].expected);
		assert_int_equal(lane, cases[i].lane);
	}
}

/* Twice over two extension messages, which protobuf merges into one. */
static void test_a_second_lane_in_a_second_message_is_refused(void **state)
{
	struct fixture *f = *state;
	struct liar liar;
	struct secure *s = fixture_make(f, SECURE_RESPONDER, NULL);
	liar_init(&liar, SECURE_INITIATOR);
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	w.len = honest(f, &liar).len;
	wbuf_put(&w, TEXT("\x22\x04" LANE "\x02\x22\x04" LANE "\x02"));
	assert_err(liar_play(&liar, s, wbuf_view(&w)), ERR_MALFORMED);
	liar_deinit(&liar);
}

static void test_a_lane_cut_at_every_byte_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char whole[] = "\x12\x02/x" LANE "\x3f";
	const size_t len = sizeof(whole) - 1;
	for (size_t cut = 0; cut <= len; cut++) {
		uint32_t lane;
		bool is_whole = cut == 0 || cut == 4 || cut == len;
		assert_err(say_extensions(f, span_of(whole, cut), &lane),
			   is_whole ? ERR_OK : ERR_MALFORMED);
		assert_int_equal(lane, cut == len ? 63 : 0);
	}
}

/* A lane that nobody signed for is nothing: the signature is what is wrong. */
static void test_a_lane_beside_a_bad_signature_counts_for_nothing(void **state)
{
	struct fixture *f = *state;
	struct liar liar;
	struct secure *s = fixture_make(f, SECURE_RESPONDER, NULL);
	liar_init(&liar, SECURE_INITIATOR);
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	w.len = signed_for_another_static_key(f, &liar).len;
	wbuf_put(&w, TEXT("\x22\x04" LANE "\x40"));
	assert_err(liar_play(&liar, s, wbuf_view(&w)), ERR_BAD_SIGNATURE);
	assert_int_equal(s->remote_lane, 0);
	liar_deinit(&liar);
}

/* Lanes are the dialler's to choose. */
static void test_a_lane_of_a_responder_is_ignored(void **state)
{
	struct fixture *f = *state;
	struct liar liar;
	struct secure *s = fixture_make(f, SECURE_INITIATOR, NULL);
	liar_init(&liar, SECURE_RESPONDER);
	struct wbuf w = wbuf_of(scratch, sizeof(scratch));
	w.len = honest(f, &liar).len;
	wbuf_put(&w, TEXT("\x22\x04" LANE "\x40"));
	assert_ok(liar_play(&liar, s, wbuf_view(&w)));
	assert_int_equal(s->remote_lane, 0);
	liar_deinit(&liar);
}

static void test_another_peer_than_the_dialled_one_is_refused(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 2; i++) {
		struct noise_conf conf = fixture_conf(f, (enum secure_role)i);
		conf.expected = *identity_peer_id(f->identity[1 - i]);
		struct secure *s = fixture_make(f, (enum secure_role)i, &conf);
		struct liar liar;
		liar_init(&liar, (enum secure_role)(1 - i));
		assert_err(liar_play(&liar, s, honest(f, &liar)), ERR_WRONG_PEER);
		assert_false(s->is_done);
		liar_deinit(&liar);
	}
}

static void test_ourselves_are_refused(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 2; i++) {
		struct noise_conf conf = fixture_conf(f, (enum secure_role)i);
		conf.expected = *identity_peer_id(f->identity[i]);
		struct secure *s = fixture_make(f, (enum secure_role)i, i == 0 ? NULL : &conf);
		struct liar liar;
		liar_init(&liar, (enum secure_role)(1 - i));
		size_t len = liar_payload(&liar, f->identity[i], MUXER, scratch, sizeof(scratch));
		assert_err(liar_play(&liar, s, span_of(scratch, len)), ERR_SELF);
		liar_deinit(&liar);
	}
}

/* All that we say comes back to us: nobody has to know a key for that. */
static void test_a_mirror_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[512];
	size_t len = fixture_take(f->end[0], buf, sizeof(buf));
	assert_int_not_equal(fixture_feed(f->end[0], span_of(buf, len), NULL), ERR_OK);
}

/* Faults, row 10: a stream ends at the first record that fails. */
static void test_a_record_that_fails_ends_the_channel(void **state)
{
	struct fixture *f = *state;
	uint8_t good[NOISE_HEAD_LEN + 5 + AEAD_TAG_LEN], bad[sizeof(good)];
	size_t len, used = 99;
	struct span plain = span_of("untouched", 9);
	for (size_t bit = 8 * NOISE_HEAD_LEN; bit < 8 * sizeof(good); bit++) {
		fixture_make(f, SECURE_INITIATOR, NULL);
		struct secure *s = fixture_make(f, SECURE_RESPONDER, NULL);
		fixture_connect(f);
		memcpy(good + NOISE_HEAD_LEN, "hello", 5);
		assert_ok(f->end[0]->ops->seal(f->end[0], good, 5, &len));
		memcpy(bad, good, sizeof(good));
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_err(s->ops->open(s, bad, len, &used, &plain), ERR_DECRYPT);
		assert_int_equal(used, 99);
		assert_span_equal(plain, span_str("untouched"));
		assert_err(s->ops->open(s, good, len, &used, &plain), ERR_DECRYPT);
		assert_err(s->ops->seal(s, bad, 5, &len), ERR_DECRYPT);
	}
}

/* Faults, row 10, and CVE-2021-4239: below the stream, a failure changes nothing. */
static void test_a_failed_open_leaves_the_cipher_as_it_was(void **state)
{
	(void)state;
	uint8_t key[AEAD_KEY_LEN] = {1};
	struct noise_cipher tx = {0}, rx = {0};
	assert_ok(noise_cipher_init(&tx, key));
	assert_ok(noise_cipher_init(&rx, key));
	for (uint64_t n = 0; n < 3; n++) {
		uint8_t good[5 + AEAD_TAG_LEN] = "hello", bad[sizeof(good)];
		assert_ok(noise_cipher_seal(&tx, span_of("", 0), good, 5, good + 5));
		for (size_t bit = 0; bit < 8 * sizeof(good); bit++) {
			memcpy(bad, good, sizeof(good));
			bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_err(noise_cipher_open(&rx, span_of("", 0), bad, 5, bad + 5),
				   ERR_DECRYPT);
			assert_int_equal(rx.nonce, n);
		}
		assert_ok(noise_cipher_open(&rx, span_of("", 0), good, 5, good + 5));
		assert_memory_equal(good, "hello", 5);
		assert_int_equal(rx.nonce, n + 1);
	}
	noise_cipher_deinit(&tx);
	noise_cipher_deinit(&rx);
}

static void test_records_out_of_order_or_twice_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t first[NOISE_HEAD_LEN + 1 + AEAD_TAG_LEN] = {0}, second[sizeof(first)] = {0};
	uint8_t copy[sizeof(first)];
	size_t len, used;
	struct span plain;
	fixture_connect(f);
	assert_ok(f->end[0]->ops->seal(f->end[0], first, 1, &len));
	assert_ok(f->end[0]->ops->seal(f->end[0], second, 1, &len));
	assert_err(f->end[1]->ops->open(f->end[1], second, len, &used, &plain), ERR_DECRYPT);

	fixture_make(f, SECURE_INITIATOR, NULL);
	fixture_make(f, SECURE_RESPONDER, NULL);
	fixture_connect(f);
	assert_ok(f->end[0]->ops->seal(f->end[0], first, 1, &len));
	memcpy(copy, first, sizeof(first));
	assert_ok(f->end[1]->ops->open(f->end[1], first, len, &used, &plain));
	assert_err(f->end[1]->ops->open(f->end[1], copy, len, &used, &plain), ERR_DECRYPT);
	/* Nor is a record of the one direction one of the other. */
	memset(copy, 0, sizeof(copy));
	assert_ok(f->end[0]->ops->seal(f->end[0], copy, 1, &len));
	assert_err(f->end[0]->ops->open(f->end[0], copy, len, &used, &plain), ERR_DECRYPT);
}

static void test_frames_shorter_than_a_tag_are_refused_at_the_header(void **state)
{
	struct fixture *f = *state;
	for (uint8_t frame_len = 0; frame_len < AEAD_TAG_LEN; frame_len++) {
		fixture_make(f, SECURE_INITIATOR, NULL);
		fixture_make(f, SECURE_RESPONDER, NULL);
		fixture_connect(f);
		uint8_t head[NOISE_HEAD_LEN] = {0, frame_len};
		uint8_t *in = testkit_copy(span_of(head, sizeof(head)));
		size_t used;
		struct span plain;
		assert_err(f->end[1]->ops->open(f->end[1], in, 2, &used, &plain), ERR_DECRYPT);
		free(in);
	}
}

/* Faults, row 11: the counter is set two short of the reserved number. */
static void test_a_key_without_nonces_ends_the_channel(void **state)
{
	struct fixture *f = *state;
	fixture_connect(f);
	fixture_noise(f->end[0])->tx.nonce = UINT64_MAX - 2;
	fixture_noise(f->end[1])->rx.nonce = UINT64_MAX - 2;
	fixture_assert_text(f->end[0], f->end[1], "last but one");
	fixture_assert_text(f->end[0], f->end[1], "last");
	uint8_t record[NOISE_HEAD_LEN + 1 + AEAD_TAG_LEN] = {0, 17};
	size_t len = 99;
	struct span plain;
	for (size_t i = 0; i < 3; i++) {
		assert_err(f->end[0]->ops->seal(f->end[0], record, 1, &len), ERR_NONCE_EXHAUSTED);
		assert_err(f->end[1]->ops->open(f->end[1], record, sizeof(record), &len, &plain),
			   ERR_NONCE_EXHAUSTED);
	}
	assert_int_equal(len, 99);
	assert_true(fixture_noise(f->end[0])->tx.nonce == UINT64_MAX);
	assert_true(fixture_noise(f->end[1])->rx.nonce == UINT64_MAX);
}

#define NOISE_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NOISE_TEST(test_every_flipped_bit_of_messages_2_and_3_is_refused),
		NOISE_TEST(test_flipped_bit_of_message_1_shows_in_message_2),
		NOISE_TEST(test_truncated_messages_wait_and_shorter_lengths_fail),
		NOISE_TEST(test_impossible_lengths_fail_at_the_header),
		NOISE_TEST(test_points_of_low_order_end_the_handshake),
		NOISE_TEST(test_payload_of_message_1_is_ignored),
		NOISE_TEST(test_bad_identities_are_refused),
		NOISE_TEST(test_truncated_payloads_are_refused),
		NOISE_TEST(test_lanes_out_of_range_are_refused),
		NOISE_TEST(test_a_second_lane_in_a_second_message_is_refused),
		NOISE_TEST(test_a_lane_cut_at_every_byte_is_refused),
		NOISE_TEST(test_a_lane_beside_a_bad_signature_counts_for_nothing),
		NOISE_TEST(test_a_lane_of_a_responder_is_ignored),
		NOISE_TEST(test_another_peer_than_the_dialled_one_is_refused),
		NOISE_TEST(test_ourselves_are_refused),
		NOISE_TEST(test_a_mirror_is_refused),
		NOISE_TEST(test_a_record_that_fails_ends_the_channel),
		cmocka_unit_test(test_a_failed_open_leaves_the_cipher_as_it_was),
		NOISE_TEST(test_records_out_of_order_or_twice_are_refused),
		NOISE_TEST(test_frames_shorter_than_a_tag_are_refused_at_the_header),
		NOISE_TEST(test_a_key_without_nonces_ends_the_channel),
	};
	return cmocka_run_group_tests_name("noise_hostile", tests, NULL, NULL);
}
