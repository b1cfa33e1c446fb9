/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * identify.h - /ipfs/id/1.0.0 and /ipfs/id/push/1.0.0: who are you, and how do you see me
 *
 * Spec: libp2p identify. Everyone may ask us; we ask each connection once. What a peer says must
 * carry the key that it proved to have, or none; its addresses are believed as far as its own reach
 * (a public peer's private addresses are not dialled).
 *
 * Our addresses: those listened on; in the place of an unspecified one the address by which the
 * peer at hand reaches us, so that nobody is told of networks that he is not in. Owned by the
 * swarm's shard.
 */
#pragma once

#include "p2p/host/swarm.h"
#include "wire/identify_msg.h"

#define IDENTIFY_PROTOCOL      "/ipfs/id/1.0.0"
#define IDENTIFY_PUSH_PROTOCOL "/ipfs/id/push/1.0.0"

struct identify_conf {
	const char *agent;                /* "runnel/0.1.0"; lent */
	const struct protocol *protocols; /* that we accept; lent */
	size_t n_protocols;
	/* A peer said who it is; everything is lent for the call. May be NULL. */
	void (*on_identified)(void *ctx, struct conn *c, const struct identify_msg *msg);
	void *ctx;
};

/* Everything that the protocol's streams need: their protocols' ctx. Plain memory. */
struct identify {
	struct identify_conf conf;
	uint64_t answered; /* requests of others */
	uint64_t received; /* messages that were whole and believable */
	uint64_t refused;  /* messages that were not */
};

/* For struct protocol, with a struct identify as ctx. */
extern const struct stream_ops identify_responder_ops;
extern const struct stream_ops identify_push_ops;

/* Ask the peer of this connection; the answer comes to on_identified, and its addresses to
 * swarm_learn_addrs(). */
MUST_USE enum err identify_request(struct identify *id, struct conn *c);
/* Tell the peer that our addresses changed. */
MUST_USE enum err identify_push(struct identify *id, struct conn *c);
