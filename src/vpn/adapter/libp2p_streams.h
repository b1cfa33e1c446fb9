/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libp2p_streams.h - the stream service of a swarm: packet streams are libp2p streams
 *
 * A stream is opened on the peer's best connection. When another connection becomes the best, the
 * streams on the old one are retired (they still work, for SWARM_GRACE). A second swarm, of another
 * lane, may have connections to the same peers: the spare ones. Owned by the swarms' shard.
 */
#pragma once

#include "p2p/host/swarm.h"
#include "vpn/api/stream_service.h"
#include "vpn/config/config.h"

struct libp2p_link;

struct libp2p_streams {
	struct swarm *swarm;
	struct swarm *spare; /* NULL: there are no spare connections */
	/* A spare connection to this peer is wanted. Given with `spare`. */
	void (*want_spare)(void *ctx, const struct peer_id *peer);
	/* Which of the packet protocols this peer may be asked for. NULL: all. */
	enum config_protocol (*protocol)(void *ctx, const struct peer_id *peer);
	void *ctx;
	struct libp2p_link *links; /* all; the service's own */
};

/* `protocol` may be NULL; spares are set by who has them. Links must have ended before it goes. */
void libp2p_streams_init(struct libp2p_streams *l, struct swarm *swarm,
			 enum config_protocol (*protocol)(void *ctx, const struct peer_id *peer),
			 void *ctx);
struct stream_service libp2p_streams_get(struct libp2p_streams *l);

/* A swarm says that this is the peer's best connection of its lane now. NULL: none of them will
 * last. */
void libp2p_streams_on_best(struct libp2p_streams *l, const struct peer_id *peer,
			    const struct conn *best);
