/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * lane.h - what goes on between the shards of a node
 *
 * Every peer has lane 0, its connection on shard 0. Shard k reads the packets of TUN queue k. While
 * it has no lane to their peer it hands them to shard 0: a copy through its inbox. That is correct
 * and costs a hand-off; when it becomes much for a peer, shard 0 sees to it that lane k is dialled
 * (if the peer has as many shards), and the flows go on there. Who dialled lane 0 dials the others,
 * the peer asks it to (DIAL_LANE): the other way may be closed by a NAT. A lane that nobody used
 * for LANE_IDLE is closed by who dialled it.
 *
 *     a flow's packets on shard k go     until
 *     to shard 0 (handed over)           lane k is up, and the flow has another packet
 *     nowhere: they wait                 all that was handed over has arrived at the peer (flush.h)
 *     to lane k                          lane k breaks: they wait DRAIN_TIMEOUT, then to shard 0
 *
 * So a flow moves from shard to shard, and nothing of it is reordered, but for what is longer under
 * way than DRAIN_TIMEOUT where a lane breaks.
 *
 * Connections of lane k that a peer dials come in on shard 0 and are carried to shard k as they are
 * (swarm.h). Lane k + LANES_PRIMARY is shard k's spare connection: a second one on the same two
 * shards, over which a key that is too much for one is spread (spread.h). Who dialled lane k
 * dials its spare, too. Between shards travel packets, and mail (loop_post()); mail that is not
 * part of a struct below is allocated: there is little of it.
 */
#pragma once

#include "vpn/node/node_internal.h"

#define LANE_LOOK  (1 * NSEC_PER_SEC)  /* how often we look who needs a lane, and who does not */
#define LANE_IDLE  (60 * NSEC_PER_SEC) /* a lane that carried nothing for so long is closed */
#define LANE_AGAIN (10 * NSEC_PER_SEC) /* a lane that did not come up is asked for again */

enum {
	LANE_WORTH = 1024 *
		     1024,  /* bytes handed over in LANE_LOOK: 8 Mbit/s are worth a connection */
	LANE_INBOX = 1024,  /* packets that may wait for shard 0: 1.5 MB, 12 ms of 1 Gbit/s */
	LANES_PRIMARY = 16, /* lanes 0..15 are shards; 16 more are the spare connections of these */
	LANE_BATCH = 64,    /* packets taken from it in a turn, as of a TUN */
};

/* On shard 0, once all shards are made. A node of one shard has none of this. ERR_NO_MEMORY. */
MUST_USE enum err lane_init(struct node *n);
/* All threads have ended. */
void lane_deinit(struct node *n);

/* Shard k, for struct dispatcher_conf: the peer has no connection here. Takes the packet. */
void lane_hand_over(void *ctx, const struct peer_id *peer, struct packet *packet,
		    const struct conn_key *key);
/* ... and: tell dispatcher_flushed() when all of this key that was handed over has arrived. false:
 * too many are asked for already. */
bool lane_flush(void *ctx, const struct peer_id *peer, const struct conn_key *key);

/* Shard 0, for struct swarm_events. */
bool lane_takes(void *ctx, const struct peer_id *id, uint32_t lane);
void lane_on_baton(void *ctx, struct conn_baton *baton);

/* The peer asks us to dial this lane: it cannot dial us. Only shard 0 does, and for its spare the
 * shard that has it. */
void lane_dial(struct shard *s, uint32_t peer, uint32_t lane);

/* Shard 0: the peer connected, and may be another than it was. */
void lane_on_up(struct node *n, uint32_t peer);

/* Any shard: on its own thread, once. */
void lane_start(struct shard *s);
void lane_stop(struct shard *s);
/* Have `run` called with the shard on its thread. Without memory it is not called, and false. */
bool lane_call(struct shard *s, void (*run)(struct shard *s));
