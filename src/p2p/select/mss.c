/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mss.c - tokens in, tokens out, see mss.h
 *
 * Both sides read the same way: take whole tokens from the front of the input, the first of which
 * must be the header, until a name is agreed or the peer leaves the rules. Nothing of the input is
 * kept: an incomplete token stays with the caller, who therefore needs room for one.
 *
 * What is to be sent is kept as a few facts (header due, refusals due, name due) and written when
 * the caller has room. Between the header and the name only refusals can stand, so facts suffice.
 */
#include "p2p/select/mss.h"

#include <assert.h>

#include "wire/varint.h"

static const char HEADER[] = "/multistream/1.0.0";
static const char NA[] = "na";

static_assert(sizeof(HEADER) - 1 + 2 == MSS_HEADER_LEN, "length, text, newline");
static_assert(sizeof(NA) - 1 + 2 == MSS_NA_LEN, "length, text, newline");
static_assert(MSS_NAME_LEN_MAX + 1 <= MSS_TOKEN_LEN_MAX, "a name fits into a token");

void mss_init_initiator(struct mss *m, const char *const *proposals, size_t n_proposals)
{
	assert(n_proposals > 0);
	for (size_t i = 0; i < n_proposals; i++) {
		/* rust ends the negotiation at a name without a slash. */
		assert(proposals[i][0] == '/');
		assert(strlen(proposals[i]) <= MSS_NAME_LEN_MAX);
	}
	*m = (struct mss){
		.state = MSS_WAIT_HEADER,
		.is_initiator = true,
		.is_header_due = true,
		.is_name_due = true,
		.proposals = proposals,
		.n_proposals = n_proposals,
	};
}

void mss_init_responder(struct mss *m, mss_match_fn *match, void *ctx)
{
	*m = (struct mss){
		.state = MSS_WAIT_HEADER,
		.is_header_due = true,
		.match = match,
		.match_ctx = ctx,
	};
}

/* ERR_AGAIN: the token is not all there, *in is unchanged. */
static MUST_USE enum err take_token(struct span *in, struct span *ret_name)
{
	/* Two bytes hold every length that is allowed; so the verdict on a third does not depend on
	 * how many more are there already. */
	if (in->len >= 2 && (in->p[0] & in->p[1] & 0x80) != 0)
		return ERR_TOO_LONG;
	struct span rest = *in;
	uint64_t len;
	enum err e = uvarint_take(&rest, &len);
	if (e == ERR_TRUNCATED)
		return ERR_AGAIN;
	if (e != ERR_OK)
		return e;
	if (len > MSS_TOKEN_LEN_MAX)
		return ERR_TOO_LONG;
	if (len == 0)
		return ERR_MALFORMED;

	struct span token;
	if (span_take(&rest, (size_t)len, &token) != ERR_OK)
		return ERR_AGAIN;
	if (token.p[token.len - 1] != '\n')
		return ERR_MALFORMED;
	*in = rest;
	*ret_name = span_of(token.p, token.len - 1);
	return ERR_OK;
}

static MUST_USE enum err agree(struct mss *m, int chosen)
{
	m->chosen = chosen;
	m->state = MSS_AGREED;
	return ERR_OK;
}

/* The initiator's side: the answer to the proposal that is on its way. */
static MUST_USE enum err read_answer(struct mss *m, struct span name)
{
	if (m->is_name_due)
		return ERR_PROTOCOL; /* answers what was not asked yet */
	if (span_equal(name, span_str(m->proposals[m->at])))
		return agree(m, (int)m->at);
	if (!span_equal(name, span_str(NA)))
		return ERR_PROTOCOL;
	if (m->at + 1 == m->n_proposals)
		return ERR_NEGOTIATION;
	m->at++;
	m->is_name_due = true;
	return ERR_OK;
}

/* The responder's side. "ls" and simultaneous-connect are names like others, which nobody here
 * speaks. */
static MUST_USE enum err read_proposal(struct mss *m, struct span name)
{
	if (span_equal(name, span_str(HEADER)))
		return ERR_PROTOCOL;
	if (m->rounds == MSS_ROUNDS_MAX)
		return ERR_NEGOTIATION;
	m->rounds++;

	int chosen = name.len <= MSS_NAME_LEN_MAX ? m->match(m->match_ctx, name) : -1;
	if (chosen < 0) {
		m->n_na_due++;
		return ERR_OK;
	}
	if (name.len > 0)
		memcpy(m->echo, name.p, name.len);
	m->echo_len = name.len;
	m->is_name_due = true;
	return agree(m, chosen);
}

static MUST_USE enum err read_token(struct mss *m, struct span name)
{
	if (m->state == MSS_WAIT_HEADER) {
		/* Strict as go; js goes on without a header. */
		if (!span_equal(name, span_str(HEADER)))
			return ERR_PROTOCOL;
		m->state = MSS_WAIT_TOKEN;
		return ERR_OK;
	}
	return m->is_initiator ? read_answer(m, name) : read_proposal(m, name);
}

enum err mss_feed(struct mss *m, struct span *in)
{
	while (m->state == MSS_WAIT_HEADER || m->state == MSS_WAIT_TOKEN) {
		struct span name;
		enum err e = take_token(in, &name);
		if (e == ERR_AGAIN)
			return ERR_AGAIN;
		if (e == ERR_OK)
			e = read_token(m, name);
		if (e != ERR_OK) {
			m->state = MSS_FAILED;
			m->failure = e;
		}
	}
	return m->state == MSS_AGREED ? ERR_OK : m->failure;
}

static void put_token(struct wbuf *out, struct span name)
{
	wbuf_put_uvarint(out, name.len + 1);
	wbuf_put(out, name);
	wbuf_put_u8(out, '\n');
}

static struct span due_name(const struct mss *m)
{
	return m->is_initiator ? span_str(m->proposals[m->at]) : span_of(m->echo, m->echo_len);
}

enum err mss_take(struct mss *m, struct wbuf *out)
{
	if (m->state == MSS_FAILED)
		return ERR_OK;
	/* Written aside first: the caller's buffer gets all of it or stays as it is. */
	uint8_t buf[MSS_OUT_LEN_MAX];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	if (m->is_header_due)
		put_token(&w, span_str(HEADER));
	for (unsigned i = 0; i < m->n_na_due; i++)
		put_token(&w, span_str(NA));
	if (m->is_name_due)
		put_token(&w, due_name(m));
	assert(!w.overflowed);

	if (wbuf_room(out) < w.len)
		return ERR_FULL;
	wbuf_put(out, wbuf_view(&w));
	m->is_header_due = false;
	m->n_na_due = 0;
	m->is_name_due = false;
	return ERR_OK;
}

int mss_chosen(const struct mss *m)
{
	assert(m->state == MSS_AGREED);
	return m->chosen;
}
