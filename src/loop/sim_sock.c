/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_sock.c - what all simulated sockets share: watching, and the way to their kinds
 *
 * A socket is in its host's ring of ready ones exactly while it is watched for something that it is
 * ready for. Whatever changes its state calls sim_sock_update().
 */
#include <assert.h>

#include "base/util.h"
#include "loop/sim_internal.h"

static struct sim_sock *sim_of(struct sock *sock)
{
	return CONTAINER_OF(sock, struct sim_sock, base);
}

static void enter(struct sim_sock *s)
{
	struct sim_sock *head = s->host->ready;
	if (head == NULL) {
		s->next = s->prev = s;
		s->host->ready = s;
	} else {
		s->next = head;
		s->prev = head->prev;
		head->prev->next = s;
		head->prev = s;
	}
	sim_make_runnable(s->host);
}

static void leave(struct sim_sock *s)
{
	if (s->next == s) {
		s->host->ready = NULL;
	} else {
		s->prev->next = s->next;
		s->next->prev = s->prev;
		if (s->host->ready == s)
			s->host->ready = s->next;
	}
	s->next = s->prev = NULL;
}

void sim_sock_update(struct sim_sock *s)
{
	bool is_ready = s->want != 0 && (s->want & s->ops->ready(s)) != 0;
	if (is_ready && s->next == NULL)
		enter(s);
	else if (!is_ready && s->next != NULL)
		leave(s);
}

void sim_sock_init(struct sim_sock *s, struct sim_host *host, const struct sim_sock_ops *ops)
{
	*s = (struct sim_sock){.base = {.loop = &host->base}, .ops = ops, .host = host};
	host->n_socks++;
}

void sim_sock_deinit(struct sim_sock *s)
{
	if (s->next != NULL)
		leave(s);
	s->host->n_socks--;
}

void sim_watch(struct sock *sock, unsigned want, sock_ready_fn *fn, void *ctx)
{
	struct sim_sock *s = sim_of(sock);
	assert(want == 0 || fn != NULL);
	s->want = want;
	s->fn = fn;
	s->ctx = ctx;
	sim_sock_update(s);
}

enum err sim_read(struct sock *sock, void *buf, size_t cap, size_t *ret_n)
{
	struct sim_sock *s = sim_of(sock);
	assert(cap > 0);
	if (s->ops->read == NULL)
		return ERR_UNSUPPORTED;
	enum err err = s->ops->read(s, buf, cap, ret_n);
	sim_sock_update(s);
	return err;
}

enum err sim_writev(struct sock *sock, const struct iovec *iov, int n_iov, size_t *ret_n)
{
	struct sim_sock *s = sim_of(sock);
	assert(n_iov > 0);
	if (s->ops->writev == NULL)
		return ERR_UNSUPPORTED;
	enum err err = s->ops->writev(s, iov, n_iov, ret_n);
	sim_sock_update(s);
	return err;
}

enum err sim_error(struct sock *sock)
{
	struct sim_sock *s = sim_of(sock);
	return s->ops->error == NULL ? ERR_OK : s->ops->error(s);
}

enum err sim_local(struct sock *sock, union netaddr *ret)
{
	struct sim_sock *s = sim_of(sock);
	return s->ops->local == NULL ? ERR_UNSUPPORTED : s->ops->local(s, ret);
}

enum err sim_tcp_stats(struct sock *sock, struct tcp_stats *ret)
{
	struct sim_sock *s = sim_of(sock);
	return s->ops->tcp_stats == NULL ? ERR_UNSUPPORTED : s->ops->tcp_stats(s, ret);
}

void sim_close(struct sock *sock, bool abort)
{
	struct sim_sock *s = sim_of(sock);
	s->ops->close(s, abort);
}

/* The struct stays, as the kernel's does: bytes go on arriving, and nobody is called. While it is
 * away its host does not count it. */
void sim_detach(struct sock *sock, struct sock_baton *ret_baton)
{
	struct sim_sock *s = sim_of(sock);
	sim_watch(sock, 0, NULL, NULL);
	s->host->n_socks--;
	*ret_baton = (struct sock_baton){.ops = sock->loop->ops, .sock = sock};
}

enum err sim_attach(struct loop *loop, struct sock_baton *baton, struct sock **ret_sock)
{
	assert(baton->ops == loop->ops);
	struct sim_sock *s = sim_of(baton->sock);
	if (s->host != sim_host_of(loop))
		return ERR_UNSUPPORTED;
	s->host->n_socks++;
	*ret_sock = baton->sock;
	*baton = (struct sock_baton){.ops = NULL};
	return ERR_OK;
}

void sim_baton_close(struct sock_baton *baton, bool abort)
{
	struct sim_sock *s = sim_of(baton->sock);
	s->host->n_socks++; /* as if it had come back for this */
	*baton = (struct sock_baton){.ops = NULL};
	sim_close(&s->base, abort);
}
