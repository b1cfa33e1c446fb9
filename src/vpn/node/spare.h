/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * spare.h - a shard's second connections to peers, for keys that are spread (spread.h)
 *
 * Lane k + LANES_PRIMARY is shard k's spare connection to a peer: on the same two shards as lane k.
 * It is dialled when a stream on it is asked for, by who dialled lane k, whom the other side asks
 * (DIAL_LANE), and closed when none was for SPARE_UNUSED. Both sides may use it. Owned by its
 * shard.
 */
#pragma once

#include "vpn/node/node_internal.h"

#define SPARE_UNUSED (30 * NSEC_PER_SEC) /* a spare connection that no stream wants is closed */

/* For struct libp2p_streams, with a struct shard as ctx: a stream on one is wanted. */
void spare_want(void *ctx, const struct peer_id *peer);
/* The peer asks for one. */
void spare_asked(struct shard *s, uint32_t peer);
/* Once in a while. */
void spare_look(struct shard *s, nsec_t now);
