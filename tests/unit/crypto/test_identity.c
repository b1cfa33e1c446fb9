/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/key.h"

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/runnel-test-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/key", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder); /* fails if a temporary file was left */
}

static void write_key_file(struct span content, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content.p, content.len), content.len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static struct identity *identity_of(uint8_t fill)
{
	uint8_t seed[IDENTITY_SEED_LEN];
	memset(seed, fill, sizeof(seed));
	struct identity *identity;
	assert_ok(identity_from_seed(seed, &identity));
	return identity;
}

static void test_seeds_of_the_vectors_give_their_ids_and_files(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("noise_libp2p.json");
	static const char *const sides[] = {"initiator", "responder"};
	for (uint8_t i = 0; i < 2; i++) {
		json_t *side = json_object_get(root, sides[i]);
		struct identity *identity = identity_of((uint8_t)(i + 1));
		char text[PEER_ID_TEXT_MAX];
		assert_string_equal(peer_id_format(identity_peer_id(identity), text),
				    testkit_string(side, "peer_id"));
		uint8_t signature[IDENTITY_SIGNATURE_LEN];
		size_t len;
		uint8_t *data = testkit_unhex(testkit_string(side, "signed_data"), &len);
		assert_ok(identity_sign(identity, span_of(data, len), signature));
		assert_ok(public_key_verify(identity_public_key(identity), span_of(data, len),
					    span_of(signature, sizeof(signature))));
		free(data);
		data = testkit_unhex(testkit_string(side, "identity_sig"), &len);
		assert_span_equal(span_of(signature, sizeof(signature)), span_of(data, len));
		free(data);

		assert_ok(identity_save(identity, path));
		uint8_t content[IDENTITY_KEY_FILE_LEN + 1];
		int fd = open(path, O_RDONLY);
		assert_true(fd >= 0);
		assert_int_equal(read(fd, content, sizeof(content)), IDENTITY_KEY_FILE_LEN);
		close(fd);
		data = testkit_unhex(testkit_string(side, "identity_private_pb"), &len);
		assert_span_equal(span_of(content, IDENTITY_KEY_FILE_LEN), span_of(data, len));
		free(data);
		struct identity *loaded;
		assert_ok(identity_load(path, &loaded));
		assert_true(peer_id_equal(identity_peer_id(identity), identity_peer_id(loaded)));
		unlink(path);
		identity_free(loaded);
		identity_free(identity);
	}
	json_decref(root);
}

static void test_save_makes_a_private_file_and_replaces_none(void **state)
{
	(void)state;
	struct identity *first = identity_of(1);
	struct identity *second = identity_of(2);
	mode_t before = umask(0);
	assert_ok(identity_save(first, path));
	umask(before);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_err(identity_save(second, path), ERR_DUPLICATE);
	struct identity *loaded;
	assert_ok(identity_load(path, &loaded));
	assert_true(peer_id_equal(identity_peer_id(first), identity_peer_id(loaded)));
	identity_free(loaded);
	unlink(path);
	/* A link that leads nowhere is a name in use as well. */
	assert_int_equal(symlink("nowhere", path), 0);
	assert_err(identity_save(second, path), ERR_DUPLICATE);
	char missing[160];
	snprintf(missing, sizeof(missing), "%s/no/key", folder);
	assert_err(identity_save(second, missing), ERR_NOT_FOUND);
	identity_free(second);
	identity_free(first);
}

static void test_file_that_others_may_touch_is_refused(void **state)
{
	(void)state;
	struct identity *identity = identity_of(1);
	assert_ok(identity_save(identity, path));
	for (mode_t bit = 1; bit <= 0100; bit <<= 1) {
		assert_int_equal(chmod(path, 0600 | bit), 0);
		struct identity *loaded = NULL;
		assert_err(identity_load(path, &loaded), bit < 0100 ? ERR_EXPOSED : ERR_OK);
		identity_free(loaded);
	}
	identity_free(identity);
}

static void test_what_is_no_regular_file_is_refused(void **state)
{
	(void)state;
	struct identity *loaded = NULL;
	assert_err(identity_load(path, &loaded), ERR_NOT_FOUND);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_err(identity_load(path, &loaded), ERR_MALFORMED); /* and does not wait */
	assert_int_equal(unlink(path), 0);
	assert_err(identity_load(folder, &loaded), ERR_MALFORMED);
	assert_err(identity_load("/dev/zero", &loaded), ERR_MALFORMED);
	assert_null(loaded);
}

/* head, seed, then the public key n times */
static size_t put_key(uint8_t *buf, uint8_t n)
{
	struct identity *identity = identity_of(9);
	struct wbuf w = wbuf_of(buf, 256);
	wbuf_put(&w, span_of((const uint8_t[]){8, 1, 0x12, (uint8_t)(32 + 32 * n)}, 4));
	memset(wbuf_reserve(&w, 32), 9, 32);
	for (uint8_t i = 0; i < n; i++)
		wbuf_put(&w, span_of(identity_public_key(identity).p + 4, 32));
	identity_free(identity);
	return w.len;
}

static void test_old_form_with_two_public_keys_is_read(void **state)
{
	(void)state;
	uint8_t buf[256];
	size_t len = put_key(buf, 2);
	assert_int_equal(len, 100);
	struct identity *loaded = NULL;
	write_key_file(span_of(buf, len), 0600);
	assert_ok(identity_load(path, &loaded));
	loaded = identity_free(loaded);
	buf[99] ^= 1;
	write_key_file(span_of(buf, len), 0600);
	assert_err(identity_load(path, &loaded), ERR_MALFORMED);
	assert_null(loaded);
}

static void test_damaged_files_are_refused(void **state)
{
	(void)state;
	uint8_t buf[256];
	struct identity *loaded = NULL;
	size_t len = put_key(buf, 1);
	for (size_t cut = 0; cut < len; cut++) {
		write_key_file(span_of(buf, cut), 0600);
		assert_err(identity_load(path, &loaded), ERR_MALFORMED);
	}
	for (size_t more = 1; more < 100; more++) {
		write_key_file(span_of(buf, len + more), 0600);
		assert_err(identity_load(path, &loaded), ERR_MALFORMED);
	}
	for (size_t bit = 0; bit < 8 * len; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		write_key_file(span_of(buf, len), 0600);
		assert_int_not_equal(identity_load(path, &loaded), ERR_OK);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	put_key(buf, 3); /* nobody's form */
	write_key_file(span_of(buf, 132), 0600);
	assert_err(identity_load(path, &loaded), ERR_MALFORMED);
	assert_null(loaded);
}

static void test_keys_of_other_types_are_unsupported(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("peer_id_keys.json");
	json_t *keys = json_object_get(root, "keys");
	size_t n_refused = 0;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		json_t *key = json_array_get(keys, i);
		size_t len;
		uint8_t *pb = testkit_unhex(testkit_string(key, "private_pb"), &len);
		write_key_file(span_of(pb, len), 0600);
		struct identity *loaded = NULL;
		if (strcmp(testkit_string(key, "type"), "ed25519") == 0) {
			char text[PEER_ID_TEXT_MAX];
			assert_ok(identity_load(path, &loaded));
			assert_string_equal(peer_id_format(identity_peer_id(loaded), text),
					    testkit_string(key, "peer_id_base58"));
		} else {
			assert_err(identity_load(path, &loaded), ERR_UNSUPPORTED);
			n_refused++;
		}
		identity_free(loaded);
		free(pb);
	}
	assert_int_equal(n_refused, 3);
	json_decref(root);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_seeds_of_the_vectors_give_their_ids_and_files),
		IN_FOLDER(test_save_makes_a_private_file_and_replaces_none),
		IN_FOLDER(test_file_that_others_may_touch_is_refused),
		IN_FOLDER(test_what_is_no_regular_file_is_refused),
		IN_FOLDER(test_old_form_with_two_public_keys_is_read),
		IN_FOLDER(test_damaged_files_are_refused),
		IN_FOLDER(test_keys_of_other_types_are_unsupported),
	};
	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
