/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* port.c - see port.h */
#include "lib/port.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READS_PER_TURN = 64, /* packets before others get their turn; as many as egress reads */
};

void port_init(struct port *p, void (*on_packet)(void *ctx, const void *packet, size_t len),
	       void *ctx)
{
	p->inner = p->outer = -1;
	p->sock = NULL;
	p->on_packet = on_packet;
	p->ctx = ctx;
}

enum err port_make(struct port *p)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
		return err_from_errno(errno);
	p->inner = fds[0];
	p->outer = fds[1];
	return ERR_OK;
}

void port_deinit(struct port *p)
{
	assert(p->sock == NULL);
	if (p->inner >= 0)
		close(p->inner);
	if (p->outer >= 0)
		close(p->outer);
	p->inner = p->outer = -1;
}

static void on_readable(void *ctx, unsigned ready)
{
	(void)ready;
	struct port *p = ctx;
	for (int i = 0; i < READS_PER_TURN; i++) {
		size_t len;
		if (sock_read(p->sock, p->buf, sizeof(p->buf), &len) != ERR_OK)
			return;
		if (p->on_packet != NULL)
			p->on_packet(p->ctx, p->buf, len);
	}
}

static enum err adopt_duplicate(struct loop *loop, int fd, struct sock **ret_sock)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return err_from_errno(errno);
	enum err e = loop_adopt_fd(loop, copy, ret_sock);
	if (e != ERR_OK)
		close(copy);
	return e;
}

enum err port_open(struct port *p, struct loop *loop, struct sock **ret_inner)
{
	struct sock *inner;
	enum err e = adopt_duplicate(loop, p->inner, &inner);
	if (e != ERR_OK)
		return e;
	e = adopt_duplicate(loop, p->outer, &p->sock);
	if (e != ERR_OK) {
		sock_close(inner, false);
		return e;
	}
	sock_watch(p->sock, SOCK_READABLE, on_readable, p);
	*ret_inner = inner;
	return ERR_OK;
}

void port_close(struct port *p)
{
	p->sock = sock_close(p->sock, false);
}

enum err port_send(const struct port *p, const void *packet, size_t len)
{
	ssize_t n;
	do {
		n = send(p->outer, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return ERR_OK;
	/* No buffers are as good as no room: both pass. */
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? ERR_FULL
								      : err_from_errno(errno);
}
