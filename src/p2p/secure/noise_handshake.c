/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* noise_handshake.c - see noise_handshake.h */
#include "p2p/secure/noise_handshake.h"

#include <assert.h>

#include "crypto/wipe.h"

enum token {
	END = 0,
	E,
	S,
	EE,
	ES,
	SE,
};

enum {
	TOKENS_MAX = 4,
};

static const struct {
	enum token tokens[TOKENS_MAX + 1];
	size_t overhead; /* bytes beside the payload: keys, and tags once there is a key */
} pattern[NOISE_MESSAGES] = {
	{{E}, X25519_LEN},
	{{E, EE, S, ES}, 2 * X25519_LEN + 2 * AEAD_TAG_LEN},
	{{S, SE}, X25519_LEN + 2 * AEAD_TAG_LEN},
};

enum err noise_handshake_init(struct noise_handshake *h, bool is_initiator,
			      const uint8_t static_secret[X25519_LEN],
			      const uint8_t ephemeral_secret[X25519_LEN], struct span prologue)
{
	*h = (struct noise_handshake){.is_initiator = is_initiator};
	enum err e = noise_symmetric_init(&h->symmetric, prologue);
	if (e == ERR_OK)
		e = x25519_init(&h->static_pair, static_secret);
	if (e == ERR_OK)
		e = x25519_init(&h->ephemeral_pair, ephemeral_secret);
	if (e != ERR_OK)
		noise_handshake_deinit(h);
	return e;
}

void noise_handshake_deinit(struct noise_handshake *h)
{
	noise_symmetric_deinit(&h->symmetric);
	x25519_deinit(&h->static_pair);
	x25519_deinit(&h->ephemeral_pair);
	*h = (struct noise_handshake){0};
}

size_t noise_handshake_overhead(const struct noise_handshake *h)
{
	assert(!noise_handshake_is_done(h));
	return pattern[h->n_messages].overhead;
}

/* ee, es or se: the letters name the initiator's key, then the responder's. */
static enum err mix_shared(struct noise_handshake *h, enum token token)
{
	bool is_ours_static = token == (h->is_initiator ? SE : ES);
	bool is_theirs_static = token == (h->is_initiator ? ES : SE);
	uint8_t shared[X25519_LEN];
	enum err e = x25519_shared(is_ours_static ? &h->static_pair : &h->ephemeral_pair,
				   is_theirs_static ? h->their_static : h->their_ephemeral, shared);
	if (e == ERR_OK)
		e = noise_symmetric_mix_key(&h->symmetric, span_of(shared, sizeof(shared)));
	wipe(shared, sizeof(shared));
	return e;
}

/* Append bytes, sealed where there is a key; the room was checked. */
static enum err put_sealed(struct noise_handshake *h, struct span plain, struct wbuf *out)
{
	uint8_t *at = wbuf_reserve(out, plain.len + noise_symmetric_tail_len(&h->symmetric));
	assert(at != NULL);
	if (plain.len > 0)
		memcpy(at, plain.p, plain.len);
	return noise_symmetric_seal(&h->symmetric, at, plain.len);
}

static enum err write_token(struct noise_handshake *h, enum token token, struct wbuf *out)
{
	switch (token) {
	case E: {
		struct span key = span_of(h->ephemeral_pair.public_key, X25519_LEN);
		wbuf_put(out, key);
		return noise_symmetric_mix_hash(&h->symmetric, key);
	}
	case S:
		return put_sealed(h, span_of(h->static_pair.public_key, X25519_LEN), out);
	case EE:
	case ES:
	case SE:
		return mix_shared(h, token);
	case END:
		break;
	}
	return ERR_OK;
}

enum err noise_handshake_write(struct noise_handshake *h, struct span payload, struct wbuf *out)
{
	assert(noise_handshake_is_our_turn(h));
	if (wbuf_room(out) < noise_handshake_overhead(h) + payload.len)
		return ERR_FULL;
	size_t len_before = out->len;
	for (const enum token *t = pattern[h->n_messages].tokens; *t != END; t++) {
		enum err e = write_token(h, *t, out);
		if (e != ERR_OK)
			return e;
	}
	enum err e = put_sealed(h, payload, out);
	if (e != ERR_OK)
		return e;
	assert(out->len - len_before == noise_handshake_overhead(h) + payload.len);
	h->n_messages++;
	return ERR_OK;
}

/* The bytes of a token from the front of the message; the length was checked. */
static enum err read_token(struct noise_handshake *h, enum token token, uint8_t **message,
			   size_t *len)
{
	size_t used = X25519_LEN;
	struct span key;
	enum err e;
	switch (token) {
	case E:
		memcpy(h->their_ephemeral, *message, X25519_LEN);
		e = noise_symmetric_mix_hash(&h->symmetric, span_of(*message, X25519_LEN));
		break;
	case S:
		used += noise_symmetric_tail_len(&h->symmetric);
		e = noise_symmetric_open(&h->symmetric, *message, used, &key);
		if (e == ERR_OK)
			memcpy(h->their_static, key.p, X25519_LEN);
		break;
	case EE:
	case ES:
	case SE:
		return mix_shared(h, token);
	case END:
	default:
		return ERR_OK;
	}
	*message += used;
	*len -= used;
	return e;
}

enum err noise_handshake_read(struct noise_handshake *h, uint8_t *message, size_t len,
			      struct span *ret_payload)
{
	assert(!noise_handshake_is_done(h) && !noise_handshake_is_our_turn(h));
	if (len < noise_handshake_overhead(h))
		return ERR_MALFORMED;
	for (const enum token *t = pattern[h->n_messages].tokens; *t != END; t++) {
		enum err e = read_token(h, *t, &message, &len);
		if (e != ERR_OK)
			return e;
	}
	enum err e = noise_symmetric_open(&h->symmetric, message, len, ret_payload);
	if (e == ERR_OK)
		h->n_messages++;
	return e;
}

enum err noise_handshake_split(const struct noise_handshake *h, struct noise_cipher *ret_tx,
			       struct noise_cipher *ret_rx)
{
	assert(noise_handshake_is_done(h));
	return h->is_initiator ? noise_symmetric_split(&h->symmetric, ret_tx, ret_rx)
			       : noise_symmetric_split(&h->symmetric, ret_rx, ret_tx);
}
