/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_kit.h - worlds of swarms and nodes on the simulator
 *
 * Host i of a world has the address 192.0.2.(i+1), its swarm or node the identity of seed i+1 and
 * the port KIT_PORT. world_end() closes all that is left and checks that nothing stays behind.
 * The clock starts at 1 s, so that no time is 0.
 */
#pragma once

#include "support/testkit.h"

#include "loop/loop_sim.h"
#include "p2p/host/swarm.h"
#include "vpn/node/node.h"

enum {
	KIT_HOSTS_MAX = 6,
	KIT_PORT = 4001,
	KIT_PROTOCOLS_MAX = 6,
	KIT_MTU = 1400,
	KIT_SHARDS_MAX = 4,
};

#define MSEC(n) ((n)*NSEC_PER_MSEC)
#define SEC(n)  ((n)*NSEC_PER_SEC)

/* A swarm and what it told. */
struct kit_swarm {
	struct swarm *swarm;
	struct identity *identity;
	struct swarm_conf conf;
	unsigned n_best, n_down, n_refused, n_dial_failed; /* calls */
	struct peer_id refused;                            /* the last one */
	enum err why_down;
	bool is_closed;
	bool refuses_all;                                        /* is_allowed() says no */
	void (*on_best)(struct kit_swarm *k, struct conn *best); /* the test's own; may be NULL */
	void *user;
};

struct kit_node {
	struct node *node;
	struct identity *identity;
	struct config *config;
	struct sock *tun;                      /* of the first shard */
	struct sock *more[KIT_SHARDS_MAX - 1]; /* of the others */
	size_t n_shards;
	bool is_closed;
};

struct world {
	struct sim *sim;
	uint64_t seed;
	size_t n_hosts;
	struct sim_host *hosts[KIT_HOSTS_MAX];
	bool is_hidden[KIT_HOSTS_MAX];  /* its node does not listen, as if behind a NAT */
	size_t n_shards[KIT_HOSTS_MAX]; /* of its node, all on the host's loop; 0: one */
	struct kit_swarm swarms[KIT_HOSTS_MAX];
	struct kit_node nodes[KIT_HOSTS_MAX];
};

struct world *world_new(uint64_t seed, size_t n_hosts);
/* Close and free all, and check that nothing is left: sockets, timers, queries. */
void world_end(struct world *w);

struct loop *world_loop(const struct world *w, size_t host);
void world_run(struct world *w, nsec_t duration);
/* Fails the test, with the seed, if done() is not true within `within`. */
#define world_until(w, done, ctx, within) \
	world_until_at((w), (done), (ctx), (within), #done, __FILE__, __LINE__)
void world_until_at(struct world *w, bool (*done)(void *ctx), void *ctx, nsec_t within,
		    const char *what, const char *file, int line);
/* true: done() became true in time. */
bool world_becomes(struct world *w, bool (*done)(void *ctx), void *ctx, nsec_t within);
void world_path(struct world *w, size_t a, size_t b, struct sim_path path);
void world_cut(struct world *w, size_t a, size_t b, bool cut);
void world_move(struct world *w, size_t host, const char *ip);

/* Names and numbers of host i. */
struct peer_id kit_peer_id(size_t host);
struct identity *kit_identity(size_t host);
struct multiaddr kit_addr(const char *text);
struct multiaddr kit_host_addr(size_t host);
union netaddr kit_netaddr(const char *ip, uint16_t port);

/* --- swarms --- */

/* Make the swarm of a host and listen. protocols: lent, may be NULL. */
struct kit_swarm *world_swarm(struct world *w, size_t host, const struct protocol *protocols,
			      size_t n_protocols);
/* Let `host` want `peer` at its usual address. */
void world_want(struct world *w, size_t host, size_t peer);
void world_want_at(struct world *w, size_t host, size_t peer, const char *const *addrs, size_t n);
struct conn *world_best(const struct world *w, size_t host, size_t peer);
/* Close the swarm, wait, free it: the host can have another. */
void world_swarm_end(struct world *w, size_t host);
/* Two hosts with a swarm each; 0 dialled 1. */
struct world *world_connected(uint64_t seed, const struct protocol *protocols, size_t n_protocols);

/* --- nodes --- */

/*
 * A node with the VPN addresses 10.7.0.(i+1)/24 and fd07::(i+1)/64. peers: for each one its host,
 * whether its address is known, and `extra`: further lines of YAML, may be NULL.
 */
struct kit_peer {
	size_t host;
	bool is_dialled;
	const char *allowed_ips; /* NULL: its own addresses */
	const char *protocol;    /* NULL: auto */
};
struct kit_node *world_node(struct world *w, size_t host, const struct kit_peer *peers,
			    size_t n_peers, const char *extra);
void world_node_end(struct world *w, size_t host);
/* Every node of hosts 0..n knows all others; those with lower numbers are dialled. */
void world_mesh(struct world *w, size_t n);
bool kit_node_has_stream(const struct kit_node *k, size_t peer_index);

/* A UDP packet from the VPN address of one host to that of another, or to any; `number` is its
 * payload, `len` its length in all. Returns len. */
size_t kit_packet(uint8_t *buf, size_t from, size_t to, uint32_t number, size_t len);
/* Send it into the node's TUN. */
void world_send(struct world *w, size_t from, size_t to, uint32_t number, size_t len);
/* The same, into the TUN queue of a shard. */
void world_send_on(struct world *w, size_t from, size_t shard, struct span packet);
/* The next packet that the node wrote to a queue of its TUN; false: none. */
bool world_receive_on(struct world *w, size_t host, size_t shard, uint8_t *buf, size_t cap,
		      size_t *ret_len);
/* The next packet that the node wrote to its TUN; false: none. */
bool world_receive(struct world *w, size_t host, uint8_t *buf, size_t cap, size_t *ret_len);
/* The payload of a packet of kit_packet(). */
uint32_t kit_packet_number(const uint8_t *packet, size_t len);
uint64_t kit_drops(const struct kit_node *k, enum drop reason);
uint64_t kit_counter(const struct kit_node *k, enum counter counter);

/* How many seeds a scenario runs: RUNNEL_SIM_SEEDS, or `usual`. */
uint64_t kit_seeds(uint64_t usual);
