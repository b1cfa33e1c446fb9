/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mss.h - multistream-select 1.0: agree on a protocol by name
 *
 * Spec: multiformats/multistream-select, libp2p connections. Pure. Tokens are uvarint(length) text
 * "\n".
 *
 * The initiator sends the header and its first proposal in one write, goes on to the next proposal
 * at each "na", and is done at the echo. The responder sends its header as soon as it is asked for
 * bytes (a peer that waits for it is served, one that speaks first as well), echoes what it knows,
 * answers "na" to the rest (to "ls" too). Peers that pipeline are served token by token; what
 * stands behind the agreed token stays in the input for the next layer.
 */
#pragma once

#include "base/limits.h"
#include "base/span.h"

enum {
	MSS_OUT_LEN_MAX = 20 + MSS_TOKEN_LEN_MAX + 2, /* bytes that mss_take() may append at once */
};

/* Does the responder speak this protocol? Returns an index for mss_chosen(), or -1. `name` is lent
 * for the call. */
typedef int mss_match_fn(void *ctx, struct span name);

enum mss_state {
	MSS_WAIT_HEADER, /* nothing understood yet */
	MSS_WAIT_TOKEN,  /* the header came: proposals or answers follow */
	MSS_AGREED,      /* mss_chosen() tells */
	MSS_FAILED,      /* mss_feed() told why; no more input is read */
};

/* Owned by the connection or stream that negotiates. Plain memory: nothing to free. */
struct mss {
	enum mss_state state;
	bool is_initiator;
	bool is_header_sent;
	const char *const
		*proposals; /* initiator: lent by the owner until the end, most wanted first */
	size_t n_proposals;
	size_t at; /* initiator: the proposal that is on its way; responder: rounds so far */
	mss_match_fn *match; /* responder */
	void *match_ctx;
	int chosen;
	uint8_t out[2 * MSS_TOKEN_LEN_MAX]; /* responder: answers that wait to be taken */
	size_t out_len;
	bool is_proposal_due;
};

/* proposals: at least one; each starts with '/' and is shorter than MSS_TOKEN_LEN_MAX. */
void mss_init_initiator(struct mss *m, const char *const *proposals, size_t n_proposals);
void mss_init_responder(struct mss *m, mss_match_fn *match, void *ctx);

/*
 * Consume tokens from the front of *in until agreed; an incomplete token stays. ERR_AGAIN: more
 * input is needed. ERR_OK: agreed (now or before). ERR_NEGOTIATION: nothing in common, or
 * MSS_ROUNDS_MAX proposals were declined. ERR_MALFORMED, ERR_TOO_LONG, ERR_FULL (the peer pipelines
 * proposals faster than it takes the answers): end the connection or reset the stream.
 */
MUST_USE enum err mss_feed(struct mss *m, struct span *in);

/* Append what must be sent, if anything: call at the start and after each mss_feed(), also after
 * the last. ERR_FULL: nothing was written. */
MUST_USE enum err mss_take(struct mss *m, struct wbuf *out);

/* Initiator: the index of the agreed proposal. Responder: what match() returned. Only when agreed.
 */
int mss_chosen(const struct mss *m);
