/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* noise_symmetric.c - see noise_symmetric.h */
#include "p2p/secure/noise_symmetric.h"

#include <assert.h>

#include "crypto/wipe.h"

/* "If protocol_name is less than or equal to HASHLEN bytes in length, sets h equal to
 * protocol_name with zero bytes appended": it has just that length. */
static const char protocol_name[] = "Noise_XX_25519_ChaChaPoly_SHA256";
static_assert(sizeof(protocol_name) - 1 == HASH_LEN, "the name is its own hash");

enum err noise_symmetric_init(struct noise_symmetric *s, struct span prologue)
{
	*s = (struct noise_symmetric){0};
	memcpy(s->hash, protocol_name, HASH_LEN);
	memcpy(s->chaining_key, protocol_name, HASH_LEN);
	return noise_symmetric_mix_hash(s, prologue);
}

void noise_symmetric_deinit(struct noise_symmetric *s)
{
	noise_cipher_deinit(&s->cipher);
	wipe(s, sizeof(*s));
}

enum err noise_symmetric_mix_hash(struct noise_symmetric *s, struct span data)
{
	return hash_sha256(span_of(s->hash, HASH_LEN), data, s->hash);
}

enum err noise_symmetric_mix_key(struct noise_symmetric *s, struct span secret)
{
	uint8_t keys[2][HASH_LEN];
	enum err e = hash_hkdf(s->chaining_key, secret, 2, keys);
	if (e == ERR_OK) {
		memcpy(s->chaining_key, keys[0], HASH_LEN);
		e = noise_cipher_init(&s->cipher, keys[1]);
	}
	wipe(keys, sizeof(keys));
	return e;
}

enum err noise_symmetric_seal(struct noise_symmetric *s, uint8_t *data, size_t len)
{
	size_t tail_len = noise_symmetric_tail_len(s);
	if (tail_len > 0) {
		enum err e = noise_cipher_seal(&s->cipher, span_of(s->hash, HASH_LEN), data, len,
					       data + len);
		if (e != ERR_OK)
			return e;
	}
	return noise_symmetric_mix_hash(s, span_of(data, len + tail_len));
}

enum err noise_symmetric_open(struct noise_symmetric *s, uint8_t *data, size_t len,
			      struct span *ret_plain)
{
	size_t tail_len = noise_symmetric_tail_len(s);
	if (len < tail_len)
		return ERR_MALFORMED;
	/* The hash is of the ciphertext, which opening overwrites; but it is also what the
	 * ciphertext was sealed with. */
	uint8_t hash_before[HASH_LEN];
	memcpy(hash_before, s->hash, HASH_LEN);
	enum err e = noise_symmetric_mix_hash(s, span_of(data, len));
	if (e == ERR_OK && tail_len > 0)
		e = noise_cipher_open(&s->cipher, span_of(hash_before, HASH_LEN), data,
				      len - tail_len, data + len - tail_len);
	if (e == ERR_OK)
		*ret_plain = span_of(data, len - tail_len);
	return e;
}

enum err noise_symmetric_split(const struct noise_symmetric *s, struct noise_cipher *ret_initiator,
			       struct noise_cipher *ret_responder)
{
	uint8_t keys[2][HASH_LEN];
	enum err e = hash_hkdf(s->chaining_key, span_of("", 0), 2, keys);
	if (e == ERR_OK)
		e = noise_cipher_init(ret_initiator, keys[0]);
	if (e == ERR_OK)
		e = noise_cipher_init(ret_responder, keys[1]);
	wipe(keys, sizeof(keys));
	return e;
}
