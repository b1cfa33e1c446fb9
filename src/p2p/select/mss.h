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
	MSS_HEADER_LEN = 20, /* bytes of the header token on the wire */
	MSS_NA_LEN = 4,      /* ... and of the refusal */
	/* Bytes that mss_take() may append at once. */
	MSS_OUT_LEN_MAX = MSS_HEADER_LEN + MSS_ROUNDS_MAX * MSS_NA_LEN + 2 + MSS_NAME_LEN_MAX + 1,
};

/* Does the responder speak this protocol? Returns an index for mss_chosen(), or -1. `name` is lent
 * for the call. Names longer than MSS_NAME_LEN_MAX are declined without asking. */
typedef int mss_match_fn(void *ctx, struct span name);

/*
 *     state          May                                  Must not
 *     WAIT_HEADER    see the header; send its own         take any other token
 *     WAIT_TOKEN     see a proposal, or the answer to     see the header again, or an answer to a
 *                    the one that was sent                proposal that was not sent yet
 *     AGREED         send its last answer                 read: the input is the next layer's
 *     FAILED         -                                    read or send anything
 */
enum mss_state {
	MSS_WAIT_HEADER, /* nothing understood yet */
	MSS_WAIT_TOKEN,  /* the header came: proposals or answers follow */
	MSS_AGREED,      /* mss_chosen() tells */
	MSS_FAILED,      /* mss_feed() told why; no more input is read */
};

/* Owned by the connection or stream that negotiates. Plain memory: nothing to free. */
struct mss {
	enum mss_state state;
	enum err failure; /* what every later mss_feed() returns */
	bool is_initiator;
	bool is_header_due; /* not yet taken */
	bool is_name_due;   /* the initiator's proposal, the responder's echo */
	int chosen;
	/* initiator */
	const char *const *proposals; /* lent by the owner until the end, most wanted first */
	size_t n_proposals;
	size_t at; /* the proposal that is due or on its way */
	/* responder */
	mss_match_fn *match;
	void *match_ctx;
	unsigned rounds;   /* proposals seen */
	unsigned n_na_due; /* refusals not yet taken; they go before the echo */
	size_t echo_len;
	uint8_t echo[MSS_NAME_LEN_MAX];
};

/* proposals: at least one; each starts with '/' and has at most MSS_NAME_LEN_MAX bytes. */
void mss_init_initiator(struct mss *m, const char *const *proposals, size_t n_proposals);
void mss_init_responder(struct mss *m, mss_match_fn *match, void *ctx);

/*
 * Consume tokens from the front of *in until agreed; an incomplete token stays. ERR_AGAIN: more
 * input is needed. ERR_OK: agreed (now or before). ERR_NEGOTIATION: nothing in common, or more than
 * MSS_ROUNDS_MAX proposals. ERR_MALFORMED, ERR_TOO_LONG (a token), ERR_PROTOCOL (a token that has
 * no place here): end the connection or reset the stream.
 */
MUST_USE enum err mss_feed(struct mss *m, struct span *in);

/* Append what must be sent, if anything: call at the start and after each mss_feed(), also after
 * the last. ERR_FULL: nothing was written. */
MUST_USE enum err mss_take(struct mss *m, struct wbuf *out);

/* Initiator: the index of the agreed proposal. Responder: what match() returned. Only when agreed.
 */
int mss_chosen(const struct mss *m);
