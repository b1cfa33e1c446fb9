/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * liveness.h - is anyone at the other end?
 *
 * TCP itself notices a dead path after minutes, and after a short cut it waits for its own growing
 * retransmission timer. So a connection asks: while nothing shows that the peer is there, it pings;
 * without an answer it becomes suspect (a second connection is dialled beside it), later it is
 * dead.
 *
 * A sign of life is any record received. An acknowledgement by the peer's kernel of bytes that we
 * sent is one as well: a saturated slow link delivers neither pings nor their answers in time, but
 * it does make progress. A kernel also answers for a process that hangs, so it may vouch for
 * LIVENESS_DEAF only. When the acknowledgement came is not known, only that it did since the last
 * look: while more is on its way the next look comes soon.
 *
 * Who only listens has nothing whose loss would show. So when data stops coming it asks once:
 * has the peer no more to say, or is the path gone?
 *
 *     state      leaves when                                    asks for
 *     QUIET      keepalive passed, or data was sent or came      a ping
 *                the network changed                             a ping, soon answered
 *     WAITING    a sign of life -> QUIET                         -
 *                LIVENESS_SUSPECT passed -> SUSPECT              a second connection
 *     SUSPECT    a sign of life -> QUIET                         -
 *                LIVENESS_DEAD passed -> dead                    the end
 *
 * Pure. Owned by its connection.
 */
#pragma once

#include <stdbool.h>

#include "base/time.h"

#define LIVENESS_PROBE                                                            \
	(1 * NSEC_PER_SEC) /* silence while we send, or after data, before we ask \
			    */
#define LIVENESS_SUSPECT \
	(1500 * NSEC_PER_MSEC) /* ping unanswered: dial beside. Above the RTT of a satellite */
#define LIVENESS_DOUBT (500 * NSEC_PER_MSEC) /* the same, after the network changed under us */
#define LIVENESS_DEAD  (5 * NSEC_PER_SEC)    /* ping unanswered: give up */
#define LIVENESS_DEAF \
	(30 * NSEC_PER_SEC) /* ping unanswered, its bytes acknowledged: the process hangs */

enum liveness_verdict {
	LIVENESS_OK,        /* nothing to do before liveness_deadline() */
	LIVENESS_PING,      /* send a ping */
	LIVENESS_SUSPECTED, /* just became suspect */
	LIVENESS_IS_DEAD,   /* close it */
};

enum liveness_state {
	LIVENESS_QUIET,
	LIVENESS_WAITING,
	LIVENESS_SUSPECT_STATE,
};

struct liveness {
	enum liveness_state state;
	nsec_t keepalive; /* longest silence before a ping */
	nsec_t alive_at;  /* the last sign of life */
	nsec_t sent_at;  /* the last time that we sent something that deserves an answer, 0: all was
			    answered */
	nsec_t data_at;  /* data came and nobody asked since; 0: none */
	nsec_t asked_at; /* when this state asked */
	nsec_t patience; /* from then on, before it is suspect */
	nsec_t unheard_at; /* the first ping since we last heard anything; 0: none */
};

void liveness_init(struct liveness *l, nsec_t keepalive, nsec_t now);

/* Facts, as they happen. */
void liveness_heard(struct liveness *l, nsec_t now);      /* bytes came */
void liveness_heard_data(struct liveness *l, nsec_t now); /* ... and not only for ourselves */
void liveness_acked(struct liveness *l, nsec_t now, bool is_all); /* (all) bytes of ours arrived */
void liveness_sent(struct liveness *l, nsec_t now);
/* The path may be another one now: doubt it. Send a ping with it. */
void liveness_doubt(struct liveness *l, nsec_t now);

/* What to do now. Call when liveness_deadline() is due, or at any time. */
enum liveness_verdict liveness_step(struct liveness *l, nsec_t now);

nsec_t liveness_deadline(const struct liveness *l);

static inline bool liveness_is_suspect(const struct liveness *l)
{
	return l->state == LIVENESS_SUSPECT_STATE;
}
