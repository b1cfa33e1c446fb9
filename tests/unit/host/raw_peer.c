/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* raw_peer.c - see raw_peer.h */
#include "unit/host/raw_peer.h"

#include <stdlib.h>

#include "base/util.h"

static void on_ready(void *ctx, unsigned ready);

static void watch(struct raw_peer *r)
{
	unsigned want = r->is_deaf ? 0u : SOCK_READABLE;
	if (r->out_len > 0)
		want |= SOCK_WRITABLE;
	sock_watch(r->sock, r->is_over ? 0 : want, on_ready, r);
}

static void finish(struct raw_peer *r, enum err why)
{
	r->is_over = true;
	r->why = why;
	r->over_at = sim_now(r->w->sim);
}

static void on_ready(void *ctx, unsigned ready)
{
	struct raw_peer *r = ctx;
	enum err e = ERR_OK;
	size_t n;
	while ((ready & SOCK_WRITABLE) && r->out_len > 0 && e == ERR_OK) {
		struct iovec iov = {.iov_base = r->out, .iov_len = r->out_len};
		e = sock_writev(r->sock, &iov, 1, &n);
		if (e == ERR_OK) {
			memmove(r->out, r->out + n, r->out_len - n);
			r->out_len -= n;
		}
	}
	if (e == ERR_AGAIN)
		e = ERR_OK;
	while ((ready & SOCK_READABLE) && !r->is_deaf && e == ERR_OK && r->in_len < RAW_CAP) {
		e = sock_read(r->sock, r->in + r->in_len, RAW_CAP - r->in_len, &n);
		if (e == ERR_OK)
			r->in_len += n;
	}
	if (e != ERR_OK && e != ERR_AGAIN)
		finish(r, e);
	watch(r);
}

struct raw_peer *raw_dial(struct world *w, size_t from, size_t to)
{
	struct raw_peer *r = calloc(1, sizeof(*r));
	assert_non_null(r);
	r->w = w;
	r->loop = world_loop(w, from);
	r->in = malloc(RAW_CAP);
	r->out = malloc(RAW_CAP);
	r->plain = malloc(RAW_CAP);
	assert_true(r->in != NULL && r->out != NULL && r->plain != NULL);
	char ip[16] = "192.0.2.1";
	ip[8] = (char)('1' + to);
	union netaddr at = kit_netaddr(ip, KIT_PORT);
	struct tcp_opts opts = {0};
	assert_ok(loop_tcp_dial(r->loop, &at, &opts, &r->sock));
	watch(r);
	return r;
}

struct raw_peer *raw_free(struct raw_peer *r)
{
	if (r == NULL)
		return NULL;
	sock_close(r->sock, true);
	secure_free(r->secure);
	identity_free(r->identity);
	free(r->in);
	free(r->out);
	free(r->plain);
	free(r);
	return NULL;
}

void raw_send(struct raw_peer *r, const void *bytes, size_t len)
{
	assert_in_range(len, 0, RAW_CAP - r->out_len);
	memcpy(r->out + r->out_len, bytes, len);
	r->out_len += len;
	watch(r);
}

void raw_send_text(struct raw_peer *r, const char *text)
{
	raw_send(r, text, strlen(text));
}

void raw_send_token(struct raw_peer *r, const char *text)
{
	uint8_t len = (uint8_t)(strlen(text) + 1);
	assert_true(len < 128);
	raw_send(r, &len, 1);
	raw_send_text(r, text);
	raw_send_text(r, "\n");
}

static void use(uint8_t *from, size_t *len, size_t n)
{
	memmove(from, from + n, *len - n);
	*len -= n;
}

static void take(struct raw_peer *r)
{
	uint8_t bytes[8192];
	struct wbuf out = wbuf_of(bytes, sizeof(bytes));
	assert_ok(r->secure->ops->take(r->secure, &out));
	raw_send(r, out.p, out.len);
}

void raw_secure_begin(struct raw_peer *r, size_t self, const char *muxer)
{
	r->identity = kit_identity(self);
	struct noise_conf conf = {
		.role = SECURE_INITIATOR, .identity = r->identity, .muxer = muxer, .lane = r->lane};
	loop_random(r->loop, conf.static_secret, sizeof(conf.static_secret));
	loop_random(r->loop, conf.ephemeral_secret, sizeof(conf.ephemeral_secret));
	assert_ok(noise_new(&conf, &r->secure));
	raw_send_token(r, "/multistream/1.0.0");
	raw_send_token(r, "/noise");
	take(r);
}

bool raw_secure_step(struct raw_peer *r)
{
	enum {
		ECHO_LEN = 20 + 8
	}; /* both tokens, from the responder */
	if (r->in_len < ECHO_LEN)
		return false;
	struct span in = span_of(r->in + ECHO_LEN, r->in_len - ECHO_LEN);
	assert_ok(r->secure->ops->feed(r->secure, &in));
	if (!r->secure->is_done)
		return false;
	use(r->in, &r->in_len, r->in_len - in.len);
	take(r);
	return true;
}

static bool is_answered(void *ctx)
{
	struct raw_peer *r = ctx;
	return r->is_over || raw_secure_step(r);
}

bool raw_upgrade(struct raw_peer *r, size_t self, const char *muxer)
{
	raw_secure_begin(r, self, muxer);
	assert_true(world_becomes(r->w, is_answered, r, SEC(5)));
	world_run(r->w, MSEC(20));
	return !r->is_over;
}

void raw_seal(struct raw_peer *r, const void *plain, size_t len)
{
	const struct secure_ops *ops = r->secure->ops;
	uint8_t *record = malloc(ops->head_len + len + ops->tail_len);
	assert_non_null(record);
	memcpy(record + ops->head_len, plain, len);
	size_t n;
	assert_ok(ops->seal(r->secure, record, len, &n));
	raw_send(r, record, n);
	free(record);
}

void raw_open(struct raw_peer *r)
{
	size_t used;
	struct span plain;
	while (r->in_len > 0 &&
	       r->secure->ops->open(r->secure, r->in, r->in_len, &used, &plain) == ERR_OK) {
		assert_in_range(plain.len, 0, RAW_CAP - r->plain_len);
		if (plain.len > 0)
			memcpy(r->plain + r->plain_len, plain.p, plain.len);
		r->plain_len += plain.len;
		use(r->in, &r->in_len, used);
	}
}

void raw_frame(struct raw_peer *r, uint8_t type, uint16_t flags, uint32_t stream, uint32_t length,
	       const void *body, size_t body_len)
{
	uint8_t frame[4096] = {0, type};
	assert_in_range(body_len, 0, sizeof(frame) - YAMUX_HEADER_LEN);
	store_be16(frame + 2, flags);
	store_be32(frame + 4, stream);
	store_be32(frame + 8, length);
	if (body_len > 0)
		memcpy(frame + YAMUX_HEADER_LEN, body, body_len);
	raw_seal(r, frame, YAMUX_HEADER_LEN + body_len);
}

bool raw_is_over(void *ctx)
{
	return ((struct raw_peer *)ctx)->is_over;
}
