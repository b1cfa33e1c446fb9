/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * port.h - a node's packets without a device: a pair of sockets that stands for the TUN
 *
 *     runnel_node_send() -> outer | inner -> the node reads it as its TUN
 *            on_packet() <- outer | inner <- the node writes to it as its TUN
 *
 * SOCK_SEQPACKET: one packet a message, as with a TUN. Each direction is bounded by the socket's
 * send buffer, some hundred packets; a packet for which there is no room is refused toward the
 * program, and dropped toward on_packet() (DROP_TUN_FULL).
 *
 * Both ends live from init to deinit, so that a thread may send at any time; the loop works on
 * duplicates. port_send() is for any thread, port_open(), port_close() and on_packet for the
 * loop's.
 */
#pragma once

#include "base/limits.h"
#include "loop/loop.h"

struct port {
	int inner, outer;  /* -1: not made */
	struct sock *sock; /* the duplicate of `outer` */
	void (*on_packet)(void *ctx, const void *packet, size_t len);
	void *ctx;
	uint8_t buf[PACKET_LEN_MAX];
};

/* No ends yet; deinit may follow. */
void port_init(struct port *p, void (*on_packet)(void *ctx, const void *packet, size_t len),
	       void *ctx);
/* ERR_FDS, ERR_NO_MEMORY. */
MUST_USE enum err port_make(struct port *p);
void port_deinit(struct port *p);

/* *ret_inner is the socket that is to be the node's TUN, the caller's. ERR_FDS, ERR_NO_MEMORY. */
MUST_USE enum err port_open(struct port *p, struct loop *loop, struct sock **ret_inner);
/* Also when it is not open. */
void port_close(struct port *p);

/* ERR_FULL. `len` is above 0. */
MUST_USE enum err port_send(const struct port *p, const void *packet, size_t len);
