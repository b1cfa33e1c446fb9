/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loop.h - the one door to time, timers, sockets, TUN and randomness
 *
 * A loop belongs to one thread: a shard. All above this folder reach the world through struct
 * loop, never through a system call of their own, so the same code runs on the kernel (loop_uv)
 * and on a virtual network in virtual time (loop_sim), where a run is a function of its seed.
 *
 * Readiness, not completion: a socket says that it can be read or written, its owner then reads or
 * writes until ERR_AGAIN. That lets the owner bring its own buffers and batch as it likes.
 *
 * Order within one turn of the loop: ready sockets, mail (of one sender in the order in which it
 * posted), due timers (by deadline, then by the order in which they were set), then tasks, once
 * each, in the order in which they were put off. Tasks are where a turn's work is flushed: ten
 * packets read in one turn leave in one write.
 *
 * Lives: timers and tasks are members of their owners' structs and stop at once, synchronously.
 * A struct sock is the loop's; after sock_close() returns its pointer is dead and no callback of it
 * runs. All functions are for the loop's own thread, except loop_stop(), loop_post() and
 * loop_is_here().
 *
 * A socket may move to another loop, and so to another thread: sock_detach() takes it off its loop
 * and leaves a struct sock_baton, which belongs to no loop and may be passed on; sock_attach() on
 * the other loop's thread makes it a socket again. Nothing is lost or doubled meanwhile: what
 * arrives waits in the kernel.
 */
#pragma once

#include <assert.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/span.h"
#include "base/time.h"

struct loop;
struct sock;

/* An IP address and port; AF_INET or AF_INET6 (sa.sa_family), port in network order as the kernel
 * has it. */
union netaddr {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

/* --- timers: see loop_timer.c -------------------------------------------------------- */

struct loop_timer {
	void (*fire)(struct loop_timer *timer,
		     nsec_t now);                  /* set once by its owner, with loop_timer_init */
	nsec_t at;                                 /* deadline; NSEC_NEVER while not set */
	uint64_t seq;                              /* order among equal deadlines */
	struct loop_timer *child, *sibling, *prev; /* pairing heap; the loop's */
	struct loop *loop;
};

void loop_timer_init(struct loop_timer *timer, struct loop *loop,
		     void (*fire)(struct loop_timer *timer, nsec_t now));

/* Fire once, at or after `at`; replaces an earlier deadline. NSEC_NEVER stops it. Never fails. */
void loop_timer_set(struct loop_timer *timer, nsec_t at);
void loop_timer_stop(struct loop_timer *timer);

static inline bool loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->at != NSEC_NEVER;
}

/* --- tasks: work put off to the end of this turn ------------------------------------- */

struct loop_task {
	void (*run)(struct loop_task *task);
	struct loop_task *next, *prev; /* the loop's */
	struct loop *loop;             /* not NULL while it waits */
};

/* Run `task` once, at the end of this turn; asking twice is asking once. A task put off by a
 * running task waits for the next turn, which then comes without waiting for events. */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop_task *task);

/* --- mail: the only way between threads; see loop_mail.c ----------------------------- */

/*
 * A member of its sender's struct, which belongs to the loop from loop_post() until run() is
 * called. run() may free it or post it again. Zero but for `run` at first.
 */
struct loop_mail {
	void (*run)(struct loop_mail *mail);
	struct loop_mail *next; /* the loop's */
	atomic_bool is_posted;  /* see loop_mail_is_posted() */
};

/*
 * Any thread, also the loop's own: run `mail` once, in the loop's thread, in a turn that comes
 * without waiting for events. Takes no lock and no memory and never fails. What the caller wrote
 * before is seen by run(). Mail that running mail posts waits for the next turn. Posting it again
 * before it runs is a mistake.
 *
 * A stop does not wait for mail: what was not run when loop_run() returned is kept for the next
 * loop_run(), or for loop_drain(). Who must know that its mail ran before the end posts one more,
 * whose run() calls loop_stop().
 */
void loop_post(struct loop *loop, struct loop_mail *mail);

/* Has its run() not begun yet? false: it may be posted again, but where the loop is another
 * thread's, run() may still be at work with what stands beside the mail. Any thread. */
static inline bool loop_mail_is_posted(const struct loop_mail *mail)
{
	return atomic_load_explicit(&mail->is_posted, memory_order_acquire);
}

/*
 * Run all mail, and the tasks, until there are none: between the last loop_run() and loop_free(),
 * after all threads that post to this loop were joined. Never from a callback of the loop.
 */
void loop_drain(struct loop *loop);

/* --- sockets ------------------------------------------------------------------------- */

enum sock_ready {
	SOCK_READABLE = 1, /* read (or accept) until ERR_AGAIN; also after a hang-up or an error */
	SOCK_WRITABLE = 2, /* write until ERR_AGAIN; for a dialled socket the first one says:
			      connected, or failed */
};

/* `ready` is a set of enum sock_ready. Level-triggered: called again while it holds. */
typedef void sock_ready_fn(void *ctx, unsigned ready);

struct tcp_opts {
	uint32_t notsent_lowat_bytes; /* TCP_NOTSENT_LOWAT; 0: the kernel's */
	uint32_t user_timeout_ms;     /* TCP_USER_TIMEOUT; 0: the kernel's */
	uint32_t send_buffer_bytes;   /* SO_SNDBUF; 0: the kernel's auto-tuning */
	char congestion[16];          /* TCP_CONGESTION; "": the kernel's */
};

struct tcp_stats {
	uint64_t acked_bytes;   /* that the other end's kernel has acknowledged */
	uint32_t unacked_segs;  /* sent and not acknowledged */
	uint32_t notsent_bytes; /* in the send buffer, not sent */
	nsec_t rtt;             /* smoothed */
};

/* A socket between two loops: plain data, to be attached or closed, once. All zero: none. Whoever
 * holds it owns the descriptor. */
struct sock_baton {
	const struct loop_ops *ops; /* the kind of loop that it came from; NULL: none */
	int fd;                     /* of loop_uv */
	int kind;                   /* of loop_uv */
	struct sock *sock;          /* of loop_sim */
};

typedef void resolve_fn(void *ctx, enum err result, const union netaddr *addrs, size_t n_addrs);
struct resolve; /* one running query */

struct loop_ops {
	/* Monotonic, the same for a whole turn; see base/time.h. */
	nsec_t (*now)(struct loop *loop);
	/* Wall clock, ns since 1970, for what people and other nodes read. Never for deadlines. */
	uint64_t (*wall_ns)(struct loop *loop);
	/* Fills buf with bytes fit for keys. Cannot fail: without randomness the process ends. */
	void (*random)(struct loop *loop, void *buf, size_t len);
	/* The earliest deadline of all timers is now `at`. From loop_timer.c only. */
	void (*arm)(struct loop *loop, nsec_t at);
	/* There is a task to run. From loop_timer.c only. */
	void (*have_task)(struct loop *loop);
	/* Any thread: there was no mail, and now there is. From loop_mail.c only. */
	void (*have_mail)(struct loop *loop);
	/* Any thread: see loop_is_here(). */
	bool (*is_here)(struct loop *loop);

	/*
	 * Begin a TCP connection. The socket becomes writable when connected or failed;
	 * sock_error() then tells. TCP_NODELAY is always on. Errors at once: ERR_UNREACHABLE,
	 * ERR_FDS, ERR_NO_MEMORY, ERR_NO_ADDRESS, ERR_UNSUPPORTED.
	 */
	enum err (*tcp_dial)(struct loop *loop, const union netaddr *to,
			     const struct tcp_opts *opts, struct sock **ret_sock);
	/* Listen, IPv6 sockets for IPv6 only. Port 0: any; sock_local() tells. ERR_ADDRESS_IN_USE,
	 * ERR_NO_ADDRESS, ERR_PERMISSION, ERR_FDS. */
	enum err (*tcp_listen)(struct loop *loop, const union netaddr *at, struct sock **ret_sock);
	/* ERR_AGAIN: none waits. ERR_FDS: stop watching for a while, or the loop spins. */
	enum err (*tcp_accept)(struct sock *listener, const struct tcp_opts *opts,
			       struct sock **ret_sock, union netaddr *ret_remote);
	/*
	 * Wrap a non-blocking descriptor of another kind (TUN, AF_UNIX, signalfd, netlink); takes
	 * fd, which sock_close() closes; fd stays the caller's on failure. A TUN reads and writes
	 * one packet a call. loop_sim: ERR_UNSUPPORTED.
	 */
	enum err (*adopt_fd)(struct loop *loop, int fd, struct sock **ret_sock);

	/* What to be called for: a set of enum sock_ready, 0 for nothing. Sockets start with
	 * nothing. */
	void (*sock_watch)(struct sock *sock, unsigned want, sock_ready_fn *fn, void *ctx);
	/* ERR_OK with 1..cap bytes; ERR_AGAIN; ERR_EOF: the peer closed its side; others: broken.
	 */
	enum err (*sock_read)(struct sock *sock, void *buf, size_t cap, size_t *ret_n);
	/* ERR_OK with *ret_n written, perhaps fewer than offered; ERR_AGAIN; others: broken. No
	 * SIGPIPE. */
	enum err (*sock_writev)(struct sock *sock, const struct iovec *iov, int n_iov,
				size_t *ret_n);
	/* The pending error of a dialled socket that became writable: ERR_OK is connected. */
	enum err (*sock_error)(struct sock *sock);
	enum err (*sock_local)(struct sock *sock, union netaddr *ret);
	enum err (*sock_tcp_stats)(struct sock *sock, struct tcp_stats *ret);
	/* Close now. Bytes that the kernel already took are still sent; `abort` drops them (RST).
	 */
	void (*sock_close)(struct sock *sock, bool abort);
	/* Take it off its loop without closing it; as after sock_close() its pointer is dead. Not
	 * for a dialled socket that has not been writable yet. */
	void (*sock_detach)(struct sock *sock, struct sock_baton *ret_baton);
	/* On another loop of the same kind (loop_sim: of the same host), or on the same one; it
	 * starts unwatched. Empties the baton; on failure it stays the caller's. ERR_NO_MEMORY,
	 * ERR_UNSUPPORTED. */
	enum err (*sock_attach)(struct loop *loop, struct sock_baton *baton,
				struct sock **ret_sock);
	/* As sock_close(). Any thread. */
	void (*sock_baton_close)(struct sock_baton *baton, bool abort);

	/*
	 * Addresses of a DNS name (family AF_INET, AF_INET6 or AF_UNSPEC), at most 16, port 0. `fn`
	 * is called exactly once, later, unless resolve_cancel() came before: ERR_DNS, ERR_TIMEOUT,
	 * or ERR_OK with addresses, which are lent for the call.
	 */
	enum err (*resolve)(struct loop *loop, const char *name, int family, resolve_fn *fn,
			    void *ctx, struct resolve **ret_query);
	void (*resolve_cancel)(struct resolve *query);

	/* Any thread, also a signal handler's: end loop_run() after this turn. */
	void (*stop)(struct loop *loop);
	/* Turn until stopped. loop_sim: not used, the simulator turns its loops (sim_run). */
	enum err (*run)(struct loop *loop);
	/* All sockets, timers, tasks, mail and queries must be gone, and no other thread may still
	 * be in one of the functions for any thread. Takes NULL; returns NULL. */
	struct loop *(*free)(struct loop *loop);
};

/* The part that all implementations share: first member of theirs. */
struct loop {
	const struct loop_ops *ops;
	struct loop_timer *timers; /* root of the pairing heap, the earliest deadline */
	uint64_t timer_seq;
	struct loop_task *tasks; /* head of a list: what runs at the end of this turn */
	bool is_turning;         /* loop_run(), or a turn of the simulator, is under way */
	_Atomic(struct loop_mail *) mails; /* posted and not taken, the last one first */
};

/* For implementations: loop_timer.c and loop_mail.c. */
void loop_init(struct loop *loop, const struct loop_ops *ops);
/* Fire all timers due at `now`, those set meanwhile for `now` or earlier wait for the next turn. */
void loop_run_timers(struct loop *loop, nsec_t now);
/* Run what loop_defer() collected before this call. */
void loop_run_tasks(struct loop *loop);
static inline bool loop_has_tasks(const struct loop *loop)
{
	return loop->tasks != NULL;
}
/* Run what was posted before this call. */
void loop_run_mail(struct loop *loop);
static inline bool loop_has_mail(const struct loop *loop)
{
	return atomic_load_explicit(&loop->mails, memory_order_relaxed) != NULL;
}

/* --- the calls, as their users write them -------------------------------------------- */

static inline nsec_t loop_now(struct loop *loop)
{
	return loop->ops->now(loop);
}

static inline uint64_t loop_wall_ns(struct loop *loop)
{
	return loop->ops->wall_ns(loop);
}

static inline void loop_random(struct loop *loop, void *buf, size_t len)
{
	loop->ops->random(loop, buf, len);
}

/* A random number in [0, below); below > 0. For jitter, not for keys. */
static inline uint64_t loop_random_below(struct loop *loop, uint64_t below)
{
	uint64_t r;
	loop_random(loop, &r, sizeof(r));
	return r % below;
}

/* Is this the thread that runs the loop? While none runs it: yes, for any; they must agree among
 * themselves. Any thread. */
static inline bool loop_is_here(struct loop *loop)
{
	return loop->ops->is_here(loop);
}

static inline void loop_assert_here(struct loop *loop)
{
	assert(loop_is_here(loop));
	(void)loop;
}

static inline void loop_stop(struct loop *loop)
{
	loop->ops->stop(loop);
}

static inline MUST_USE enum err loop_run(struct loop *loop)
{
	return loop->ops->run(loop);
}

static inline struct loop *loop_free(struct loop *loop)
{
	return loop == NULL ? NULL : loop->ops->free(loop);
}

static inline MUST_USE enum err loop_tcp_dial(struct loop *loop, const union netaddr *to,
					      const struct tcp_opts *opts, struct sock **ret_sock)
{
	return loop->ops->tcp_dial(loop, to, opts, ret_sock);
}

static inline MUST_USE enum err loop_tcp_listen(struct loop *loop, const union netaddr *at,
						struct sock **ret_sock)
{
	return loop->ops->tcp_listen(loop, at, ret_sock);
}

static inline MUST_USE enum err loop_adopt_fd(struct loop *loop, int fd, struct sock **ret_sock)
{
	return loop->ops->adopt_fd(loop, fd, ret_sock);
}

static inline MUST_USE enum err loop_resolve(struct loop *loop, const char *name, int family,
					     resolve_fn *fn, void *ctx, struct resolve **ret_query)
{
	return loop->ops->resolve(loop, name, family, fn, ctx, ret_query);
}

static inline void loop_resolve_cancel(struct loop *loop, struct resolve *query)
{
	loop->ops->resolve_cancel(query);
}

/* First member of every implementation's socket. */
struct sock {
	struct loop *loop;
};

static inline MUST_USE enum err sock_accept(struct sock *listener, const struct tcp_opts *opts,
					    struct sock **ret_sock, union netaddr *ret_remote)
{
	return listener->loop->ops->tcp_accept(listener, opts, ret_sock, ret_remote);
}

static inline void sock_watch(struct sock *sock, unsigned want, sock_ready_fn *fn, void *ctx)
{
	sock->loop->ops->sock_watch(sock, want, fn, ctx);
}

static inline MUST_USE enum err sock_read(struct sock *sock, void *buf, size_t cap, size_t *ret_n)
{
	return sock->loop->ops->sock_read(sock, buf, cap, ret_n);
}

static inline MUST_USE enum err sock_writev(struct sock *sock, const struct iovec *iov, int n_iov,
					    size_t *ret_n)
{
	return sock->loop->ops->sock_writev(sock, iov, n_iov, ret_n);
}

static inline MUST_USE enum err sock_error(struct sock *sock)
{
	return sock->loop->ops->sock_error(sock);
}

static inline MUST_USE enum err sock_local(struct sock *sock, union netaddr *ret)
{
	return sock->loop->ops->sock_local(sock, ret);
}

static inline MUST_USE enum err sock_tcp_stats(struct sock *sock, struct tcp_stats *ret)
{
	return sock->loop->ops->sock_tcp_stats(sock, ret);
}

/* Takes NULL; returns NULL. */
static inline struct sock *sock_close(struct sock *sock, bool abort)
{
	if (sock != NULL)
		sock->loop->ops->sock_close(sock, abort);
	return NULL;
}

static inline void sock_detach(struct sock *sock, struct sock_baton *ret_baton)
{
	sock->loop->ops->sock_detach(sock, ret_baton);
}

static inline MUST_USE enum err sock_attach(struct loop *loop, struct sock_baton *baton,
					    struct sock **ret_sock)
{
	return loop->ops->sock_attach(loop, baton, ret_sock);
}

/* Takes one that is empty, and leaves it so. */
static inline void sock_baton_close(struct sock_baton *baton, bool abort)
{
	if (baton->ops != NULL)
		baton->ops->sock_baton_close(baton, abort);
}
