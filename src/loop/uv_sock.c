/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * uv_sock.c - sockets and other descriptors of loop_uv
 *
 * Each has a uv_poll handle. libuv lets a descriptor be closed as soon as its handle is stopped, so
 * sock_close() stops, closes the descriptor and starts closing the handle at once; the struct
 * itself lives until libuv's close callback, because libuv still walks it. `is_closed` keeps the
 * turn that closed it from touching it again.
 *
 * libuv stops a handle on which the kernel reports an error and says UV_EBADF. Here that is
 * readiness like any other: the owner reads or writes and gets the real error from the kernel. If
 * it still watches afterwards, watching starts anew, since readiness is level-triggered.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/util.h"
#include "loop/tcp_info.h"
#include "loop/uv_internal.h"

enum kind {
	KIND_OTHER_FD,     /* read() and writev() */
	KIND_OTHER_SOCKET, /* recv() and sendmsg() */
	KIND_TCP_DIALLED,
	KIND_TCP_ACCEPTED,
	KIND_TCP_LISTENER,
};

struct uv_sock {
	struct sock base;
	uv_poll_t poll;
	int fd;
	enum kind kind;
	int dial_errno;  /* connect() failed at once in a way that is told later */
	unsigned want;   /* what its owner watches for */
	unsigned polled; /* what libuv was told of that */
	bool is_closed;
	sock_ready_fn *fn;
	void *ctx;
};

static struct uv_sock *uv_of(struct sock *sock)
{
	return CONTAINER_OF(sock, struct uv_sock, base);
}

static struct loop_uv *loop_of(struct uv_sock *s)
{
	return CONTAINER_OF(s->base.loop, struct loop_uv, base);
}

/* --- watching ------------------------------------------------------------------------ */

static void on_ready(uv_poll_t *poll, int status, int events);

static void poll_for(struct uv_sock *s, unsigned want)
{
	if (want == s->polled)
		return;
	int events = ((want & SOCK_READABLE) != 0 ? UV_READABLE : 0) |
		     ((want & SOCK_WRITABLE) != 0 ? UV_WRITABLE : 0);
	int rc = uv_poll_start(&s->poll, events, on_ready); /* 0 events: stops */
	assert(rc == 0); /* it fails only if two handles have one descriptor */
	(void)rc;
	s->polled = want;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct uv_sock *s = poll->data;
	unsigned ready = 0;
	if (status < 0) {
		s->polled = 0; /* libuv stopped it */
		ready = s->want;
	} else {
		ready |= (events & UV_READABLE) != 0 ? SOCK_READABLE : 0u;
		ready |= (events & UV_WRITABLE) != 0 ? SOCK_WRITABLE : 0u;
		ready &= s->want;
	}
	if (ready != 0)
		s->fn(s->ctx, ready);
	if (!s->is_closed)
		poll_for(s, s->want);
}

void uv_sock_watch(struct sock *sock, unsigned want, sock_ready_fn *fn, void *ctx)
{
	struct uv_sock *s = uv_of(sock);
	assert(!s->is_closed && (want == 0 || fn != NULL));
	s->want = want & (SOCK_READABLE | SOCK_WRITABLE);
	s->fn = fn;
	s->ctx = ctx;
	poll_for(s, s->want);
}

/* --- life ---------------------------------------------------------------------------- */

/* Takes fd on success. */
static enum err sock_new(struct loop *loop, int fd, enum kind kind, struct uv_sock **ret_sock)
{
	struct loop_uv *l = CONTAINER_OF(loop, struct loop_uv, base);
	struct uv_sock *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return ERR_NO_MEMORY;
	s->base.loop = loop;
	s->fd = fd;
	s->kind = kind;
	int rc = uv_poll_init(&l->uv, &s->poll, fd);
	if (rc != 0) {
		free(s);
		return err_from_uv(rc);
	}
	s->poll.data = s;
	l->n_socks++;
	*ret_sock = s;
	return ERR_OK;
}

static void free_sock(uv_handle_t *poll)
{
	free(poll->data);
}

static bool is_stream_kind(enum kind kind)
{
	return kind == KIND_TCP_DIALLED || kind == KIND_TCP_ACCEPTED;
}

static bool is_stream(const struct uv_sock *s)
{
	return is_stream_kind(s->kind);
}

static void close_fd(int fd, enum kind kind, bool abort)
{
	if (is_stream_kind(kind) && abort) {
		struct linger now = {.l_onoff = 1, .l_linger = 0};
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	} else if (is_stream_kind(kind)) {
		/* Linux resets a connection that is closed with unread bytes, and what was written
		 * last is lost. So discard those that are here (MSG_TRUNC copies nothing). */
		ssize_t n = recv(fd, NULL, INT_MAX, MSG_TRUNC | MSG_DONTWAIT);
		(void)n;
	}
	close(fd);
}

/* libuv forgets the descriptor at once, and the struct when it gets to it. */
static void leave_loop(struct uv_sock *s)
{
	assert(!s->is_closed);
	s->is_closed = true;
	loop_of(s)->n_socks--;
	uv_close((uv_handle_t *)&s->poll, free_sock); /* stops it, too */
}

void uv_sock_close(struct sock *sock, bool abort)
{
	struct uv_sock *s = uv_of(sock);
	leave_loop(s);
	close_fd(s->fd, s->kind, abort);
}

void uv_sock_detach(struct sock *sock, struct sock_baton *ret_baton)
{
	struct uv_sock *s = uv_of(sock);
	assert(s->dial_errno == 0);
	*ret_baton =
		(struct sock_baton){.ops = s->base.loop->ops, .fd = s->fd, .kind = (int)s->kind};
	leave_loop(s);
}

enum err uv_sock_attach(struct loop *loop, struct sock_baton *baton, struct sock **ret_sock)
{
	assert(baton->ops == loop->ops);
	struct uv_sock *s = NULL;
	enum err err = sock_new(loop, baton->fd, (enum kind)baton->kind, &s);
	if (err != ERR_OK)
		return err;
	*baton = (struct sock_baton){.ops = NULL};
	*ret_sock = &s->base;
	return ERR_OK;
}

void uv_sock_baton_close(struct sock_baton *baton, bool abort)
{
	close_fd(baton->fd, (enum kind)baton->kind, abort);
	*baton = (struct sock_baton){.ops = NULL};
}

enum err uv_adopt_fd(struct loop *loop, int fd, struct sock **ret_sock)
{
	int type;
	socklen_t len = sizeof(type);
	bool is_socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
	struct uv_sock *s = NULL;
	enum err err = sock_new(loop, fd, is_socket ? KIND_OTHER_SOCKET : KIND_OTHER_FD, &s);
	if (err == ERR_OK)
		*ret_sock = &s->base;
	return err;
}

/* --- TCP ----------------------------------------------------------------------------- */

static socklen_t length_of(const union netaddr *addr)
{
	return addr->sa.sa_family == AF_INET6 ? sizeof(addr->in6) : sizeof(addr->in4);
}

static bool set(int fd, int level, int option, uint32_t value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* Also for accepted sockets, which inherit only some of it from their listener. An option that the
 * kernel refuses is an error: a node that runs without what it was told to use misleads. */
static enum err set_stream_options(int fd, const struct tcp_opts *opts)
{
	bool ok = set(fd, IPPROTO_TCP, TCP_NODELAY, 1) && set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (opts != NULL) {
		if (opts->notsent_lowat_bytes != 0)
			ok = ok &&
			     set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, opts->notsent_lowat_bytes);
		if (opts->user_timeout_ms != 0)
			ok = ok && set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, opts->user_timeout_ms);
		if (opts->send_buffer_bytes != 0)
			ok = ok && set(fd, SOL_SOCKET, SO_SNDBUF, opts->send_buffer_bytes);
		size_t len = strnlen(opts->congestion, sizeof(opts->congestion));
		if (len > 0)
			ok = ok && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, opts->congestion,
					      (socklen_t)len) == 0;
	}
	return ok ? ERR_OK : ERR_UNSUPPORTED;
}

/* What connect() says at once. A firewall's or a route's refusal (EPERM, EACCES, EINVAL) is as
 * good as no route. ERR_AGAIN: under way. */
static enum err dial_error(int errnum)
{
	switch (errnum) {
	case EPERM:
	case EACCES:
	case EINVAL:
		return ERR_UNREACHABLE;
	default:
		return err_from_errno(errnum);
	}
}

enum err uv_tcp_dial(struct loop *loop, const union netaddr *to, const struct tcp_opts *opts,
		     struct sock **ret_sock)
{
	if (to->sa.sa_family != AF_INET && to->sa.sa_family != AF_INET6)
		return ERR_UNSUPPORTED;
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return err_from_errno(errno);
	int dial_errno = 0;
	enum err err = set_stream_options(fd, opts);
	if (err == ERR_OK && connect(fd, &to->sa, length_of(to)) != 0) {
		err = dial_error(errno);
		/* These are the answer of the other end, which sock_error() tells. */
		if (err == ERR_REFUSED || err == ERR_RESET || err == ERR_TIMEOUT)
			dial_errno = errno;
		if (err == ERR_AGAIN || dial_errno != 0)
			err = ERR_OK;
	}
	struct uv_sock *s = NULL;
	if (err == ERR_OK)
		err = sock_new(loop, fd, KIND_TCP_DIALLED, &s);
	if (err != ERR_OK) {
		close(fd);
		return err;
	}
	assert(s != NULL);
	s->dial_errno = dial_errno;
	*ret_sock = &s->base;
	return ERR_OK;
}

enum err uv_tcp_listen(struct loop *loop, const union netaddr *at, struct sock **ret_sock)
{
	if (at->sa.sa_family != AF_INET && at->sa.sa_family != AF_INET6)
		return ERR_UNSUPPORTED;
	int fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return err_from_errno(errno);
	enum err err = ERR_OK;
	if (!set(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
	    (at->sa.sa_family == AF_INET6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) ||
	    bind(fd, &at->sa, length_of(at)) != 0 || listen(fd, LISTEN_BACKLOG) != 0)
		err = err_from_errno(errno);
	struct uv_sock *s = NULL;
	if (err == ERR_OK)
		err = sock_new(loop, fd, KIND_TCP_LISTENER, &s);
	if (err != ERR_OK) {
		close(fd);
		return err;
	}
	*ret_sock = &s->base;
	return ERR_OK;
}

/* Connections that died while they waited: accept() tells their errors, which are not the
 * listener's. */
static bool is_of_connection(int errnum)
{
	switch (errnum) {
	case ECONNABORTED:
	case EINTR:
	case EPROTO:
	case EPERM:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
		return true;
	default:
		return false;
	}
}

enum err uv_tcp_accept(struct sock *listener, const struct tcp_opts *opts, struct sock **ret_sock,
		       union netaddr *ret_remote)
{
	struct uv_sock *l = uv_of(listener), *s;
	union netaddr remote;
	int fd, tries = 0;
	do {
		socklen_t len = sizeof(remote);
		fd = accept4(l->fd, &remote.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && is_of_connection(errno) && ++tries < LISTEN_BACKLOG);
	if (fd < 0)
		return is_of_connection(errno) ? ERR_AGAIN : err_from_errno(errno);
	enum err err = set_stream_options(fd, opts);
	if (err == ERR_OK)
		err = sock_new(listener->loop, fd, KIND_TCP_ACCEPTED, &s);
	if (err != ERR_OK) {
		close(fd);
		return err;
	}
	*ret_sock = &s->base;
	*ret_remote = remote;
	return ERR_OK;
}

/* --- bytes --------------------------------------------------------------------------- */

enum err uv_sock_read(struct sock *sock, void *buf, size_t cap, size_t *ret_n)
{
	struct uv_sock *s = uv_of(sock);
	assert(!s->is_closed && cap > 0);
	ssize_t n;
	do {
		n = s->kind == KIND_OTHER_FD ? read(s->fd, buf, cap) : recv(s->fd, buf, cap, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_from_errno(errno);
	if (n == 0)
		return ERR_EOF;
	*ret_n = (size_t)n;
	return ERR_OK;
}

enum err uv_sock_writev(struct sock *sock, const struct iovec *iov, int n_iov, size_t *ret_n)
{
	struct uv_sock *s = uv_of(sock);
	assert(!s->is_closed && n_iov > 0);
	if (is_stream(s) && n_iov > IOV_MAX)
		n_iov = IOV_MAX; /* a partial write */
	/* sendmsg() writes nothing to it; the member is not const because recvmsg() shares it. */
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
			     .msg_iovlen = (size_t)n_iov};
	ssize_t n;
	do {
		n = s->kind == KIND_OTHER_FD ? writev(s->fd, iov, n_iov)
					     : sendmsg(s->fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_from_errno(errno);
	*ret_n = (size_t)n;
	return ERR_OK;
}

enum err uv_sock_error(struct sock *sock)
{
	struct uv_sock *s = uv_of(sock);
	if (s->dial_errno != 0)
		return err_from_errno(s->dial_errno);
	int errnum = 0;
	socklen_t len = sizeof(errnum);
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) != 0)
		return err_from_errno(errno);
	return err_from_errno(errnum);
}

enum err uv_sock_local(struct sock *sock, union netaddr *ret)
{
	union netaddr local;
	socklen_t len = sizeof(local);
	if (getsockname(uv_of(sock)->fd, &local.sa, &len) != 0)
		return err_from_errno(errno);
	if (local.sa.sa_family != AF_INET && local.sa.sa_family != AF_INET6)
		return ERR_UNSUPPORTED;
	*ret = local;
	return ERR_OK;
}

enum err uv_sock_tcp_stats(struct sock *sock, struct tcp_stats *ret)
{
	struct uv_sock *s = uv_of(sock);
	return is_stream(s) ? tcp_info_read(s->fd, s->kind == KIND_TCP_DIALLED, ret)
			    : ERR_UNSUPPORTED;
}
