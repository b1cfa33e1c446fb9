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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_agree_in_every_form),
	};
	return cmocka_run_group_tests_name("peer_id", tests, NULL, NULL);
}
