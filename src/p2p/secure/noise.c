/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * noise.c - a Noise channel as libp2p speaks it: frames, identities, and the way of the handshake
 *
 * The handshake goes forward inside of feed(): whatever a message asks of us (checking who sent it,
 * the answer to it, the keys of the transport) is done when it was read, and the answer waits for
 * take(). The order of the checks is that of what they prove: decrypted, parsed, signed by the
 * identity key, then compared with whom we expect; so ERR_WRONG_PEER and ERR_SELF are facts about
 * the peer and not claims of someone in between.
 *
 * Lengths are judged as soon as the two bytes of a frame's length are there: what cannot be right
 * is never waited for.
 */
#include "p2p/secure/noise.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "p2p/secure/noise_internal.h"
#include "p2p/secure/noise_payload.h"

static_assert(NOISE_PLAIN_LEN_MAX + AEAD_TAG_LEN == NOISE_FRAME_LEN_MAX, "a frame: text and tag");

static struct noise *noise_of(struct secure *s)
{
	return CONTAINER_OF(s, struct noise, base);
}

static enum err fail(struct noise *n, enum err e)
{
	n->failure = e;
	return e;
}

/* Our payload: empty in the first message, which nobody has encrypted yet. */
static enum err put_payload(struct noise *n, struct wbuf *w)
{
	if (n->handshake.n_messages == 0)
		return ERR_OK;
	uint8_t data[NOISE_SIGNED_LEN];
	uint8_t signature[IDENTITY_SIGNATURE_LEN];
	noise_payload_signed(n->handshake.static_pair.public_key, data);
	enum err e = identity_sign(n->identity, span_of(data, sizeof(data)), signature);
	if (e != ERR_OK)
		return e;
	noise_payload_put(w, identity_public_key(n->identity),
			  span_of(signature, sizeof(signature)),
			  n->muxer[0] != '\0' ? n->muxer : NULL, n->lane);
	assert(!w->overflowed);
	return ERR_OK;
}

static enum err send_message(struct noise *n)
{
	uint8_t payload[NOISE_OUT_PAYLOAD_MAX];
	struct wbuf w = wbuf_of(payload, sizeof(payload));
	enum err e = put_payload(n, &w);
	if (e != ERR_OK)
		return e;
	struct wbuf out = wbuf_of(n->out, sizeof(n->out));
	out.len = n->out_len;
	wbuf_put_be16(&out, (uint16_t)(noise_handshake_overhead(&n->handshake) + w.len));
	e = noise_handshake_write(&n->handshake, wbuf_view(&w), &out);
	assert(e != ERR_FULL);
	if (e == ERR_OK)
		n->out_len = out.len;
	return e;
}

/* libp2p noise: a signature that does not verify ends the connection at once, and the extensions
 * beside it count for nothing. */
static enum err check_payload(struct noise *n, struct span bytes)
{
	struct noise_payload payload;
	if (noise_payload_parse(bytes, &payload) != ERR_OK)
		return ERR_MALFORMED;
	if (payload.identity_key.len > sizeof(n->base.remote_key))
		return ERR_BAD_KEY;
	uint8_t data[NOISE_SIGNED_LEN];
	noise_payload_signed(n->handshake.their_static, data);
	enum err e = public_key_verify(payload.identity_key, span_of(data, sizeof(data)),
				       payload.identity_sig);
	if (e != ERR_OK)
		return e;
	struct peer_id id;
	e = peer_id_from_public_key(payload.identity_key, &id);
	if (e != ERR_OK)
		return e;
	if (peer_id_equal(&id, identity_peer_id(n->identity)))
		return ERR_SELF;
	/* Lanes are the dialler's to choose: what a responder says of them is not for us. */
	uint64_t lane = n->handshake.is_initiator ? 0 : payload.lane;
	if (lane >= LANES_MAX)
		return ERR_RANGE;
	n->base.remote_id = id;
	if (n->expected.len > 0 && !peer_id_equal(&id, &n->expected))
		return ERR_WRONG_PEER;

	memcpy(n->base.remote_key, payload.identity_key.p, payload.identity_key.len);
	n->base.remote_key_len = payload.identity_key.len;
	n->base.remote_lane = (uint32_t)lane;
	/* We offer one, so the first of the initiator's that the responder has is this one, or
	 * none: then multistream-select decides, as go does. */
	n->base.is_muxer_agreed = n->muxer[0] != '\0' &&
				  noise_payload_has_muxer(&payload, n->muxer);
	return ERR_OK;
}

static enum err finish(struct noise *n)
{
	enum err e = noise_handshake_split(&n->handshake, &n->tx, &n->rx);
	if (e != ERR_OK)
		return e;
	memcpy(n->handshake_hash, n->handshake.symmetric.hash, HASH_LEN);
	noise_handshake_deinit(&n->handshake);
	n->base.is_done = true;
	return ERR_OK;
}

static enum err receive_message(struct noise *n, struct span message)
{
	/* The input is lent for reading, and messages are opened in place. */
	uint8_t copy[NOISE_MESSAGE_OVERHEAD_MAX + NOISE_PAYLOAD_LEN_MAX];
	struct span payload;
	bool is_first = n->handshake.n_messages == 0;
	assert(message.len <= sizeof(copy));
	memcpy(copy, message.p, message.len);
	enum err e = noise_handshake_read(&n->handshake, copy, message.len, &payload);
	/* A payload of the first message comes from anyone: go ignores it, and so do we. */
	if (e == ERR_OK && !is_first)
		e = check_payload(n, payload);
	if (e == ERR_OK && noise_handshake_is_our_turn(&n->handshake))
		e = send_message(n);
	if (e == ERR_OK && noise_handshake_is_done(&n->handshake))
		e = finish(n);
	return e;
}

static enum err feed(struct secure *s, struct span *in)
{
	struct noise *n = noise_of(s);
	if (n->failure != ERR_OK)
		return n->failure;
	while (!s->is_done && in->len >= NOISE_HEAD_LEN) {
		size_t len = load_be16(in->p);
		size_t overhead = noise_handshake_overhead(&n->handshake);
		if (len < overhead)
			return fail(n, ERR_MALFORMED);
		if (len - overhead > NOISE_PAYLOAD_LEN_MAX)
			return fail(n, ERR_TOO_LONG);
		if (in->len < NOISE_HEAD_LEN + len)
			break;
		enum err e = receive_message(n, span_of(in->p + NOISE_HEAD_LEN, len));
		if (e != ERR_OK)
			return fail(n, e);
		span_skip(in, NOISE_HEAD_LEN + len);
	}
	return ERR_OK;
}

static enum err take(struct secure *s, struct wbuf *out)
{
	struct noise *n = noise_of(s);
	if (n->failure != ERR_OK)
		return n->failure;
	if (wbuf_room(out) < n->out_len)
		return ERR_FULL;
	wbuf_put(out, span_of(n->out, n->out_len));
	n->out_len = 0;
	return ERR_OK;
}

static enum err seal(struct secure *s, uint8_t *record, size_t plain_len, size_t *ret_len)
{
	struct noise *n = noise_of(s);
	if (n->failure != ERR_OK)
		return n->failure;
	/* The last handshake message goes out before the first record does. */
	assert(s->is_done && n->out_len == 0);
	assert(plain_len >= 1 && plain_len <= NOISE_PLAIN_LEN_MAX);
	uint8_t *plain = record + NOISE_HEAD_LEN;
	enum err e =
		noise_cipher_seal(&n->tx, span_of(NULL, 0), plain, plain_len, plain + plain_len);
	if (e != ERR_OK)
		return fail(n, e);
	store_be16(record, (uint16_t)(plain_len + AEAD_TAG_LEN));
	*ret_len = NOISE_HEAD_LEN + plain_len + AEAD_TAG_LEN;
	return ERR_OK;
}

static enum err open_record(struct secure *s, uint8_t *in, size_t len, size_t *ret_used,
			    struct span *ret_plain)
{
	struct noise *n = noise_of(s);
	if (n->failure != ERR_OK)
		return n->failure;
	assert(s->is_done);
	if (len < NOISE_HEAD_LEN)
		return ERR_AGAIN;
	size_t frame_len = load_be16(in);
	if (frame_len < AEAD_TAG_LEN)
		return fail(n, ERR_DECRYPT);
	if (len < NOISE_HEAD_LEN + frame_len)
		return ERR_AGAIN;
	uint8_t *plain = in + NOISE_HEAD_LEN;
	size_t plain_len = frame_len - AEAD_TAG_LEN;
	enum err e =
		noise_cipher_open(&n->rx, span_of(NULL, 0), plain, plain_len, plain + plain_len);
	if (e != ERR_OK)
		return fail(n, e);
	*ret_used = NOISE_HEAD_LEN + frame_len;
	*ret_plain = span_of(plain, plain_len);
	return ERR_OK;
}

static void free_noise(struct secure *s)
{
	struct noise *n = noise_of(s);
	noise_handshake_deinit(&n->handshake);
	noise_cipher_deinit(&n->tx);
	noise_cipher_deinit(&n->rx);
	free(n);
}

const struct secure_ops noise_ops = {
	.protocol = "/noise",
	.head_len = NOISE_HEAD_LEN,
	.tail_len = AEAD_TAG_LEN,
	.plain_len_max = NOISE_PLAIN_LEN_MAX,
	.feed = feed,
	.take = take,
	.seal = seal,
	.open = open_record,
	.free = free_noise,
};

enum err noise_new(const struct noise_conf *conf, struct secure **ret_secure)
{
	size_t muxer_len = conf->muxer != NULL ? strlen(conf->muxer) : 0;
	assert(muxer_len < NOISE_MUXER_LEN_MAX && conf->lane < LANES_MAX);
	struct noise *n = calloc(1, sizeof(*n));
	if (n == NULL)
		return ERR_NO_MEMORY;
	n->base.ops = &noise_ops;
	n->identity = conf->identity;
	n->expected = conf->expected;
	n->lane = conf->role == SECURE_INITIATOR ? conf->lane : 0;
	if (muxer_len > 0)
		memcpy(n->muxer, conf->muxer, muxer_len);
	enum err e = noise_handshake_init(&n->handshake, conf->role == SECURE_INITIATOR,
					  conf->static_secret, conf->ephemeral_secret,
					  span_of("", 0));
	if (e == ERR_OK && noise_handshake_is_our_turn(&n->handshake))
		e = send_message(n);
	if (e != ERR_OK) {
		free_noise(&n->base);
		return e;
	}
	*ret_secure = &n->base;
	return ERR_OK;
}
