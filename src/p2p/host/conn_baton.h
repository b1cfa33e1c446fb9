/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conn_baton.h - a connection between two shards
 *
 *     accepted on one shard -> Noise says: for another lane -> CONN_LEAVING -> struct conn_baton
 *         -> whoever holds it passes it on -> swarm_adopt() on the other shard -> CONN_OPEN
 *
 * It is packed between the handshake and the muxer, when there is least to carry: the socket, the
 * secure channel with its nonces, and the records that came right behind the handshake, unopened.
 * There are no streams yet, and nothing of ours waits to be sent: the dialler's last message
 * answers the last byte of ours. What comes meanwhile waits in the kernel.
 *
 * Plain memory that belongs to no loop: pass it to any thread, once, with whatever orders memory
 * between the two. Owned by who holds it; ends in swarm_adopt() or conn_baton_free().
 */
#pragma once

#include "loop/loop.h"
#include "wire/peer_id.h"

struct conn_baton;

/* Who is at the other end, and which of its lanes it is. */
const struct peer_id *conn_baton_peer(const struct conn_baton *baton);
uint32_t conn_baton_lane(const struct conn_baton *baton);
const union netaddr *conn_baton_remote(const struct conn_baton *baton);

/* Close what it holds. Any thread. Takes NULL; returns NULL. */
struct conn_baton *conn_baton_free(struct conn_baton *baton);
