/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reorder_table.h - the groups of one peer
 *
 * A group stands here from its first packet on: who opens it says nothing before. All streams of
 * the peer, on all its connections, share one table, since a group's packets come on any of them.
 *
 *     a group   May                                leaves when
 *     unknown   (no memory)                        a packet of it comes -> live
 *     live      take packets, keep some            its end is reached -> ended
 *                                                  REORDER_IDLE without a packet -> unknown
 *                                                  another needs its place -> unknown, what it
 *                                                  kept is delivered first
 *     ended     (its number only) packets of it    REORDER_ENDED_MAX further groups ended
 *               are late                           -> unknown
 *
 * A peer that makes up groups and numbers costs REORDER_GROUPS_MAX times the memory of one group,
 * and no allocation once it has these: the next one takes over the memory of the one that it ends.
 *
 * Pure; owned by one shard. A peer that was started anew numbers its groups from somewhere else
 * (docs/protocol.md); one that does not is late until REORDER_IDLE has passed.
 */
#pragma once

#include "vpn/stream/frame.h"
#include "vpn/stream/reorder.h"

enum {
	REORDER_GROUPS_MAX = 16, /* flows of one peer that are each too fat for a stream */
	REORDER_ENDED_MAX = 16,  /* ended groups whose late packets are known: as many as can end
				    while a packet is late */
};

/* A group without packets is forgotten. The protocol has its opener end it after 20 s, and 10 are
 * for the way. */
#define REORDER_IDLE (30 * NSEC_PER_SEC)

struct reorder_group {
	struct reorder *reorder; /* NULL: a free place */
	uint32_t id;
	nsec_t used_at; /* its last packet */
};

struct reorder_table {
	struct reorder_group groups[REORDER_GROUPS_MAX];
	uint32_t ended[REORDER_ENDED_MAX]; /* a ring of numbers */
	size_t n_ended;                    /* how many ever were */
	struct reorder_counts counts;
	uint64_t begun, evicted; /* groups that began, that had to make room */
};

void reorder_table_init(struct reorder_table *t);
/* Drops what is kept. */
void reorder_table_deinit(struct reorder_table *t);

/* A SEQ or SEQ_SUPER frame came. Packets of other groups may be delivered too, where one has to
 * make room. ERR_NO_MEMORY: the packet is dropped. */
MUST_USE enum err reorder_table_take(struct reorder_table *t, const struct frame_seq *at,
				     struct span packet, const struct offload *offload, nsec_t now,
				     const struct reorder_sink *sink,
				     enum reorder_outcome *ret_outcome);
/* A SEQ_END frame came. */
void reorder_table_end(struct reorder_table *t, const struct frame_seq *end, nsec_t now);

/* When to call reorder_table_expire(); NSEC_NEVER: there is no group. */
nsec_t reorder_table_deadline(const struct reorder_table *t);
void reorder_table_expire(struct reorder_table *t, nsec_t now, const struct reorder_sink *sink);

/* Live groups, and packets that they keep. */
size_t reorder_table_groups(const struct reorder_table *t);
size_t reorder_table_kept(const struct reorder_table *t);
