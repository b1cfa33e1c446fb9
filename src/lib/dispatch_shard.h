/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch_shard.h - one thread of a dispatcher that programs made (runnel/dispatch.h)
 *
 *     any thread: dispatch_shard_put() -> inbox -> [shard] a packet of the pool, and its ticket
 *                                                  -> vpn/dispatch -> link -> stream service
 *
 * A packet's callback travels in the inbox before the packet itself, and then in a ticket, of which
 * there are as many as packets in the pool: nothing is allocated for either.
 *
 *     a shard is   its thread                              leaves when
 *     IDLE         none                                    dispatch_shard_start()
 *     OPEN         turns                                   dispatch_shard_stop() -> CLOSING
 *     CLOSING      takes over what is in the inbox, sends  inbox and dispatcher are empty, all
 *                  what waits, until the deadline          links have ended -> IDLE
 *
 * What outlives the thread, until dispatch_shard_deinit(): the loop and the inbox, which a caller
 * may still touch who was faster than the stop; and the metrics.
 */
#pragma once

#include <stdatomic.h>

#include <runnel/dispatch.h>

#include "lib/postbox.h"
#include "vpn/dispatch/dispatcher.h"
#include "vpn/dispatch/inbox.h"
#include "vpn/dispatch/receipt.h"

struct ticket;

enum {
	PEERS_WANTED_MAX = 64, /* peers whose first packet came in one turn; others in the next */
};

struct runnel_shard {
	/* Written by dispatch_shard_init(), then only read. */
	struct runnel_dispatcher *owner;
	unsigned index;
	struct loop *loop;
	struct inbox *inbox;
	uint32_t mtu;
	struct packet_pool *packets;
	struct ticket *tickets;
	struct runnel_stream_service streams;
	struct dispatcher_conf conf; /* whose discovery this is a copy of */
	struct runnel_peer_discovery discovery;
	struct runnel_resilience resilience;

	/* For any thread. */
	struct loop_mail bell; /* the inbox's */
	struct postbox posts;
	_Alignas(64) atomic_uint_fast64_t n_refused; /* packets that found the inbox full */

	/* Of the shard's thread. */
	_Alignas(64) struct metrics metrics;
	struct dispatcher *dispatcher;
	struct ticket *free_ticket;
	void *here;        /* the service's part */
	unsigned n_inside; /* functions of the program's that are being called, one in the other */
	bool is_closing, must_drain;
	bool is_told;   /* the dispatcher is closing, too */
	bool is_closed; /* ... and is */
	bool is_over;   /* nothing more may begin */
	nsec_t deadline;
	uint64_t dropped_before; /* the stop */
	struct loop_task want;
	struct peer_id wanted[PEERS_WANTED_MAX]; /* by packets; the service knows no connections */
	size_t n_wanted;

	/* Of whoever starts and stops. */
	pthread_t thread;
	bool has_thread;
	enum err start_err; /* guarded by the owner's mutex, as the next */
	bool has_started;   /* or failed to */
};

struct dispatch_shard_conf {
	struct runnel_dispatcher *owner;
	unsigned index;
	const struct runnel_dispatch_conf *conf;
	const struct runnel_resilience *resilience;
	const struct runnel_peer_discovery *discovery;
	const struct runnel_stream_service *streams;
};

/* Fails with nothing to undo. ERR_FDS, ERR_NO_MEMORY. */
MUST_USE enum err dispatch_shard_init(struct runnel_shard *s,
				      const struct dispatch_shard_conf *conf);
/* It is IDLE, no other thread is in a call of it. */
void dispatch_shard_deinit(struct runnel_shard *s);

/* What travels with a packet. */
struct dispatch_head {
	runnel_dispatched_fn *fn; /* NULL: nobody asks */
	void *ctx;
	struct conn_key key;
	struct ip_addr destination;
	bool is_own; /* key and destination are the packet's own */
};

/* Any thread. ERR_FULL, ERR_CLOSED: closed by inbox_close(). */
MUST_USE enum err dispatch_shard_put(struct runnel_shard *s, const struct dispatch_head *head,
				     struct span packet);

/* Its thread's main function; dispatch.c makes the thread, and hears by dispatch_started(). */
void *dispatch_shard_run(void *shard);
/* Any thread but its own: close; the thread ends. must_drain: its inbox was closed, and is emptied
 * first. */
void dispatch_shard_stop(struct runnel_shard *s, nsec_t timeout, bool must_drain);

/* --- dispatch_link.c ----------------------------------------------------------------- */

/* As vpn/dispatch sees the program's service, by this shard. */
struct stream_service dispatch_link_service(struct runnel_shard *s);
/* Peers that packets wanted, for services that know no connections. */
void dispatch_link_init(struct runnel_shard *s);
void dispatch_link_deinit(struct runnel_shard *s);

/* --- dispatch.c ---------------------------------------------------------------------- */

/* On the shard's thread: it stands, or could not. */
void dispatch_started(struct runnel_shard *s, enum err result);
/* dispatch_metrics.c */
enum runnel_drop dispatch_outcome(enum drop outcome);
