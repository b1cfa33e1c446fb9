/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loop_sim.h - a whole network in one process, in virtual time
 *
 * A struct sim is a world: a clock, a queue of events, one random generator with a seed, hosts and
 * the paths between them. Each host has a struct loop. Nothing real is touched: equal seeds give
 * equal traces, byte for byte, which sim_trace_hash() sums up.
 *
 * TCP is simulated as an ordered pipe with a bounded send buffer: bytes arrive after the path's
 * delay at the path's rate. While a path is cut nothing arrives, in either direction; what was sent
 * waits and is delivered after the path returns, as retransmission would, with the kernel's
 * exponential timing (0.2, 0.4, 0.8 ... s), and a connection whose data stays unacknowledged for
 * its user_timeout_ms breaks with ERR_TIMEOUT (also where the other end lives but does not read, as
 * on Linux). SYNs to a cut path, or to no host's address, are retried after 1, 2, 4 ... s and fail
 * with ERR_TIMEOUT after 127 s; to an address with no listener they are refused.
 *
 * The clock starts at 1 s. A host that never comes to rest at one instant (a socket that stays
 * ready, a task that puts itself off) ends the process with a message, as does a lack of memory.
 */
#pragma once

#include "loop/loop.h"

struct sim;
struct sim_host;

/* A world without hosts; two with the same seed run alike. ERR_NO_MEMORY. */
MUST_USE enum err sim_new(uint64_t seed, struct sim **ret_sim);
/* All nodes on its loops must have closed their sockets, and all mail must have run. Takes NULL;
 * returns NULL. */
struct sim *sim_free(struct sim *sim);

/* A host with a name (for the trace) and an address; both are copied. Its loop lives as long as the
 * sim. */
MUST_USE enum err sim_host_new(struct sim *sim, const char *name, const char *ip,
			       struct sim_host **ret_host);
struct loop *sim_host_loop(struct sim_host *host);
/* The host's address becomes `ip`: its connections stay as they are and get no more bytes (as after
 * roaming). */
MUST_USE enum err sim_host_move(struct sim_host *host, const char *ip);

struct sim_path {
	nsec_t delay;                /* one way */
	nsec_t jitter;               /* up to this much more, order kept within a connection */
	uint64_t rate_bytes_per_sec; /* 0: unlimited */
	uint32_t break_per_million; /* chance for each chunk that its connection is reset instead */
	bool cut;                   /* nothing passes */
};

/* Between two hosts, both ways; the default is 1 ms and nothing else. Changes apply from now on. */
void sim_set_path(struct sim *sim, struct sim_host *a, struct sim_host *b, struct sim_path path);

/* Nothing passes any more on one of the open TCP connections between two hosts, as if a flow's
 * state was lost on the way: the `nth`, from 0 in the order in which they were dialled. false:
 * there are not so many. */
bool sim_cut_conn(struct sim *sim, const struct sim_host *a, const struct sim_host *b, size_t nth);

/* A TUN of a host: a socket whose reads are packets that the test sent and whose writes the test
 * receives. */
MUST_USE enum err sim_tun_new(struct sim_host *host, struct sock **ret_tun);
/* A packet "from the kernel" into the node's TUN; copied. ERR_FULL above 1,000 waiting ones. */
MUST_USE enum err sim_tun_send(struct sock *tun, struct span packet);
/* The oldest packet that the node wrote, copied to buf: ERR_EMPTY if there is none, ERR_TOO_LONG if
 * cap is too small. */
MUST_USE enum err sim_tun_receive(struct sock *tun, void *buf, size_t cap, size_t *ret_len);

/* Names for loop_resolve(). */
MUST_USE enum err sim_add_name(struct sim *sim, const char *name, const char *ip);

nsec_t sim_now(const struct sim *sim);
/* Run until the clock shows `until`. */
void sim_run_until(struct sim *sim, nsec_t until);
/* Run until done(ctx) or the clock shows `until`; returns done(ctx). */
bool sim_run_while_not(struct sim *sim, bool (*done)(void *ctx), void *ctx, nsec_t until);

/* A hash of all events so far: who did what when. */
uint64_t sim_trace_hash(const struct sim *sim);
/* Each event as a line to `fn`, for people. */
void sim_set_trace(struct sim *sim, void (*fn)(void *ctx, const char *line), void *ctx);
/* How many sockets, timers and queries are alive on all hosts: 0 after all nodes are closed. */
size_t sim_count_live(const struct sim *sim);
