/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pool_stream.h - one stream of a peer's pool: a link, its channel, the keys that stick to it
 *
 *     a stream is  May                                   leaves when
 *     OPENING      take no key                           agreed -> UP; refused, failed -> gone
 *     UP           carry keys                            retired, idle, too many -> DRAINING
 *                                                        sick -> CLOSING; broken -> gone
 *     DRAINING     nothing but finish a frame: its       all that it sent has arrived -> CLOSING,
 *                  keys are held, their packets wait     keys move; DRAIN_TIMEOUT -> CLOSING, reset
 *     CLOSING      nothing                               on_close() -> gone; CLOSE_TIMEOUT: reset
 *
 * That all has arrived is what the answer to a probe says that was sent behind it: the peer handles
 * frames in their order. Then a key may move to another stream, on another connection perhaps, and
 * nothing is reordered. A stream that broke, or that was given up, cannot say that: so the
 * streams that are up tell the peer its number (REPLACES), and so does the HELLO of each later one;
 * what of it is still under way is thrown away there. Keys that had sent something on it wait for a
 * stream that has told, unless they can stay on the same connection, where all is in order anyway.
 * Owned by one shard.
 */
#pragma once

#include "vpn/api/stream_service.h"
#include "vpn/dispatch/channel.h"
#include "vpn/stream/frame_reader.h"
#include "vpn/stream/stream_health.h"

#define DRAIN_TIMEOUT \
	(500 * NSEC_PER_MSEC) /* twice the round trip of a satellite; keys stand still so long */
#define CLOSE_TIMEOUT \
	(5 *          \
	 NSEC_PER_SEC) /* for the peer to end its side; a stream that it keeps takes our place */
#define STREAM_YOUNG \
	(3 * NSEC_PER_SEC) /* a stream that ends sooner is a failed attempt: as DIAL_STABLE */

/* Probes with this bit in their number are not the stream's own: flush.h. */
#define POOL_STREAM_FOREIGN (1ull << 62)

enum pool_stream_state {
	POOL_STREAM_OPENING,
	POOL_STREAM_UP,
	POOL_STREAM_DRAINING,
	POOL_STREAM_CLOSING,
	POOL_STREAM_STATE_COUNT,
};

struct pool_stream {
	/* What each packet touches, then what each pull does. */
	struct worker_pool *pool;
	void *link; /* of the stream service */
	enum pool_stream_state state;
	bool is_awake;  /* the link knows that there is output */
	nsec_t used_at; /* its last packet came */
	struct channel channel;
	struct stream_health health; /* from UP */

	struct pool_stream *prev, *next; /* of the pool */
	enum packet_framing framing;
	struct frame_reader *reader; /* NULL for /vpn/1.0.0 */
	struct worker *workers;      /* its keys */
	size_t n_workers;
	uint64_t id;       /* its number, for HELLO */
	uint64_t told;     /* deaths of streams before its HELLO, which tells of them */
	uint64_t barrier;  /* DRAINING: the probe whose answer says that all has arrived */
	nsec_t end_by;     /* DRAINING: all has arrived; CLOSING: the peer has ended its side */
	nsec_t opened_at;  /* UP since */
	nsec_t vouched_at; /* until then it counted as a success, or not yet */
	struct link_facts facts;
	uint64_t attempt; /* for resilience ... */
	bool is_attempt;  /* ... which waits to hear how it went */
	bool is_spare;    /* on a connection beside the peer's: for keys that are spread only */
	bool is_retiring; /* its connection will not last: to be drained when another is up */
};

/* Ask the service for one. `attempt` is resilience's, which hears how it went. ERR_* of its open().
 */
MUST_USE enum err pool_stream_open(struct worker_pool *pool, uint64_t attempt,
				   struct pool_stream **ret_stream);
/* The same by open_spare(); resilience has no part in it. */
MUST_USE enum err pool_stream_open_spare(struct worker_pool *pool);
/* Let the keys go where all has arrived, then end. UP. */
void pool_stream_drain(struct pool_stream *s, nsec_t now);
/* All that was sent has arrived, or need not: its keys may go, then end. UP, DRAINING. */
void pool_stream_finish(struct pool_stream *s);
/* End it now; its keys move at once. Not twice. */
void pool_stream_fail(struct pool_stream *s, enum err why);
/* Bring into the cache what a packet touches of it on its way in and out. */
static inline void pool_stream_prefetch(const struct pool_stream *s)
{
	enum {
		CACHE_LINE = 64, /* bytes; of another size, it helps less */
	};
	for (size_t at = 0; at < offsetof(struct pool_stream, channel.control); at += CACHE_LINE)
		__builtin_prefetch((const char *)s + at, 1);
	__builtin_prefetch(&s->health.by);
}
/* Something may be sent. */
void pool_stream_wake(struct pool_stream *s);
/* What time asks for: probes, health, the end of draining. May end the stream. */
void pool_stream_step(struct pool_stream *s, nsec_t now);
/* When to step again. */
nsec_t pool_stream_deadline(const struct pool_stream *s);

/* "opening", "up" ... */
const char *pool_stream_state_name(enum pool_stream_state state);
