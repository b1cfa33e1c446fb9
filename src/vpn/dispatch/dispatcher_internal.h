/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatcher_internal.h - a dispatcher from inside: for the files of this folder only */
#pragma once

#include "vpn/dispatch/dispatcher.h"
#include "vpn/dispatch/worker_pool.h"
#include "vpn/dispatch/worker_table.h"

enum {
	IN_FLIGHT_FULL = 1024 *
			 1024, /* bytes in flight on a stream that count as a full one: more
				  than TCP holds below us on a path of 100 Mbit/s and 40 ms */
};

struct dispatcher {
	struct dispatcher_conf conf;
	struct worker_table *table;
	struct worker_pool *pools; /* uthash by peer id */
	uint32_t generation;       /* of peer discovery, as of this batch */
	uint64_t n_forgotten; /* workers so far: when it changes, pointers to them may be dead */
	struct loop_task maintain; /* the table, after a turn that made or freed workers */
	struct loop_timer cleanup; /* workers that were idle for long */
	uint32_t cleanup_at;       /* place in the table; 0: a round begins */
	struct loop_timer drain;   /* DRAINING, ENDING: look again */
	struct loop_task closed;
	struct flush *flushes; /* see flush.h */
	uint64_t n_flushes;
	struct loop_timer flush;
	nsec_t drain_by;
	bool is_closing; /* DRAINING or ENDING */
	bool is_ending;
	bool is_ended; /* on_closed was called */
	uint64_t dropped_closing;
};

uint64_t dispatcher_random(struct dispatcher *d);
/* Takes the packet: its sender is told, it is counted. */
void dispatcher_refuse(struct dispatcher *d, struct packet *packet, const struct packet_info *info,
		       enum icmp_reason icmp, uint32_t mtu, enum drop reason);
/* A stream went: was it the last one of a dispatcher that closes? */
void dispatcher_check_closed(struct dispatcher *d);

/* dispatcher_close.c */
void dispatcher_init_close(struct dispatcher *d);
