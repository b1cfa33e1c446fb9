/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * runnel/dispatch_memory.h - a peer discovery and a stream service without a network
 *
 * For programs that know their peers by themselves, and for tests: a table of prefixes, and peers
 * that live in this process. The streams carry the real bytes of a real framing, and read them at
 * the far end as a node would; a peer can refuse, stop taking bytes, stop answering, and break its
 * streams.
 */
#ifndef RUNNEL_DISPATCH_MEMORY_H
#define RUNNEL_DISPATCH_MEMORY_H

#include <runnel/dispatch_service.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- discovery: prefixes and who owns them ------------------------------------------- */

/* A table of prefixes; the longest one that holds an address wins. Any thread may use all of its
 * functions but free at any time; lookups take no lock. Each change makes a new table, and keeps
 * the old one until the end, since it may still be read: not for changes all the time. */
struct runnel_memory_discovery;

/* An empty one, to be freed by runnel_memory_discovery_free(). RUNNEL_ERR_NO_MEMORY. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_memory_discovery_new(struct runnel_memory_discovery **ret_discovery);

/* Not while a dispatcher uses it. Takes NULL; returns NULL. */
RUNNEL_API struct runnel_memory_discovery *
runnel_memory_discovery_free(struct runnel_memory_discovery *discovery);

/* As what it is given to runnel_dispatcher_new(). Cannot fail. */
RUNNEL_API struct runnel_peer_discovery
runnel_memory_discovery_get(struct runnel_memory_discovery *discovery);

/* The first `len` bits of this address are the peer's from now on, and nobody else's.
 * RUNNEL_ERR_MALFORMED: no address, or no peer; RUNNEL_ERR_RANGE: more bits than the address has,
 * or bits set behind them; RUNNEL_ERR_LIMIT, RUNNEL_ERR_NO_MEMORY. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_memory_discovery_add(struct runnel_memory_discovery *discovery, const struct runnel_ip *ip,
			    unsigned len, const struct runnel_peer_id *peer);

/* This prefix is nobody's. RUNNEL_ERR_NOT_FOUND, RUNNEL_ERR_MALFORMED, RUNNEL_ERR_RANGE,
 * RUNNEL_ERR_NO_MEMORY. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_memory_discovery_remove(struct runnel_memory_discovery *discovery,
			       const struct runnel_ip *ip, unsigned len);

/* --- streams: peers in this process -------------------------------------------------- */

/* A stream service. Any thread may use all of its functions but free at any time. It serves one
 * dispatcher after the other, or several at once. */
struct runnel_memory_streams;

/* A peer of it. */
struct runnel_memory_peer {
	struct runnel_peer_id id;
	/* A packet arrived: on this shard, on its stream of that number (from 1, by order of
	 * opening). Called on the shard's thread, for all shards at the same time; `packet` is lent
	 * for the call. NULL: packets are dropped. */
	void (*on_packet)(void *ctx, unsigned shard, uint64_t stream, const void *packet,
			  size_t len);
	void *ctx;
	enum runnel_framing framing;
};

/* What goes wrong with a peer; all false to begin with. */
struct runnel_memory_faults {
	bool is_down;    /* not connected: no stream can be opened; those that are open stay */
	bool refuses;    /* streams end before they are open */
	bool is_full;    /* takes no bytes */
	bool is_silent;  /* takes bytes, and answers nothing */
	bool is_suspect; /* its connection is not sure that it lives */
};

/* One without peers, to be freed by runnel_memory_streams_free(). RUNNEL_ERR_NO_MEMORY. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_memory_streams_new(struct runnel_memory_streams **ret_streams);

/* Not before the dispatchers that use it are freed. Takes NULL; returns NULL. */
RUNNEL_API struct runnel_memory_streams *
runnel_memory_streams_free(struct runnel_memory_streams *streams);

/* As what it is given to runnel_dispatcher_new(). Cannot fail. */
RUNNEL_API struct runnel_stream_service
runnel_memory_streams_get(struct runnel_memory_streams *streams);

/* One more peer, which is connected. It stays until the end. RUNNEL_ERR_DUPLICATE;
 * RUNNEL_ERR_MALFORMED: no id, or no framing; RUNNEL_ERR_NO_MEMORY: shards that run may not know of
 * it. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_memory_streams_add(struct runnel_memory_streams *streams,
			  const struct runnel_memory_peer *peer);

/* From soon on, on each shard. RUNNEL_ERR_NOT_FOUND; RUNNEL_ERR_NO_MEMORY: some shards may not
 * know.
 */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_memory_streams_set(struct runnel_memory_streams *streams, const struct runnel_peer_id *peer,
			  const struct runnel_memory_faults *faults);

/* Its streams break, soon, on each shard; what was sent on them is not lost, but what was only
 * half sent is. RUNNEL_ERR_NOT_FOUND, RUNNEL_ERR_NO_MEMORY as above. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_memory_streams_break(struct runnel_memory_streams *streams,
			    const struct runnel_peer_id *peer);

#ifdef __cplusplus
}
#endif

#endif
