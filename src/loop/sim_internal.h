/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_internal.h - what the files of loop_sim share; no one else's business
 *
 * The world's events are timers of a struct loop that belongs to no host: the heap of loop_timer.c
 * keeps them in order. All memory that the simulator needs for itself comes from sim_alloc(), which
 * ends the process where there is none.
 */
#pragma once

#include "loop/loop_sim.h"

enum {
	SIM_SEND_BUFFER = 256 * 1024,    /* bytes, where tcp_opts name none */
	SIM_RECEIVE_BUFFER = 256 * 1024, /* bytes; the most that the other end may be ahead */
	SIM_MSS = 1448,                  /* bytes; what tcp_stats count as a segment */
	SIM_CHUNK_MAX = 64 * 1024,       /* bytes of one event, as the kernel's GSO */
	SIM_BACKLOG = 256,               /* connections that wait for accept() */
	SIM_TUN_RX_MAX = 1000,           /* packets from the test that the node has not read */
	SIM_TUN_TX_MAX = 64 * 1024,      /* packets of the node that the test has not taken */
	SIM_TURNS_PER_INSTANT = 1000000, /* turns of a host at one time: more is a livelock */
	SIM_RESOLVED_MAX = 16,           /* addresses of one name */
};

#define SIM_START         NSEC_PER_SEC /* clock at the start: 0 is a time that never is */
#define SIM_WALL_START    (1767225600 * NSEC_PER_SEC) /* 2026-01-01 */
#define SIM_DEFAULT_DELAY NSEC_PER_MSEC
#define SIM_RESOLVE_DELAY NSEC_PER_MSEC

struct sim_name;
struct sim_conn;
struct sim_sock;

struct sim {
	struct loop events;
	nsec_t now;
	uint64_t seed, rng;
	uint64_t hash;
	struct sim_host *hosts, **last_host;
	struct sim_host *runnable, **last_runnable; /* hosts that will have a turn now */
	struct sim_name *names;
	struct sim_conn *conns;
	uint64_t n_hosts, n_conns;
	void (*trace)(void *ctx, const char *line);
	void *trace_ctx;
};

/* Both directions of a path; the two hosts share it. */
struct sim_link {
	struct sim_path path;
	nsec_t free_at[2]; /* when the last byte is out; [0]: from the host with the lower id */
};

struct sim_host {
	struct loop base;
	struct sim *sim;
	struct sim_host *next;
	char *name;
	uint64_t id;
	union netaddr ip; /* port 0 */
	uint64_t rng;
	struct loop_timer alarm; /* of the world: its earliest timer is due */
	struct sim_host *next_runnable;
	bool is_runnable;
	uint64_t turn; /* number of this one */
	uint64_t n_turns_now;
	nsec_t turned_at;
	struct sim_sock *ready; /* ring: those that are watched and ready */
	struct sim_sock *listeners;
	uint16_t last_port;
	size_t n_socks, n_queries;
	struct sim_link **links; /* to host i; NULL: none was asked for */
	size_t n_links;
};

/* What kinds of sockets differ in. */
struct sim_sock_ops {
	unsigned (*ready)(struct sim_sock *sock);
	enum err (*read)(struct sim_sock *sock, void *buf, size_t cap, size_t *ret_n);
	enum err (*writev)(struct sim_sock *sock, const struct iovec *iov, int n_iov,
			   size_t *ret_n);
	enum err (*error)(struct sim_sock *sock);
	enum err (*local)(struct sim_sock *sock, union netaddr *ret);
	enum err (*tcp_stats)(struct sim_sock *sock, struct tcp_stats *ret);
	void (*close)(struct sim_sock *sock, bool abort); /* frees it */
};

struct sim_sock {
	struct sock base;
	const struct sim_sock_ops *ops;
	struct sim_host *host;
	unsigned want;
	sock_ready_fn *fn;
	void *ctx;
	uint64_t called_in;           /* number of the turn */
	struct sim_sock *next, *prev; /* in host->ready; NULL: not there */
	struct sim_sock *next_listener;
};

/* sim_world.c */
void *sim_alloc(size_t size); /* zeroed */
uint64_t sim_random(uint64_t *state);
/* Every bit of x changes about half of the result's. */
uint64_t sim_mix(uint64_t x);
void sim_note(struct sim_host *host, const char *what, uint64_t a, uint64_t b);
void sim_hash_bytes(struct sim *sim, const void *p, size_t len);
void sim_make_runnable(struct sim_host *host);

/* sim_host.c */
void sim_host_free(struct sim_host *host);
struct sim_link *sim_link_between(struct sim_host *a, struct sim_host *b);
bool sim_addr_parse(const char *ip, union netaddr *ret);
/* Without the port. */
bool sim_addr_equal(const union netaddr *a, const union netaddr *b);
bool sim_addr_is_loopback(const union netaddr *a);
bool sim_host_has(const struct sim_host *host, const union netaddr *ip);
/* Whose address is it, seen from `from`? NULL: no one's. */
struct sim_host *sim_find_host(struct sim_host *from, const union netaddr *ip);

/* sim_sock.c */
static inline struct sim_host *sim_host_of(struct loop *loop)
{
	return (struct sim_host *)(void *)loop; /* its first member */
}
void sim_sock_init(struct sim_sock *sock, struct sim_host *host, const struct sim_sock_ops *ops);
void sim_sock_deinit(struct sim_sock *sock);
/* Its readiness may have changed. */
void sim_sock_update(struct sim_sock *sock);
void sim_watch(struct sock *sock, unsigned want, sock_ready_fn *fn, void *ctx);
enum err sim_read(struct sock *sock, void *buf, size_t cap, size_t *ret_n);
enum err sim_writev(struct sock *sock, const struct iovec *iov, int n_iov, size_t *ret_n);
enum err sim_error(struct sock *sock);
enum err sim_local(struct sock *sock, union netaddr *ret);
enum err sim_tcp_stats(struct sock *sock, struct tcp_stats *ret);
void sim_close(struct sock *sock, bool abort);
void sim_detach(struct sock *sock, struct sock_baton *ret_baton);
enum err sim_attach(struct loop *loop, struct sock_baton *baton, struct sock **ret_sock);
void sim_baton_close(struct sock_baton *baton, bool abort);

/* sim_listen.c */
struct sim_end;
enum err sim_listen(struct loop *loop, const union netaddr *at, struct sock **ret_sock);
enum err sim_accept(struct sock *listener, const struct tcp_opts *opts, struct sock **ret_sock,
		    union netaddr *ret_remote);
/* The listener for connections to `at`; NULL if there is none. */
struct sim_sock *sim_find_listener(struct sim_host *host, const union netaddr *at);
bool sim_listener_is_full(struct sim_sock *listener);
void sim_listener_add(struct sim_sock *listener, struct sim_end *end);
uint16_t sim_next_port(struct sim_host *host);

/* sim_conn.c */
enum err sim_dial(struct loop *loop, const union netaddr *to, const struct tcp_opts *opts,
		  struct sock **ret_sock);
void sim_conn_free_all(struct sim *sim);

/* sim_name.c */
enum err sim_resolve(struct loop *loop, const char *name, int family, resolve_fn *fn, void *ctx,
		     struct resolve **ret_query);
void sim_resolve_cancel(struct resolve *query);
void sim_names_free(struct sim *sim);
