/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_noise.c - what a stranger can send to a Noise channel
 *
 * The first byte says what the rest is: bytes for one of the two roles, as they come from the
 * network; the payload of a peer that keeps the handshake's rules otherwise, so that it gets past
 * the encryption; records behind a whole handshake; a payload or a key alone.
 */
#include <assert.h>
#include <stdlib.h>

#include "p2p/secure/noise_internal.h"
#include "p2p/secure/noise_payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum mode {
	BYTES_FOR_INITIATOR,
	BYTES_FOR_RESPONDER,
	PAYLOAD_FOR_INITIATOR,
	PAYLOAD_FOR_RESPONDER,
	RECORDS,
	PAYLOAD,
	KEY,
	MODES,
};

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static struct identity *identity_of(uint8_t fill)
{
	static struct identity *identities[4];
	uint8_t seed[IDENTITY_SEED_LEN];
	memset(seed, fill, sizeof(seed));
	if (identities[fill] == NULL)
		must(identity_from_seed(seed, &identities[fill]) == ERR_OK);
	return identities[fill];
}

static struct secure *make(enum secure_role role)
{
	struct noise_conf conf = {.role = role,
				  .identity = identity_of((uint8_t)(role + 1)),
				  .muxer = "/yamux/1.0.0"};
	memset(conf.static_secret, 0x11 * (int)(role + 1), X25519_LEN);
	/* Not those of the test vectors, whose messages may be in the corpus. */
	memset(conf.ephemeral_secret, 0x35 * (int)(role + 1), X25519_LEN);
	struct secure *s;
	must(noise_new(&conf, &s) == ERR_OK);
	return s;
}

static size_t take(struct secure *s, uint8_t *buf, size_t cap)
{
	struct wbuf w = wbuf_of(buf, cap);
	enum err e = s->ops->take(s, &w);
	must(e == ERR_OK || w.len == 0);
	return w.len;
}

/* In two pieces, the border of which the input chooses. */
static void feed_bytes(enum secure_role role, struct span in)
{
	struct secure *s = make(role);
	uint8_t buf[1024];
	struct span rest = in;
	if (in.len > 0) {
		rest.len = in.p[0] % in.len;
		if (s->ops->feed(s, &rest) == ERR_OK)
			take(s, buf, sizeof(buf));
		rest.len = (size_t)(in.p + in.len - rest.p);
	}
	enum err e = s->ops->feed(s, &rest);
	take(s, buf, sizeof(buf));
	/* Nobody who does not know a key gets through. */
	must(!s->is_done);
	must(e != ERR_OK || rest.len <= in.len);
	secure_free(s);
}

static enum err say(struct noise_handshake *h, struct secure *s, struct span payload)
{
	uint8_t buf[8192];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	wbuf_put_be16(&w, (uint16_t)(noise_handshake_overhead(h) + payload.len));
	must(noise_handshake_write(h, payload, &w) == ERR_OK);
	struct span in = wbuf_view(&w);
	return s->ops->feed(s, &in);
}

/* A payload in the right envelope. */
static void feed_payload(enum secure_role role, struct span payload)
{
	struct secure *s = make(role);
	struct noise_handshake h;
	uint8_t buf[1024];
	uint8_t static_secret[X25519_LEN] = {0x66}, ephemeral_secret[X25519_LEN] = {0x77};
	if (payload.len > NOISE_PAYLOAD_LEN_MAX)
		payload.len = NOISE_PAYLOAD_LEN_MAX;
	must(noise_handshake_init(&h, role == SECURE_RESPONDER, static_secret, ephemeral_secret,
				  span_of("", 0)) == ERR_OK);
	if (h.is_initiator)
		must(say(&h, s, span_of("", 0)) == ERR_OK);
	size_t len = take(s, buf, sizeof(buf));
	struct span theirs;
	must(noise_handshake_read(&h, buf + NOISE_HEAD_LEN, len - NOISE_HEAD_LEN, &theirs) ==
	     ERR_OK);
	enum err e = say(&h, s, payload);
	must(s->is_done == (e == ERR_OK));
	/* Done: then the key was checked and named. */
	must(!s->is_done || (s->remote_id.len > 0 && s->remote_key_len > 0));
	must(s->remote_lane < (role == SECURE_RESPONDER ? LANES_MAX : 1));
	noise_handshake_deinit(&h);
	secure_free(s);
}

static void open_records(struct span in)
{
	struct secure *end[2] = {make(SECURE_INITIATOR), make(SECURE_RESPONDER)};
	uint8_t buf[1024];
	for (size_t i = 0; i < NOISE_MESSAGES; i++) {
		struct span message = span_of(buf, take(end[i % 2], buf, sizeof(buf)));
		must(end[(i + 1) % 2]->ops->feed(end[(i + 1) % 2], &message) == ERR_OK);
	}
	uint8_t *records = malloc(in.len > 0 ? in.len : 1);
	must(records != NULL);
	if (in.len > 0)
		memcpy(records, in.p, in.len);
	size_t used;
	struct span plain;
	enum err e = end[0]->ops->open(end[0], records, in.len, &used, &plain);
	must(e == ERR_AGAIN || e == ERR_DECRYPT); /* nobody can forge one */
	free(records);
	secure_free(end[0]);
	secure_free(end[1]);
}

static void parse_payload(struct span in)
{
	struct noise_payload payload;
	if (noise_payload_parse(in, &payload) != ERR_OK)
		return;
	must(payload.identity_key.len + payload.identity_sig.len < in.len);
	must(payload.n_muxers <= NOISE_MUXERS_MAX);
	for (size_t i = 0; i < payload.n_muxers; i++)
		must(payload.muxers[i].p >= in.p &&
		     payload.muxers[i].p + payload.muxers[i].len <= in.p + in.len);
}

/* A signature of as many bytes as the input's first two say, then a key. */
static void check_key(struct span in)
{
	struct span signature;
	if (in.len < 2)
		return;
	size_t n = load_be16(in.p);
	span_skip(&in, 2);
	if (span_take(&in, n, &signature) != ERR_OK)
		return;
	enum err e = public_key_verify(in, span_str("message"), signature);
	must(e == ERR_OK || e == ERR_BAD_KEY || e == ERR_BAD_SIGNATURE || e == ERR_UNSUPPORTED);
	struct peer_id id;
	must(in.len > PUBLIC_KEY_LEN_MAX || peer_id_from_public_key(in, &id) == ERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	struct span in = span_of(data + 1, len - 1);
	switch ((enum mode)(data[0] % MODES)) {
	case BYTES_FOR_INITIATOR:
		feed_bytes(SECURE_INITIATOR, in);
		break;
	case BYTES_FOR_RESPONDER:
		feed_bytes(SECURE_RESPONDER, in);
		break;
	case PAYLOAD_FOR_INITIATOR:
		feed_payload(SECURE_INITIATOR, in);
		break;
	case PAYLOAD_FOR_RESPONDER:
		feed_payload(SECURE_RESPONDER, in);
		break;
	case RECORDS:
		open_records(in);
		break;
	case PAYLOAD:
		parse_payload(in);
		break;
	case KEY:
		check_key(in);
		break;
	case MODES:
		break;
	}
	return 0;
}
