/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pool.h - packet buffers: a fixed number, no locks, no malloc once it stands
 *
 * Two sizes: small buffers for MTU-sized packets, large ones for whatever a TUN with offload can
 * hand over. Each size is one slab, allocated at the start; its memory becomes resident as
 * buffers are used for the first time, and the one used last is used next. When all are taken
 * packet_alloc() returns NULL, and the caller counts a drop (DROP_POOL_EMPTY).
 *
 * A pool and its packets are owned by one shard. A packet returns to the pool it came from.
 *
 *     read from TUN into a large packet -> packet_fit() -> push to a channel -> packet_free()
 */
#pragma once

#include "base/limits.h"
#include "base/time.h"
#include "vpn/packet/offload.h"

struct packet_pool;
struct receipt; /* whom to tell what became of a packet: vpn/dispatch/receipt.h */

struct packet {
	struct packet *next;      /* for the queue that holds it */
	struct packet_pool *pool; /* where it belongs */
	nsec_t queued_at;         /* set by the queue */
	struct receipt *receipt;  /* NULL: nobody asked */
	uint32_t len;             /* bytes of data in use */
	uint32_t cap;             /* bytes of data there are */
	struct offload offload;   /* all zero for a plain packet */
	bool is_free;             /* the pool's: catches a double free */
	_Alignas(64) uint8_t data[];
};

enum {
	PACKET_SMALL_CAP = 2048 - 64, /* bytes; a packet and its head are 2 KiB */
	PACKET_LARGE_CAP = 65536,     /* bytes; holds PACKET_LEN_MAX */
};

/* `small` and `large` are how many; either may be 0. ERR_NO_MEMORY. */
MUST_USE enum err packet_pool_new(size_t small, size_t large, struct packet_pool **ret_pool);
/* All packets must have come back. Takes NULL; returns NULL. */
struct packet_pool *packet_pool_free(struct packet_pool *pool);

/* An empty plain packet with room for at least `cap` bytes; a large one if small ones are used up.
 * NULL: none left, or `cap` is beyond PACKET_LARGE_CAP. */
struct packet *packet_alloc(struct packet_pool *pool, size_t cap);
/* Back to its pool. Takes NULL; returns NULL. */
struct packet *packet_free(struct packet *packet);

/* The same packet in the smallest buffer that holds it. Takes `packet`; returns the copy, or
 * `packet` itself where no smaller one is free. */
struct packet *packet_fit(struct packet *packet);

static inline struct span packet_view(const struct packet *packet)
{
	return span_of(packet->data, packet->len);
}

/* Buffers not in use, and in all. */
size_t packet_pool_free_count(const struct packet_pool *pool);
size_t packet_pool_count(const struct packet_pool *pool);
