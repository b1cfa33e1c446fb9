/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch_kit.h - a dispatcher in virtual time, its peers, and a ledger of every packet
 *
 * Peer i owns 10.0.i.0/24. A packet carries the number of its key and its place among the packets
 * of that key; the far end checks that no key goes backwards, the ledger that each packet has one
 * outcome.
 */
#pragma once

#include "support/testkit.h"

#include "loop/loop_sim.h"
#include "vpn/adapter/memory_discovery.h"
#include "vpn/adapter/memory_streams.h"
#include "vpn/dispatch/dispatcher_internal.h"
#include "vpn/dispatch/receipt.h"

#define MSEC(n) ((n)*NSEC_PER_MSEC)
#define SEC(n)  ((n)*NSEC_PER_SEC)

enum {
	KIT_PEERS_MAX = 8,
	KIT_KEYS_MAX = 2048,
	KIT_POOL = 16384,
	KIT_STREAMS_MAX = 4096,
};

struct kit_packet_receipt {
	struct receipt receipt;
	struct kit *kit;
	struct kit_packet_receipt *next; /* free ones */
	bool is_out;
};

struct kit_key {
	uint32_t given, arrived; /* the last of each; 0: none */
	uint64_t n_arrived;
	uint64_t stream; /* that it arrived on last */
	size_t peer;     /* ... at which peer */
	unsigned n_moves;
};

struct kit {
	struct sim *sim;
	struct loop *loop;
	struct packet_pool *pool;
	struct metrics metrics;
	struct memory_discovery *discovery;
	struct memory_streams *memory; /* NULL: the test has its own service */
	struct stream_service inner;   /* whose open() is counted */
	struct dispatcher_conf conf;
	struct dispatcher *d;
	struct peer_id peers[KIT_PEERS_MAX];
	size_t n_peers;

	/* The ledger. */
	struct kit_key keys[KIT_KEYS_MAX];
	uint64_t given, ended, outcomes[DROP_COUNT + 1];
	uint64_t arrived, arrived_of[KIT_PEERS_MAX];
	struct kit_packet_receipt *receipts; /* free ones */
	struct kit_packet_receipt *memory_of_receipts;

	/* What the dispatcher told. */
	unsigned n_opens, n_demands;
	unsigned n_refused[ICMP_REASON_COUNT];
	uint32_t refused_mtu;
	unsigned n_streams_up, n_streams_failed, n_no_route;
	bool is_closed;
	uint64_t dropped_at_close;
};

/* Peers of the next kits, from this number on, speak /vpn/1.0.0. */
extern size_t kit_first_vpn;

/* Three streams at most, one at least, all else as by default. */
struct dispatch_settings kit_settings(void);
/* With a memory service and n peers that are up. `settings`: NULL for the usual ones. */
struct kit *kit_new(size_t n_peers, const struct dispatch_settings *settings);
/* With the test's own service; peers are known, and down. */
struct kit *kit_new_with(size_t n_peers, const struct dispatch_settings *settings,
			 struct stream_service (*service)(struct kit *kit, void *ctx), void *ctx);
/* A memory service for kit_new_with(). */
struct stream_service kit_memory_service(struct kit *k, void *ctx);
/* Close with a second's time, check the books, free. */
void kit_end(struct kit *k);
void kit_close(struct kit *k, nsec_t within);
/* Is the ledger right as it stands? */
void kit_check(const struct kit *k);

void kit_run(struct kit *k, nsec_t duration);
/* A packet of this key to this peer, of `len` bytes (at least 40); not sent yet. NULL: the pool is
 * empty. */
struct packet *kit_packet(struct kit *k, size_t key, size_t peer, size_t len);
/* Make and send one. */
void kit_send(struct kit *k, size_t key, size_t peer, size_t len);
/* n of the same key. */
void kit_send_many(struct kit *k, size_t key, size_t peer, size_t len, size_t n);
/* A packet arrived at the far end. */
void kit_arrive(struct kit *k, size_t peer, uint64_t stream, struct span packet);
struct dispatch_peer_info kit_info(const struct kit *k, size_t peer);
struct worker_pool *kit_pool(const struct kit *k, size_t peer);
size_t kit_up(const struct kit *k, size_t peer); /* streams that are UP */
void kit_faults(struct kit *k, size_t peer, struct memory_faults faults);
uint64_t kit_count(const struct kit *k, enum counter counter);
/* Streams of all peers, as they are counted and as they stand. */
void kit_check_streams(const struct kit *k);
