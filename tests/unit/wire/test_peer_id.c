/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "wire/multibase.h"
#include "wire/multihash.h"
#include "wire/peer_id.h"

static void assert_parses_to(const char *text, struct span multihash)
{
	struct peer_id id;
	uint8_t *copy = testkit_copy(span_str(text));
	assert_ok(peer_id_parse(span_of(copy, strlen(text)), &id));
	assert_span_equal(peer_id_view(&id), multihash);
	free(copy);
}

static void test_vectors_agree_in_every_form(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("peer_id_keys.json");
	size_t i;
	json_t *key;
	json_array_foreach(json_object_get(root, "keys"), i, key)
	{
		size_t key_len;
		size_t hash_len;
		uint8_t *public_key = testkit_unhex(testkit_string(key, "public_pb"), &key_len);
		uint8_t *hash = testkit_unhex(testkit_string(key, "peer_id_multihash"), &hash_len);
		struct span expected = span_of(hash, hash_len);

		struct peer_id id;
		assert_ok(peer_id_from_public_key(span_of(public_key, key_len), &id));
		assert_span_equal(peer_id_view(&id), expected);
		assert_ok(peer_id_from_bytes(expected, &id));
		assert_span_equal(peer_id_view(&id), expected);

		char text[PEER_ID_TEXT_MAX];
		assert_string_equal(peer_id_format(&id, text),
				    testkit_string(key, "peer_id_base58"));
		assert_parses_to(testkit_string(key, "peer_id_base58"), expected);
		assert_parses_to(testkit_string(key, "peer_id_cidv1_base32"), expected);
		assert_parses_to(testkit_string(key, "peer_id_cidv1_base36"), expected);

		struct span inlined;
		if (key_len <= 42) {
			assert_ok(peer_id_public_key(&id, &inlined));
			assert_span_equal(inlined, span_of(public_key, key_len));
		} else {
			assert_err(peer_id_public_key(&id, &inlined), ERR_NOT_FOUND);
		}
		free(public_key);
		free(hash);
	}
	assert_true(i >= 4);
	json_decref(root);
}

static enum err from_hex(const char *hex)
{
	size_t len;
	uint8_t *bytes = testkit_unhex(hex, &len);
	struct peer_id id;
	enum err e = peer_id_from_bytes(span_of(bytes, len), &id);
	free(bytes);
	return e;
}

static void test_hostile_multihashes_are_refused(void **state)
{
	(void)state;
	assert_err(from_hex(""), ERR_TRUNCATED);
	assert_err(from_hex("00"), ERR_TRUNCATED);
	assert_err(from_hex("0000"), ERR_MALFORMED);     /* no key */
	assert_err(from_hex("000102ff"), ERR_MALFORMED); /* something behind it */
	assert_err(from_hex("0080"), ERR_TRUNCATED);
	assert_err(from_hex("008100aa"), ERR_MALFORMED); /* a length that is not minimal */
	assert_err(from_hex("800001aa"), ERR_MALFORMED); /* a code that is not minimal */
	assert_err(from_hex("00ffffffffffffffff7faa"), ERR_TRUNCATED);
	assert_err(from_hex("1220aa"), ERR_TRUNCATED);
	assert_err(from_hex("1201aa"), ERR_MALFORMED);   /* sha2-256 of another size */
	assert_err(from_hex("1101aa"), ERR_UNSUPPORTED); /* sha1 */
}

static void test_every_cut_of_an_id_is_refused(void **state)
{
	(void)state;
	struct peer_id whole;
	assert_ok(peer_id_parse(span_str("12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"),
				&whole));
	for (size_t len = 0; len < whole.len; len++) {
		uint8_t *copy = testkit_copy(span_of(whole.bytes, len));
		struct peer_id id = {.len = 99};
		assert_err(peer_id_from_bytes(span_of(copy, len), &id), ERR_TRUNCATED);
		assert_int_equal(id.len, 99);
		free(copy);
	}
}

static void test_a_key_is_inlined_up_to_42_bytes_and_hashed_from_43(void **state)
{
	(void)state;
	uint8_t key[PUBLIC_KEY_LEN_MAX + 1] = {8, 1};
	struct peer_id id;
	assert_ok(peer_id_from_public_key(span_of(key, 42), &id));
	assert_int_equal(id.len, 44);
	assert_int_equal(id.bytes[0], MULTIHASH_IDENTITY);
	char text[PEER_ID_TEXT_MAX];
	struct peer_id back;
	assert_ok(peer_id_parse(span_str(peer_id_format(&id, text)), &back));
	assert_true(peer_id_equal(&id, &back));

	assert_ok(peer_id_from_public_key(span_of(key, 43), &id));
	assert_int_equal(id.len, 34);
	assert_int_equal(id.bytes[0], MULTIHASH_SHA2_256);
	assert_ok(peer_id_from_public_key(span_of(key, PUBLIC_KEY_LEN_MAX), &id));
	assert_err(peer_id_from_public_key(span_of(key, PUBLIC_KEY_LEN_MAX + 1), &id),
		   ERR_TOO_LONG);

	uint8_t multihash[45] = {0, 43};
	assert_err(peer_id_from_bytes(span_of(multihash, sizeof(multihash)), &id), ERR_TOO_LONG);
}

static void test_longest_text_fits(void **state)
{
	(void)state;
	struct peer_id id = {.len = PEER_ID_LEN_MAX};
	memset(id.bytes, 0xff, sizeof(id.bytes));
	char *text = malloc(PEER_ID_TEXT_MAX);
	assert_non_null(text);
	assert_true(strlen(peer_id_format(&id, text)) < PEER_ID_TEXT_MAX);
	id.len = 0;
	assert_string_equal(peer_id_format(&id, text), "");
	free(text);
}

static enum err parse(struct span text)
{
	struct peer_id id = {.len = 99};
	uint8_t *copy = testkit_copy(text);
	enum err e = peer_id_parse(span_of(copy, text.len), &id);
	if (e != ERR_OK)
		assert_int_equal(id.len, 99);
	free(copy);
	return e;
}

static void put_cid(struct wbuf *w, enum multibase base, const char *cid_hex)
{
	size_t len;
	uint8_t *cid = testkit_unhex(cid_hex, &len);
	multibase_put(w, base, span_of(cid, len));
	free(cid);
}

static void test_only_cids_of_libp2p_keys_are_ids(void **state)
{
	(void)state;
	static const char ok[] = "01720001aa";
	static const struct {
		const char *hex;
		enum err expected;
	} cases[] = {
		{ok, ERR_OK},
		{"01700001aa", ERR_UNSUPPORTED}, /* dag-pb */
		{"00720001aa", ERR_UNSUPPORTED}, /* version */
		{"02720001aa", ERR_UNSUPPORTED},
		{"01721101aa", ERR_UNSUPPORTED}, /* sha1 */
		{"0172", ERR_MALFORMED},
		{"01", ERR_MALFORMED},
		{"", ERR_MALFORMED},
		{"01720001", ERR_MALFORMED},
		{"01720001aabb", ERR_MALFORMED},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];
		struct wbuf w = wbuf_of(text, sizeof(text));
		put_cid(&w, MULTIBASE_BASE32, cases[i].hex);
		assert_err(parse(wbuf_view(&w)), cases[i].expected);
	}
	static const enum multibase bases[] = {MULTIBASE_BASE16, MULTIBASE_BASE58BTC,
					       MULTIBASE_BASE64URL, MULTIBASE_BASE36_UPPER};
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		char text[128];
		struct wbuf w = wbuf_of(text, sizeof(text));
		put_cid(&w, bases[i], ok);
		assert_ok(parse(wbuf_view(&w)));
	}
}

static void test_hostile_texts_are_refused(void **state)
{
	(void)state;
	assert_err(parse(span_str("")), ERR_MALFORMED);
	assert_err(parse(span_str("1")), ERR_MALFORMED);
	assert_err(parse(span_str("Qm")), ERR_MALFORMED);
	assert_err(parse(span_str("QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgD0")),
		   ERR_MALFORMED);
	assert_err(parse(span_str("QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgD ")),
		   ERR_MALFORMED);
	assert_err(parse(span_str("alice")), ERR_UNSUPPORTED);
	uint8_t ones[200];
	memset(ones, '1', sizeof(ones));
	assert_err(parse(span_of(ones, sizeof(ones))), ERR_TOO_LONG);
	assert_err(parse(span_of(ones, 60)), ERR_TOO_LONG);
	assert_err(parse(span_of(ones, 44)), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_agree_in_every_form),
		cmocka_unit_test(test_hostile_multihashes_are_refused),
		cmocka_unit_test(test_every_cut_of_an_id_is_refused),
		cmocka_unit_test(test_a_key_is_inlined_up_to_42_bytes_and_hashed_from_43),
		cmocka_unit_test(test_longest_text_fits),
		cmocka_unit_test(test_only_cids_of_libp2p_keys_are_ids),
		cmocka_unit_test(test_hostile_texts_are_refused),
	};
	return cmocka_run_group_tests_name("peer_id", tests, NULL, NULL);
}
