/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* noise_fixture.c - see noise_fixture.h */
#include "noise_fixture.h"

#include <stdlib.h>

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -1;
	for (uint8_t i = 0; i < 2; i++) {
		uint8_t seed[IDENTITY_SEED_LEN];
		memset(seed, i + 1, sizeof(seed));
		assert_ok(identity_from_seed(seed, &f->identity[i]));
		fixture_make(f, (enum secure_role)i, NULL);
	}
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 2; i++) {
		secure_free(f->end[i]);
		identity_free(f->identity[i]);
	}
	free(f);
	return 0;
}

struct noise_conf fixture_conf(const struct fixture *f, enum secure_role role)
{
	struct noise_conf conf = {.role = role, .identity = f->identity[role], .muxer = MUXER};
	memset(conf.static_secret, role == SECURE_INITIATOR ? 0x11 : 0x22, X25519_LEN);
	memset(conf.ephemeral_secret, role == SECURE_INITIATOR ? 0x33 : 0x44, X25519_LEN);
	return conf;
}

struct secure *fixture_make(struct fixture *f, enum secure_role role, const struct noise_conf *conf)
{
	struct noise_conf usual = fixture_conf(f, role);
	f->end[role] = secure_free(f->end[role]);
	assert_ok(noise_new(conf != NULL ? conf : &usual, &f->end[role]));
	return f->end[role];
}

struct noise *fixture_noise(struct secure *s)
{
	return (struct noise *)(void *)s; /* its first member */
}

size_t fixture_take(struct secure *s, uint8_t *buf, size_t cap)
{
	struct wbuf w = wbuf_of(buf, cap);
	assert_ok(s->ops->take(s, &w));
	return w.len;
}

enum err fixture_feed(struct secure *s, struct span bytes, size_t *ret_left)
{
	uint8_t *copy = testkit_copy(bytes);
	struct span in = span_of(copy, bytes.len);
	enum err e = s->ops->feed(s, &in);
	if (ret_left != NULL)
		*ret_left = in.len;
	free(copy);
	return e;
}

void fixture_connect(struct fixture *f)
{
	uint8_t buf[1024];
	for (size_t i = 0; i < NOISE_MESSAGES; i++) {
		size_t len = fixture_take(f->end[i % 2], buf, sizeof(buf));
		size_t left;
		assert_true(len > 0);
		assert_ok(fixture_feed(f->end[(i + 1) % 2], span_of(buf, len), &left));
		assert_int_equal(left, 0);
	}
	assert_true(f->end[0]->is_done && f->end[1]->is_done);
}

void fixture_assert_text(struct secure *from, struct secure *to, const char *text)
{
	uint8_t record[256];
	size_t len, used;
	struct span plain;
	memcpy(record + from->ops->head_len, text, strlen(text));
	assert_ok(from->ops->seal(from, record, strlen(text), &len));
	assert_int_equal(len, from->ops->head_len + strlen(text) + from->ops->tail_len);
	assert_ok(to->ops->open(to, record, len, &used, &plain));
	assert_int_equal(used, len);
	assert_span_equal(plain, span_str(text));
}

void liar_init(struct liar *l, enum secure_role role)
{
	uint8_t static_secret[X25519_LEN], ephemeral_secret[X25519_LEN];
	memset(static_secret, 0x66, sizeof(static_secret));
	memset(ephemeral_secret, 0x77, sizeof(ephemeral_secret));
	assert_ok(noise_handshake_init(&l->handshake, role == SECURE_INITIATOR, static_secret,
				       ephemeral_secret, span_of("", 0)));
}

void liar_deinit(struct liar *l)
{
	noise_handshake_deinit(&l->handshake);
}

size_t liar_payload(const struct liar *l, const struct identity *identity, const char *muxer,
		    uint8_t *buf, size_t cap)
{
	uint8_t data[NOISE_SIGNED_LEN], signature[IDENTITY_SIGNATURE_LEN];
	struct wbuf w = wbuf_of(buf, cap);
	noise_payload_signed(l->handshake.static_pair.public_key, data);
	assert_ok(identity_sign(identity, span_of(data, sizeof(data)), signature));
	noise_payload_put(&w, identity_public_key(identity), span_of(signature, sizeof(signature)),
			  muxer, 0);
	assert_ok(wbuf_check(&w));
	return w.len;
}

static enum err say(struct liar *l, struct secure *s, struct span payload)
{
	enum {
		CAP = 70000
	};
	uint8_t *buf = malloc(CAP);
	assert_non_null(buf);
	struct wbuf w = wbuf_of(buf, CAP);
	wbuf_put_be16(&w, (uint16_t)(noise_handshake_overhead(&l->handshake) + payload.len));
	assert_ok(noise_handshake_write(&l->handshake, payload, &w));
	enum err e = fixture_feed(s, wbuf_view(&w), NULL);
	free(buf);
	return e;
}

static void hear(struct liar *l, struct secure *s)
{
	uint8_t buf[1024];
	struct span payload;
	size_t len = fixture_take(s, buf, sizeof(buf));
	assert_true(len > NOISE_HEAD_LEN);
	assert_ok(noise_handshake_read(&l->handshake, buf + NOISE_HEAD_LEN, len - NOISE_HEAD_LEN,
				       &payload));
}

enum err liar_play(struct liar *l, struct secure *s, struct span payload)
{
	if (l->handshake.is_initiator)
		assert_ok(say(l, s, span_of("", 0)));
	hear(l, s);
	return say(l, s, payload);
}
