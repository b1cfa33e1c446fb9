/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reorder.h - the receiving end of one group: numbered packets in any order in, in order out
 *
 * A flow that is spread over several streams (docs/protocol.md, SEQ) comes in many orders. What
 * comes as expected is delivered from where it lies. What comes early is copied and kept until what
 * is missing before it came, or until waiting for that has no point any more: the oldest packet
 * that is kept decides, no packet is kept longer than REORDER_WAIT. Then all that is missing before
 * it is given up.
 *
 *     next                                     next + REORDER_PACKETS_MAX
 *      |  missing    kept   missing  kept kept |
 *      v                                       v
 *     [ ][ ][ ][ ][ ][x][x][ ][ ][ ][x][x][ ]..      late <--|   |--> the window slides
 *
 * What always holds: packets are delivered in the order of their numbers, each at most once. `next`
 * never goes back and is never kept. Nothing is kept outside of the window of one ring, so a
 * number's place in the ring is its lower bits.
 *
 * The copies lie in an arena of the group, one behind the other as they came, round and round. The
 * packet that came first marks how far it is free: so a packet lies in one piece, as the TUN wants
 * it, room is found without searching, and nothing is allocated but the group itself. The price: a
 * packet that waits long holds the room of those behind it that are gone, for REORDER_WAIT at most.
 * A group that always comes in order touches no page of its arena. No room: the packet that came
 * first is waited for no longer.
 *
 * Numbers count modulo 2^32 and are compared as RFC 1982 has it. Pure; owned by one shard.
 */
#pragma once

#include "base/time.h"
#include "vpn/packet/offload.h"

enum {
	REORDER_PACKETS_MAX = 1024,  /* numbers of the window, a power of 2: what REORDER_BYTES_MAX
					holds of full packets, and a third more for small ones */
	REORDER_BYTES_MAX = 1 << 20, /* bytes that are kept: 8 ms of 1 Gbit/s; 16 groups of a peer
					are 16 MiB */
	REORDER_BEFORE = REORDER_PACKETS_MAX / 2, /* numbers that are waited for before the first
						     one seen, where the begin is unknown */
};

/* How long a packet is kept. Streams differ by what is queued on them (20 ms) and by one segment
 * that is sent again; below the 200 ms after which the TCP that is carried takes its segment for
 * lost. */
#define REORDER_WAIT (60 * NSEC_PER_MSEC)

enum reorder_outcome {
	REORDER_DELIVERED, /* now, and what was kept behind it too */
	REORDER_KEPT,
	REORDER_LATE,      /* had its turn, was given up, or is behind the end: drop it */
	REORDER_DUPLICATE, /* is kept already: drop it */
};

/* Where packets go. `packet` is valid during the call, which must not come back to the group. */
struct reorder_sink {
	void (*deliver)(void *ctx, struct span packet, const struct offload *offload);
	void *ctx;
};

/* Sums; several groups may add to the same. */
struct reorder_counts {
	uint64_t delivered; /* packets, the kept ones included */
	uint64_t kept;      /* packets that came early */
	uint64_t late;      /* packets dropped */
	uint64_t duplicate; /* packets dropped */
	uint64_t gaps;      /* runs of missing numbers that were given up */
	uint64_t missing;   /* numbers in them */
};

struct reorder;

/* A group of which the first packet that comes has the number `first`. `counts` outlives it.
 * ERR_NO_MEMORY. */
MUST_USE enum err reorder_new(uint32_t first, struct reorder_counts *counts,
			      struct reorder **ret_reorder);
/* Drops what is kept. Takes NULL; returns NULL. */
struct reorder *reorder_free(struct reorder *r);
/* Use its memory for another group. Drops what is kept. */
void reorder_restart(struct reorder *r, uint32_t first);

/* A packet of 1..PACKET_LEN_MAX bytes came. */
enum reorder_outcome reorder_take(struct reorder *r, uint32_t seq, struct span packet,
				  const struct offload *offload, nsec_t now,
				  const struct reorder_sink *sink);
/* The group has no packets from this number on. Ignored where one came, or another end is known. */
void reorder_end(struct reorder *r, uint32_t seq, nsec_t now);
/* Everything up to the end had its turn: free it. */
bool reorder_is_done(const struct reorder *r);

/* When to call reorder_expire(); NSEC_NEVER: nothing waits. */
nsec_t reorder_deadline(const struct reorder *r);
/* Give up what has been waited for long enough. */
void reorder_expire(struct reorder *r, nsec_t now, const struct reorder_sink *sink);
/* Give up all that is missing: deliver what is kept. */
void reorder_flush(struct reorder *r, const struct reorder_sink *sink);

/* Packets that are kept now. */
size_t reorder_kept(const struct reorder *r);
