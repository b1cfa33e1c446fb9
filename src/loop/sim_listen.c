/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sim_listen.c - simulated listeners: addresses, ports and the connections that wait */
#include <stdlib.h>

#include "base/util.h"
#include "loop/sim_tcp.h"

enum {
	FIRST_PORT = 32768
}; /* as the kernel's, of those that it chooses */

struct listener {
	struct sim_sock base;
	union netaddr at;
	struct sim_end *first, **last; /* waiting to be accepted */
	size_t n_waiting;
};

static struct listener *listener_of(struct sim_sock *sock)
{
	return CONTAINER_OF(sock, struct listener, base);
}

static bool is_any(const union netaddr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return addr->in4.sin_addr.s_addr == 0;
	return IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr);
}

static bool overlap(const union netaddr *a, const union netaddr *b)
{
	return a->sa.sa_family == b->sa.sa_family && a->in4.sin_port == b->in4.sin_port &&
	       (is_any(a) || is_any(b) || sim_addr_equal(a, b));
}

struct sim_sock *sim_find_listener(struct sim_host *host, const union netaddr *at)
{
	for (struct sim_sock *s = host->listeners; s != NULL; s = s->next_listener)
		if (overlap(&listener_of(s)->at, at))
			return s;
	return NULL;
}

uint16_t sim_next_port(struct sim_host *host)
{
	host->last_port = host->last_port < FIRST_PORT || host->last_port == UINT16_MAX
				  ? (uint16_t)FIRST_PORT
				  : (uint16_t)(host->last_port + 1);
	return host->last_port;
}

bool sim_listener_is_full(struct sim_sock *sock)
{
	return listener_of(sock)->n_waiting >= SIM_BACKLOG;
}

void sim_listener_add(struct sim_sock *sock, struct sim_end *end)
{
	struct listener *l = listener_of(sock);
	end->next_waiting = NULL;
	*l->last = end;
	l->last = &end->next_waiting;
	l->n_waiting++;
	sim_sock_update(sock);
}

static struct sim_end *take_first(struct listener *l)
{
	struct sim_end *end = l->first;
	if (end == NULL)
		return NULL;
	l->first = end->next_waiting;
	if (l->first == NULL)
		l->last = &l->first;
	l->n_waiting--;
	return end;
}

static unsigned ready(struct sim_sock *sock)
{
	return listener_of(sock)->first != NULL ? SOCK_READABLE : 0;
}

static enum err local(struct sim_sock *sock, union netaddr *ret)
{
	*ret = listener_of(sock)->at;
	return ERR_OK;
}

static void close_listener(struct sim_sock *sock, bool abort)
{
	(void)abort;
	struct listener *l = listener_of(sock);
	struct sim_sock **at = &sock->host->listeners;
	while (*at != sock)
		at = &(*at)->next_listener;
	*at = sock->next_listener;
	struct sim_end *end;
	while ((end = take_first(l)) != NULL)
		sim_end_abandon(end, true);
	sim_note(sock->host, "unlisten", ntohs(l->at.in4.sin_port), 0);
	sim_sock_deinit(sock);
	free(l);
}

static const struct sim_sock_ops listener_ops = {
	.ready = ready,
	.local = local,
	.close = close_listener,
};

enum err sim_listen(struct loop *loop, const union netaddr *at, struct sock **ret_sock)
{
	struct sim_host *host = sim_host_of(loop);
	union netaddr local_at = *at;
	if (at->sa.sa_family != AF_INET && at->sa.sa_family != AF_INET6)
		return ERR_UNSUPPORTED;
	if (!is_any(at) && !sim_host_has(host, at))
		return ERR_NO_ADDRESS;
	while (local_at.in4.sin_port == 0) {
		local_at.in4.sin_port = htons(sim_next_port(host));
		if (sim_find_listener(host, &local_at) != NULL)
			local_at.in4.sin_port = 0;
	}
	if (sim_find_listener(host, &local_at) != NULL)
		return ERR_ADDRESS_IN_USE;
	struct listener *l = sim_alloc(sizeof(*l));
	sim_sock_init(&l->base, host, &listener_ops);
	l->at = local_at;
	l->last = &l->first;
	l->base.next_listener = host->listeners;
	host->listeners = &l->base;
	sim_note(host, "listen", ntohs(local_at.in4.sin_port), 0);
	*ret_sock = &l->base.base;
	return ERR_OK;
}

enum err sim_accept(struct sock *sock, const struct tcp_opts *opts, struct sock **ret_sock,
		    union netaddr *ret_remote)
{
	struct listener *l = CONTAINER_OF(sock, struct listener, base.base);
	struct sim_end *end = take_first(l);
	if (end == NULL)
		return ERR_AGAIN;
	sim_sock_update(&l->base);
	end->waits = false;
	if (opts != NULL)
		end->opts = *opts;
	struct sim_stream *stream = sim_stream_new(end);
	sim_note(end->host, "accept", end->conn->id, 0);
	*ret_sock = &stream->base.base;
	*ret_remote = end->remote;
	return ERR_OK;
}
