/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * identity.c - our own key, which is Ed25519, and the file it lives in
 *
 * The file is libp2p's PrivateKey message: Data is the seed and the public key, 64 bytes. Old files
 * of js-libp2p have the public key twice, 96 bytes: read, not written. The seed is held by OpenSSL
 * only; every copy that passes through here is wiped.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/key.h"
#include "crypto/key_pb.h"
#include "crypto/openssl.h"
#include "crypto/wipe.h"

enum {
	SEED_LEN = IDENTITY_SEED_LEN,
	PUBLIC_LEN = 32,
	HEAD_LEN = 4, /* type and length of the data */
	DATA_LEN = SEED_LEN + PUBLIC_LEN,
	DATA_LEN_OLD = DATA_LEN + PUBLIC_LEN,
	FILE_LEN_MAX = HEAD_LEN + DATA_LEN_OLD,
};

static_assert(IDENTITY_KEY_FILE_LEN == HEAD_LEN + DATA_LEN, "the message around seed and key");

struct identity {
	EVP_PKEY *pair;
	struct peer_id id;
	uint8_t public_key_pb[HEAD_LEN + PUBLIC_LEN];
};

static void put_head(struct wbuf *w, uint8_t data_len)
{
	const uint8_t head[HEAD_LEN] = {KEY_PB_TYPE, KEY_ED25519, KEY_PB_DATA, data_len};
	wbuf_put(w, span_of(head, sizeof(head)));
}

enum err identity_from_seed(const uint8_t seed[IDENTITY_SEED_LEN], struct identity **ret_identity)
{
	struct identity *identity = calloc(1, sizeof(*identity));
	if (identity == NULL)
		return ERR_NO_MEMORY;
	struct wbuf w = wbuf_of(identity->public_key_pb, sizeof(identity->public_key_pb));
	put_head(&w, PUBLIC_LEN);
	size_t len = PUBLIC_LEN;
	identity->pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED_LEN);
	enum err e = ERR_CRYPTO;
	if (identity->pair != NULL &&
	    EVP_PKEY_get_raw_public_key(identity->pair, wbuf_reserve(&w, PUBLIC_LEN), &len) == 1)
		e = peer_id_from_public_key(wbuf_view(&w), &identity->id);
	if (e != ERR_OK) {
		ERR_clear_error();
		identity_free(identity);
		return e;
	}
	*ret_identity = identity;
	return ERR_OK;
}

struct identity *identity_free(struct identity *identity)
{
	if (identity != NULL)
		EVP_PKEY_free(identity->pair);
	free(identity);
	return NULL;
}

const struct peer_id *identity_peer_id(const struct identity *identity)
{
	return &identity->id;
}

struct span identity_public_key(const struct identity *identity)
{
	return span_of(identity->public_key_pb, sizeof(identity->public_key_pb));
}

enum err identity_sign(const struct identity *identity, struct span message,
		       uint8_t ret_signature[IDENTITY_SIGNATURE_LEN])
{
	size_t len = IDENTITY_SIGNATURE_LEN;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, identity->pair) == 1 &&
		    EVP_DigestSign(ctx, ret_signature, &len, message.p, message.len) == 1;
	EVP_MD_CTX_free(ctx);
	if (!done)
		ERR_clear_error();
	return done ? ERR_OK : ERR_CRYPTO;
}

/* The whole of a key file, or as much as shows that it is too long. */
static enum err read_file(const char *path, uint8_t buf[FILE_LEN_MAX + 1], size_t *ret_len)
{
	/* Without O_NONBLOCK, a FIFO in its place would stop us here. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_from_errno(errno);
	enum err e = ERR_OK;
	struct stat st;
	if (fstat(fd, &st) < 0)
		e = err_from_errno(errno);
	else if (!S_ISREG(st.st_mode))
		e = ERR_MALFORMED;
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		e = ERR_EXPOSED;
	size_t len = 0;
	while (e == ERR_OK && len < FILE_LEN_MAX + 1) {
		ssize_t n = read(fd, buf + len, FILE_LEN_MAX + 1 - len);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			e = err_from_errno(errno);
	}
	close(fd);
	if (e == ERR_OK)
		*ret_len = len;
	return e;
}

static enum err parse_private_key(struct span pb, struct identity **ret_identity)
{
	uint64_t type, data_len;
	enum err e = key_pb_head(&pb, &type, &data_len);
	if (e != ERR_OK)
		return ERR_MALFORMED;
	if (type != KEY_ED25519)
		return ERR_UNSUPPORTED;
	if (pb.len != data_len || (data_len != DATA_LEN && data_len != DATA_LEN_OLD))
		return ERR_MALFORMED;

	struct identity *identity;
	e = identity_from_seed(pb.p, &identity);
	if (e != ERR_OK)
		return e;
	/* A file whose halves do not belong together would make signatures that none accepts. */
	const uint8_t *public_key = identity->public_key_pb + HEAD_LEN;
	for (size_t at = SEED_LEN; at < data_len; at += PUBLIC_LEN) {
		if (memcmp(pb.p + at, public_key, PUBLIC_LEN) != 0) {
			identity_free(identity);
			return ERR_MALFORMED;
		}
	}
	*ret_identity = identity;
	return ERR_OK;
}

enum err identity_load(const char *path, struct identity **ret_identity)
{
	uint8_t buf[FILE_LEN_MAX + 1];
	size_t len = 0;
	enum err e = read_file(path, buf, &len);
	if (e == ERR_OK)
		e = parse_private_key(span_of(buf, len), ret_identity);
	wipe(buf, sizeof(buf));
	return e;
}

static enum err write_all(int fd, struct span s)
{
	while (s.len > 0) {
		ssize_t n = write(fd, s.p, s.len);
		if (n >= 0)
			span_skip(&s, (size_t)n);
		else if (errno != EINTR)
			return err_from_errno(errno);
	}
	return ERR_OK;
}

/* Make the new name survive a power cut. */
static enum err sync_folder_of(const char *path)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof(copy), "%s", path); /* dirname() writes to it */
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_from_errno(errno);
	enum err e = fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
	close(fd);
	return e;
}

/* The file appears under its name whole and synced, or not at all: link() does not replace. */
static enum err write_file(const char *path, struct span content)
{
	char temporary[PATH_MAX];
	int n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return ERR_TOO_LONG;
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return err_from_errno(errno);
	enum err e = fchmod(fd, S_IRUSR | S_IWUSR) == 0 ? write_all(fd, content)
							: err_from_errno(errno);
	if (e == ERR_OK && fsync(fd) < 0)
		e = err_from_errno(errno);
	if (close(fd) < 0 && e == ERR_OK)
		e = err_from_errno(errno);
	if (e == ERR_OK && link(temporary, path) < 0)
		e = err_from_errno(errno);
	unlink(temporary);
	return e == ERR_OK ? sync_folder_of(path) : e;
}

enum err identity_save(const struct identity *identity, const char *path)
{
	uint8_t buf[IDENTITY_KEY_FILE_LEN];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	size_t len = SEED_LEN;
	enum err e = ERR_CRYPTO;
	put_head(&w, DATA_LEN);
	if (EVP_PKEY_get_raw_private_key(identity->pair, wbuf_reserve(&w, SEED_LEN), &len) == 1) {
		wbuf_put(&w, span_of(identity->public_key_pb + HEAD_LEN, PUBLIC_LEN));
		assert(w.len == sizeof(buf));
		e = write_file(path, wbuf_view(&w));
	}
	wipe(buf, sizeof(buf));
	return e;
}
