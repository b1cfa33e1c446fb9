/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * resilience.h - when to try a peer again: a breaker and a back-off around its attempts
 *
 * An attempt is a dial, or the opening of a stream; packets are not attempts. Each begins with
 * resilience_allow() and ends with one report, by its ticket (breaker.h). The life of a peer's
 * attempts, with the defaults:
 *
 *     breaker    an attempt may begin          then, when one
 *                                              succeeds             fails
 *     CLOSED     once the wait is over         all is forgotten     wait 1, 2, 4, 8 s, +-25%;
 *                                                                   the fifth in a row -> OPEN
 *     OPEN       never, for 60 s               (late: ignored)      (late: ignored)
 *                -> HALF_OPEN
 *     HALF_OPEN  one at a time, at once        the second in a      -> OPEN
 *                                              row -> CLOSED
 *     any        news: at once, or as soon as the one of HALF_OPEN ended; OPEN -> HALF_OPEN
 *
 * Giving up is the same as OPEN: whichever of breaker and back-off runs out of patience first opens
 * the breaker and gives the back-off its tries back. So waits exist in CLOSED only, it is
 * the breaker who ends each spell of silence, and none is for ever.
 *
 * Attempts that run at once in CLOSED count each for itself: if all of five fail, it opens.
 *
 * Pure. Owned by the shard of its peer.
 */
#pragma once

#include "vpn/resilience/breaker.h"
#include "vpn/resilience/retry.h"

struct resilience {
	struct breaker breaker;
	struct retry retry;
	nsec_t wait_until; /* CLOSED: before it no attempt begins; 0: no wait */
	uint64_t waited;   /* asks refused because of it; the breaker counts its own */
};

/* Attempts may begin. The confs are copied. */
void resilience_init(struct resilience *r, const struct breaker_conf *breaker,
		     const struct retry_conf *retry);

/* May an attempt begin now? true: it has *ret_ticket, and must be followed by one report. */
MUST_USE bool resilience_allow(struct resilience *r, nsec_t now, uint64_t *ret_ticket);

void resilience_succeeded(struct resilience *r, uint64_t ticket);
void resilience_failed(struct resilience *r, uint64_t ticket, nsec_t now, uint64_t random);
/* Ended without telling anything about the peer. */
void resilience_cancelled(struct resilience *r, uint64_t ticket);

/* The peer connected to us, the network changed, somebody asks for it: do not wait any longer. */
void resilience_news(struct resilience *r);

/* Is the peer given up for now? Cheap: for the way of a packet. */
static inline bool resilience_refuses(const struct resilience *r, nsec_t now)
{
	return breaker_refuses(&r->breaker, now);
}

/* The first moment, `now` or later, at which an attempt may begin if nothing is reported until
 * then. For who has a reason to try; without one there is nothing to wake up for. */
nsec_t resilience_deadline(const struct resilience *r, nsec_t now);
