/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * trouble.h - why peers do not connect, in words and in the log
 *
 * A fault is told when it begins and when its reason changes, and each peer, as the strangers
 * together, gets a line in TROUBLE_INTERVAL at most.
 */
#pragma once

#include "p2p/host/swarm.h"
#include "vpn/node/line_limiter.h"

#define TROUBLE_INTERVAL (10 * NSEC_PER_SEC) /* between two log lines about the same */

enum {
	TROUBLE_TEXT_MAX = 256, /* bytes of dial_failure_text() with its zero */
};

/* What was told last of a peer. All zero: nothing. */
struct trouble {
	struct line_limiter limiter;
	enum err why;
	enum conn_state reached;
	bool is_refused_there; /* it closed at once: until it takes our stream, nothing is
				* "connected"
				*/
};

struct node;
struct node_peer;

/* What the swarm tells; `index` is the peer's place in the configuration. */
void trouble_on_refused(struct node *n, const struct peer_id *id, const union netaddr *from);
void trouble_on_dial_failed(struct node *n, uint32_t index, const struct dial_failure *failure);
/* The peer took our stream: all is well. */
void trouble_is_over(struct node_peer *peer);

/* The cause and what to do, for people. Not of ERR_OK. Returns buf. */
const char *dial_failure_text(const struct dial_failure *f, char buf[TROUBLE_TEXT_MAX]);
