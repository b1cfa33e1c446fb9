/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * runnel/dispatch_service.h - what a dispatcher needs of its world: who owns an address, and
 * streams to that peer
 *
 * Two interfaces, tables of functions that a program fills in. <runnel/dispatch_memory.h> has one
 * of each, ready-made; <runnel/dispatch.h> is who calls them.
 *
 * --- peer discovery
 *
 * Shared by all shards: its functions are called on all of their threads, at the same time. They
 * must not block. A worker remembers the answer of find() until generation() changes; so it is
 * asked once for each connection key, not for each packet.
 *
 * --- stream service
 *
 * Streams are ordered, reliable byte streams to a peer, in one of two framings. Sending is pulled:
 * the dispatcher says wake(), and the service asks for bytes when it can pass them on, so that what
 * waits, waits where it can still be dropped. Each stream has two ends inside of the program, which
 * know each other from open() on: the service's `stream`, which the operations get, and the
 * dispatcher's `link`, which the service calls up.
 *
 *     a stream is  the service may call                     the dispatcher may call
 *     OPENING      runnel_link_opened(), _closed()          finish(), reset()
 *     OPEN         runnel_link_data(), _pull(), _retire(),  all
 *                  _closed()
 *     ENDING       runnel_link_data() (dropped), _pull()    reset(), where finish() does not end
 *                  (0 bytes), _retire(), _closed()          it soon; after reset() nothing
 *     ENDED        nothing: after runnel_link_closed() its link is dead, and the service's stream
 *                  is the service's own to free
 *
 * It is ENDING from reset() or finish() on. runnel_link_closed() must follow each open() that
 * succeeded, sooner or later, and soon after reset(): a stop waits for it, without a bound.
 *
 * Threads: each shard is a world of its own. open_shard() makes the service's part of a shard, and
 * all operations on it and its streams, and all calls up (runnel_link_..., runnel_shard_peer_...),
 * are on that shard's thread. To get there from others: runnel_shard_post(). No operation may call
 * up from inside, nor may a completion callback; what follows is called later, from something that
 * was posted. That is so that the dispatcher finds its own state as it left it. The other way round
 * operations are called from inside of calls up: runnel_link_data() may end in reset() of that same
 * stream. Breaking these rules, or the table above, ends the process by abort().
 *
 * A service that has threads of its own for its sockets so works like this: wake() marks the stream
 * and tells the thread; the thread, when the socket has room, posts; what was posted pulls as many
 * bytes as there is room for, and hands them over.
 */
#ifndef RUNNEL_DISPATCH_SERVICE_H
#define RUNNEL_DISPATCH_SERVICE_H

#include <runnel/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- peer discovery ------------------------------------------------------------------ */

/* What a discovery can do. */
struct runnel_peer_discovery_ops {
	/* The peer that owns this address. RUNNEL_ERR_NOT_FOUND: nobody does; others: it cannot be
	 * told now. Both drop the packet, each under its own reason. */
	enum runnel_err (*find)(void *ctx, const struct runnel_ip *ip,
				struct runnel_peer_id *ret_peer);
	/* A number that changes whenever an earlier answer may not hold any more. NULL: never. */
	uint32_t (*generation)(void *ctx);
};

/* A discovery: a value that points to one. */
struct runnel_peer_discovery {
	const struct runnel_peer_discovery_ops *ops;
	void *ctx; /* handed to each */
};

/* --- stream service ------------------------------------------------------------------ */

/* A shard of a dispatcher, and the dispatcher's end of a stream. Both are the dispatcher's. */
struct runnel_shard;
struct runnel_link;

/* How packets travel in a stream's bytes; docs/protocol.md of the source has both byte by byte. */
enum runnel_framing {
	/* /runnel/packet/1.0.0: both ends introduce themselves first; probes, and a broken stream
	 * cannot make packets overtake each other. */
	RUNNEL_FRAMING_RUNNEL = 0,
	/* /vpn/1.0.0: a length of 4 bytes, big-endian, and the packet; nothing ever comes back. */
	RUNNEL_FRAMING_VPN = 1,
};

/* What a service knows about a stream. */
struct runnel_link_facts {
	/* Of the connection that carries it: equal numbers, equal fate. 0 where there is none. */
	uint64_t connection;
	bool is_suspect;          /* the peer does not answer on it: others are better */
	uint64_t in_flight_bytes; /* pulled, and not yet acknowledged by the peer; 0: not known */
	runnel_nsec rtt;          /* of the connection; 0: not known */
};

/* What a service can do. All but demand() must be there. */
struct runnel_stream_ops {
	/* On the shard's thread, before all else: make the service's part of this shard. What goes
	 * to *ret_here is handed to open() and the like. An error fails the start; what was posted
	 * until then is forgotten. */
	enum runnel_err (*open_shard)(void *ctx, struct runnel_shard *shard, void **ret_here);
	/* The last call for this shard, when all of its streams have ended; `shard` is dead from
	 * then on, but for runnel_shard_post(), which says RUNNEL_ERR_CLOSED. */
	void (*close_shard)(void *here);

	/* Open a stream: runnel_link_opened() or _closed() follows. The link is the dispatcher's,
	 * until runnel_link_closed(). On an error the link is dead at once. With demand():
	 * RUNNEL_ERR_UNREACHABLE says that the peer is not connected, which is no failure: there
	 * will be no other open() before runnel_shard_peer_up(). All else is a failed attempt. */
	enum runnel_err (*open)(void *here, const struct runnel_peer_id *peer,
				struct runnel_link *link, void **ret_stream);
	/* There is something to pull. */
	void (*wake)(void *stream);
	/* Nothing more comes from us behind what was pulled. Close it when that is sent. */
	void (*finish)(void *stream);
	/* End it now, both ways. */
	void (*reset)(void *stream, enum runnel_err why);
	/* Fill in what is known; all zero before. Not for each packet. */
	void (*facts)(void *stream, struct runnel_link_facts *ret_facts);

	/* Packets wait for a peer that is not connected: reach it, then runnel_shard_peer_up().
	 * Called for each of these packets. NULL: the service knows no connections, and streams can
	 * be opened to any peer at any time. */
	void (*demand)(void *here, const struct runnel_peer_id *peer);
};

/* A stream service: a value that points to one. */
struct runnel_stream_service {
	const struct runnel_stream_ops *ops;
	void *ctx; /* handed to open_shard() */
};

/* --- calls up, about a stream; on its shard's thread --------------------------------- */

/* It is open, with this framing. Once. */
RUNNEL_API void runnel_link_opened(struct runnel_link *link, enum runnel_framing framing);

/* Bytes from the peer, lent for the call. */
RUNNEL_API void runnel_link_data(struct runnel_link *link, const void *bytes, size_t len);

/* Bytes for the peer: writes up to `cap` of them to buf, and returns how many. Fewer than cap:
 * there are no more before the next wake(), which may come from inside of this call. */
RUNNEL_API size_t runnel_link_pull(struct runnel_link *link, void *buf, size_t cap);

/* Its connection will not last, but works for now: the dispatcher moves what uses it. */
RUNNEL_API void runnel_link_retire(struct runnel_link *link);

/* It has ended. RUNNEL_ERR_OK: closed by both sides; else why it broke, or did not open. The last
 * call of a link. */
RUNNEL_API void runnel_link_closed(struct runnel_link *link, enum runnel_err why);

/* --- calls up, about a shard --------------------------------------------------------- */

/* Its number: 0 to one less than runnel_dispatcher_shards(). Any thread. */
RUNNEL_API unsigned runnel_shard_index(const struct runnel_shard *shard);

/*
 * Run fn(ctx) once on the shard's thread, as soon as it gets there, in the order of the posts;
 * never before this returned, unless it was called by another thread. Any thread, also the shard's
 * own, also inside of operations and callbacks, until runnel_dispatcher_free(). What was posted has
 * run before close_shard() is called. It takes a lock for some nanoseconds, and memory: not for
 * each packet. RUNNEL_ERR_CLOSED: the shard has ended, `fn` will not be called;
 * RUNNEL_ERR_NO_MEMORY.
 */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_shard_post(struct runnel_shard *shard,
							     void (*fn)(void *ctx), void *ctx);

/* Of a service with demand(): streams can be opened to this peer from now on. On the shard's
 * thread. RUNNEL_ERR_NO_MEMORY. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_shard_peer_up(struct runnel_shard *shard,
								const struct runnel_peer_id *peer);

/* ... they cannot. Streams that are open stay until they end. On the shard's thread. */
RUNNEL_API void runnel_shard_peer_down(struct runnel_shard *shard,
				       const struct runnel_peer_id *peer);

/* An attempt of the service's own to reach this peer failed: counts for its breaker. On the shard's
 * thread. */
RUNNEL_API void runnel_shard_peer_unreachable(struct runnel_shard *shard,
					      const struct runnel_peer_id *peer);

#ifdef __cplusplus
}
#endif

#endif
