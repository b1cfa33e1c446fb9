/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "noise_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static uint8_t *unhex_of(json_t *object, const char *key, size_t *ret_len)
{
	return testkit_unhex(testkit_string(object, key), ret_len);
}

/* The keys of one end of a generic vector. */
static void init_generic(struct noise_handshake *h, json_t *vector, bool is_initiator)
{
	size_t len;
	uint8_t *static_secret =
		unhex_of(vector, is_initiator ? "init_static" : "resp_static", &len);
	uint8_t *ephemeral_secret =
		unhex_of(vector, is_initiator ? "gen_init_ephemeral" : "gen_resp_ephemeral", &len);
	uint8_t *prologue = testkit_unhex("", &len);
	if (json_object_get(vector, "prologue") != NULL) {
		free(prologue);
		prologue = unhex_of(vector, "prologue", &len);
	}
	assert_ok(noise_handshake_init(h, is_initiator, static_secret, ephemeral_secret,
				       span_of(prologue, len)));
	free(prologue);
	free(ephemeral_secret);
	free(static_secret);
}

static uint8_t *unhex_message(json_t *vector, unsigned i, const char *what, size_t *ret_len)
{
	char key[32];
	snprintf(key, sizeof(key), "msg_%u_%s", i, what);
	return unhex_of(vector, key, ret_len);
}

static void check_handshake_message(json_t *vector, unsigned i, struct noise_handshake *from,
				    struct noise_handshake *to)
{
	size_t payload_len, len;
	uint8_t *payload = unhex_message(vector, i, "payload", &payload_len);
	uint8_t *expected = unhex_message(vector, i, "ciphertext", &len);
	uint8_t buf[256];
	struct wbuf w = wbuf_of(buf, len - 1);
	assert_true(noise_handshake_is_our_turn(from));
	assert_err(noise_handshake_write(from, span_of(payload, payload_len), &w), ERR_FULL);
	assert_int_equal(w.len, 0);
	w = wbuf_of(buf, len);
	assert_ok(noise_handshake_write(from, span_of(payload, payload_len), &w));
	assert_span_equal(wbuf_view(&w), span_of(expected, len));
	struct span got;
	assert_ok(noise_handshake_read(to, expected, len, &got));
	assert_span_equal(got, span_of(payload, payload_len));
	free(expected);
	free(payload);
}

static void check_transport_message(json_t *vector, unsigned i, struct noise_cipher *tx,
				    struct noise_cipher *rx)
{
	size_t payload_len, len;
	uint8_t *payload = unhex_message(vector, i, "payload", &payload_len);
	uint8_t *expected = unhex_message(vector, i, "ciphertext", &len);
	uint8_t buf[256];
	assert_int_equal(len, payload_len + AEAD_TAG_LEN);
	memcpy(buf, payload, payload_len);
	assert_ok(noise_cipher_seal(tx, span_of("", 0), buf, payload_len, buf + payload_len));
	assert_span_equal(span_of(buf, len), span_of(expected, len));
	assert_ok(noise_cipher_open(rx, span_of("", 0), expected, payload_len,
				    expected + payload_len));
	assert_span_equal(span_of(expected, payload_len), span_of(payload, payload_len));
	free(expected);
	free(payload);
}

static void test_generic_vectors_message_by_message(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("noise_xx_generic.json");
	json_t *vectors = json_object_get(root, "vectors");
	assert_int_equal(json_array_size(vectors), 4);
	for (size_t v = 0; v < json_array_size(vectors); v++) {
		json_t *vector = json_array_get(vectors, v);
		struct noise_handshake end[2]; /* the initiator first */
		struct noise_cipher tx[2] = {0}, rx[2] = {0};
		init_generic(&end[0], vector, true);
		init_generic(&end[1], vector, false);
		for (unsigned i = 0; i < NOISE_MESSAGES; i++)
			check_handshake_message(vector, i, &end[i % 2], &end[(i + 1) % 2]);
		assert_memory_equal(end[0].symmetric.hash, end[1].symmetric.hash, HASH_LEN);
		for (size_t i = 0; i < 2; i++) {
			assert_true(noise_handshake_is_done(&end[i]));
			assert_ok(noise_handshake_split(&end[i], &tx[i], &rx[i]));
			noise_handshake_deinit(&end[i]);
		}
		/* In these vectors the initiator speaks twice in a row. */
		check_transport_message(vector, 3, &tx[0], &rx[1]);
		check_transport_message(vector, 4, &tx[1], &rx[0]);
		for (size_t i = 0; i < 2; i++) {
			noise_cipher_deinit(&tx[i]);
			noise_cipher_deinit(&rx[i]);
		}
	}
	json_decref(root);
}

static void check_frame(struct fixture *f, json_t *frame)
{
	bool is_initiators = strcmp(testkit_string(frame, "dir"), "initiator->responder") == 0;
	struct secure *from = f->end[is_initiators ? 0 : 1];
	struct secure *to = f->end[is_initiators ? 1 : 0];
	const char *text = testkit_string(frame, "plaintext");
	size_t expected_len, len, used;
	uint8_t *expected = unhex_of(frame, "frame", &expected_len);
	uint8_t record[64];
	struct span plain;
	memcpy(record + NOISE_HEAD_LEN, text, strlen(text));
	assert_ok(from->ops->seal(from, record, strlen(text), &len));
	assert_span_equal(span_of(record, len), span_of(expected, expected_len));
	assert_ok(to->ops->open(to, expected, expected_len, &used, &plain));
	assert_int_equal(used, expected_len);
	assert_span_equal(plain, span_str(text));
	free(expected);
}

static void test_libp2p_handshake_byte_for_byte(void **state)
{
	struct fixture *f = *state;
	json_t *root = testkit_vectors("noise_libp2p.json");
	static const char *const messages[] = {"msg1_initiator", "msg2_responder",
					       "msg3_initiator"};
	for (size_t i = 0; i < NOISE_MESSAGES; i++) {
		uint8_t buf[512];
		size_t expected_len, left;
		uint8_t *expected =
			unhex_of(json_object_get(root, "wire"), messages[i], &expected_len);
		size_t len = fixture_take(f->end[i % 2], buf, sizeof(buf));
		assert_span_equal(span_of(buf, len), span_of(expected, expected_len));
		assert_ok(fixture_feed(f->end[(i + 1) % 2], span_of(buf, len), &left));
		assert_int_equal(left, 0);
		free(expected);
	}
	size_t len;
	uint8_t *hash = unhex_of(root, "handshake_hash", &len);
	static const char *const sides[] = {"initiator", "responder"};
	for (size_t i = 0; i < 2; i++) {
		struct secure *end = f->end[i];
		char text[PEER_ID_TEXT_MAX];
		assert_true(end->is_done && end->is_muxer_agreed);
		assert_string_equal(peer_id_format(&end->remote_id, text),
				    testkit_string(json_object_get(root, sides[1 - i]), "peer_id"));
		assert_span_equal(span_of(end->remote_key, end->remote_key_len),
				  identity_public_key(f->identity[1 - i]));
		assert_span_equal(span_of(fixture_noise(end)->handshake_hash, HASH_LEN),
				  span_of(hash, len));
	}
	free(hash);
	json_t *frames = json_object_get(root, "transport");
	assert_int_equal(json_array_size(frames), 3);
	for (size_t i = 0; i < json_array_size(frames); i++)
		check_frame(f, json_array_get(frames, i));
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generic_vectors_message_by_message),
		cmocka_unit_test_setup_teardown(test_libp2p_handshake_byte_for_byte, fixture_setup,
						fixture_teardown),
	};
	return cmocka_run_group_tests_name("noise_vectors", tests, NULL, NULL);
}
