/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* uv_internal.h - what the files of loop_uv share; no one else's business */
#pragma once

#include <stdatomic.h>

#include <uv.h>

#include "loop/loop.h"

/* Owned by the thread that runs it, but for `stop_asked`, `wake` and `runner`. */
struct loop_uv {
	struct loop base;
	uv_loop_t uv;
	uv_prepare_t prepare; /* before waiting: how long may it wait? */
	uv_check_t check;     /* after the sockets: mail, timers, tasks */
	uv_idle_t idle;       /* active while there is work that must not wait */
	uv_async_t wake;
	uv_poll_t alarm; /* on alarm_fd */
	int alarm_fd;    /* timerfd on CLOCK_BOOTTIME */
	nsec_t alarm_at; /* what it is set to; NSEC_NEVER: to nothing */
	nsec_t now;      /* of this turn, where now_is_known */
	bool now_is_known;
	atomic_bool stop_asked;
	_Atomic(const void *) runner; /* a mark of the thread that is in loop_run(); or NULL */
	size_t n_socks;               /* that their owners have not closed */
	size_t n_queries;             /* that were neither answered nor cancelled */
};

/* libuv's negative codes are errno values, but for those of getaddrinfo. */
static inline enum err err_from_uv(int code)
{
	return err_from_errno(-code);
}

/* uv_sock.c */
enum err uv_tcp_dial(struct loop *loop, const union netaddr *to, const struct tcp_opts *opts,
		     struct sock **ret_sock);
enum err uv_tcp_listen(struct loop *loop, const union netaddr *at, struct sock **ret_sock);
enum err uv_tcp_accept(struct sock *listener, const struct tcp_opts *opts, struct sock **ret_sock,
		       union netaddr *ret_remote);
enum err uv_adopt_fd(struct loop *loop, int fd, struct sock **ret_sock);
void uv_sock_watch(struct sock *sock, unsigned want, sock_ready_fn *fn, void *ctx);
enum err uv_sock_read(struct sock *sock, void *buf, size_t cap, size_t *ret_n);
enum err uv_sock_writev(struct sock *sock, const struct iovec *iov, int n_iov, size_t *ret_n);
enum err uv_sock_error(struct sock *sock);
enum err uv_sock_local(struct sock *sock, union netaddr *ret);
enum err uv_sock_tcp_stats(struct sock *sock, struct tcp_stats *ret);
void uv_sock_close(struct sock *sock, bool abort);
void uv_sock_detach(struct sock *sock, struct sock_baton *ret_baton);
enum err uv_sock_attach(struct loop *loop, struct sock_baton *baton, struct sock **ret_sock);
void uv_sock_baton_close(struct sock_baton *baton, bool abort);

/* uv_resolve.c */
enum err uv_resolve(struct loop *loop, const char *name, int family, resolve_fn *fn, void *ctx,
		    struct resolve **ret_query);
void uv_resolve_cancel(struct resolve *query);
