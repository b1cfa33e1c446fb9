/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * attempt.h - how the opening of a stream went, for the peer's resilience
 *
 * A stream that opens has not proved much: a peer can take it and break it at once. So an attempt
 * counts as a success when its stream has lived for STREAM_YOUNG, and as a failure when it did not
 * open or ended sooner. What ends for a reason of our own says nothing about the peer. Streams that
 * fail together are one failure: a hiccup of the peer is no row of five.
 *
 * An open breaker believes the past. Where the past was silence (nothing was answered in time),
 * bytes that come from the peer are the news that end it: attempt_hear().
 */
#pragma once

#include "vpn/dispatch/worker_pool.h"

#define ATTEMPTS_TOGETHER (100 * NSEC_PER_MSEC) /* failures that are one */

/* The stream was good; only its first report counts. */
void attempt_succeeded(struct pool_stream *s);
/* It is ended by us, or could not be used. */
void attempt_failed(struct pool_stream *s, enum err why, nsec_t now);
/* It ended by itself. */
void attempt_ended(struct pool_stream *s, enum err why, nsec_t now);
/* It lives: that vouches for it, and for the peer while the breaker is half-open. */
void attempt_vouch(struct pool_stream *s, nsec_t now);
bool attempt_needs_vouching(const struct pool_stream *s);

/* Did the peer break its silence? Then it is tried again. */
void attempt_hear(struct worker_pool *pool, nsec_t now);
