/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_host.c - simulated hosts: their loops, addresses and paths
 *
 * A host has one address at a time, and 127.0.0.0/8 and ::1. Between two hosts there is one path; a
 * struct sim_link for it is made when it is first used or set.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "loop/sim_internal.h"

/* --- a host's loop ------------------------------------------------------------------- */

static nsec_t now(struct loop *loop)
{
	return sim_host_of(loop)->sim->now;
}

static uint64_t wall_ns(struct loop *loop)
{
	return SIM_WALL_START + now(loop);
}

static void fill_random(struct loop *loop, void *buf, size_t len)
{
	uint8_t *at = buf;
	while (len > 0) {
		uint64_t word = sim_random(&sim_host_of(loop)->rng);
		size_t n = len < sizeof(word) ? len : sizeof(word);
		memcpy(at, &word, n);
		at += n;
		len -= n;
	}
}

static void arm(struct loop *loop, nsec_t at)
{
	loop_timer_set(&sim_host_of(loop)->alarm, at);
}

static void on_alarm(struct loop_timer *alarm, nsec_t at)
{
	(void)at;
	sim_make_runnable(CONTAINER_OF(alarm, struct sim_host, alarm));
}

static void have_task(struct loop *loop)
{
	sim_make_runnable(sim_host_of(loop));
}

/* Mail of another thread is not a part of a simulation: runs would differ. */
static void have_mail(struct loop *loop)
{
	sim_make_runnable(sim_host_of(loop));
}

static bool is_here(struct loop *loop)
{
	(void)loop;
	return true;
}

static enum err adopt_fd(struct loop *loop, int fd, struct sock **ret_sock)
{
	(void)loop;
	(void)fd;
	(void)ret_sock;
	return ERR_UNSUPPORTED;
}

static void stop(struct loop *loop)
{
	sim_note(sim_host_of(loop), "stop", 0, 0);
}

static enum err run(struct loop *loop)
{
	(void)loop;
	return ERR_UNSUPPORTED;
}

/* It is a part of its host. */
static struct loop *free_loop(struct loop *loop)
{
	assert(sim_host_of(loop)->n_socks == 0 && sim_host_of(loop)->n_queries == 0);
	assert(loop->timers == NULL && loop->tasks == NULL && !loop_has_mail(loop));
	(void)loop;
	return NULL;
}

static const struct loop_ops host_ops = {
	.now = now,
	.wall_ns = wall_ns,
	.random = fill_random,
	.arm = arm,
	.have_task = have_task,
	.have_mail = have_mail,
	.is_here = is_here,
	.tcp_dial = sim_dial,
	.tcp_listen = sim_listen,
	.tcp_accept = sim_accept,
	.adopt_fd = adopt_fd,
	.sock_watch = sim_watch,
	.sock_read = sim_read,
	.sock_writev = sim_writev,
	.sock_error = sim_error,
	.sock_local = sim_local,
	.sock_tcp_stats = sim_tcp_stats,
	.sock_close = sim_close,
	.sock_detach = sim_detach,
	.sock_attach = sim_attach,
	.sock_baton_close = sim_baton_close,
	.resolve = sim_resolve,
	.resolve_cancel = sim_resolve_cancel,
	.stop = stop,
	.run = run,
	.free = free_loop,
};

/* --- hosts and addresses ------------------------------------------------------------- */

bool sim_addr_parse(const char *ip, union netaddr *ret)
{
	union netaddr addr = {0};
	if (inet_pton(AF_INET, ip, &addr.in4.sin_addr) == 1) {
		addr.sa.sa_family = AF_INET;
	} else {
		addr = (union netaddr){0};
		if (inet_pton(AF_INET6, ip, &addr.in6.sin6_addr) != 1)
			return false;
		addr.sa.sa_family = AF_INET6;
	}
	*ret = addr;
	return true;
}

bool sim_addr_equal(const union netaddr *a, const union netaddr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

bool sim_addr_is_loopback(const union netaddr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

bool sim_host_has(const struct sim_host *host, const union netaddr *ip)
{
	return sim_addr_equal(&host->ip, ip) || sim_addr_is_loopback(ip);
}

struct sim_host *sim_find_host(struct sim_host *from, const union netaddr *ip)
{
	if (sim_addr_is_loopback(ip))
		return from;
	for (struct sim_host *host = from->sim->hosts; host != NULL; host = host->next)
		if (sim_addr_equal(&host->ip, ip))
			return host;
	return NULL;
}

static bool is_taken(const struct sim *sim, const union netaddr *ip)
{
	for (const struct sim_host *host = sim->hosts; host != NULL; host = host->next)
		if (sim_addr_equal(&host->ip, ip))
			return true;
	return false;
}

enum err sim_host_new(struct sim *sim, const char *name, const char *ip, struct sim_host **ret_host)
{
	union netaddr addr;
	if (!sim_addr_parse(ip, &addr))
		return ERR_MALFORMED;
	if (is_taken(sim, &addr))
		return ERR_ADDRESS_IN_USE;
	struct sim_host *host = sim_alloc(sizeof(*host));
	host->name = sim_alloc(strlen(name) + 1);
	memcpy(host->name, name, strlen(name));
	loop_init(&host->base, &host_ops);
	host->sim = sim;
	host->id = sim->n_hosts++;
	host->ip = addr;
	host->rng = sim_mix(sim_mix(sim->seed) + host->id + 1);
	loop_timer_init(&host->alarm, &sim->events, on_alarm);
	*sim->last_host = host;
	sim->last_host = &host->next;
	sim_note(host, "host", 0, 0);
	*ret_host = host;
	return ERR_OK;
}

struct loop *sim_host_loop(struct sim_host *host)
{
	return &host->base;
}

enum err sim_host_move(struct sim_host *host, const char *ip)
{
	union netaddr addr;
	if (!sim_addr_parse(ip, &addr))
		return ERR_MALFORMED;
	if (!sim_addr_equal(&addr, &host->ip) && is_taken(host->sim, &addr))
		return ERR_ADDRESS_IN_USE;
	host->ip = addr;
	sim_note(host, "move", 0, 0);
	return ERR_OK;
}

void sim_host_free(struct sim_host *host)
{
	assert(!loop_has_mail(&host->base));
	for (size_t i = 0; i < host->n_links; i++)
		if (i <= host->id)
			free(host->links[i]); /* shared with the host of the lower id */
	free(host->links);
	free(host->name);
	free(host);
}

/* --- paths --------------------------------------------------------------------------- */

static void reserve_links(struct sim_host *host, uint64_t id)
{
	if (id < host->n_links)
		return;
	size_t n = (size_t)host->sim->n_hosts;
	struct sim_link **links = sim_alloc(n * sizeof(struct sim_link *));
	if (host->n_links > 0)
		memcpy(links, host->links, host->n_links * sizeof(struct sim_link *));
	free(host->links);
	host->links = links;
	host->n_links = n;
}

struct sim_link *sim_link_between(struct sim_host *a, struct sim_host *b)
{
	reserve_links(a, b->id);
	reserve_links(b, a->id);
	if (a->links[b->id] == NULL) {
		struct sim_link *link = sim_alloc(sizeof(*link));
		link->path.delay = SIM_DEFAULT_DELAY;
		a->links[b->id] = link;
		b->links[a->id] = link;
	}
	return a->links[b->id];
}

void sim_set_path(struct sim *sim, struct sim_host *a, struct sim_host *b, struct sim_path path)
{
	assert(a->sim == sim && b->sim == sim);
	(void)sim;
	sim_link_between(a, b)->path = path;
	sim_note(a, path.cut ? "cut" : "path", b->id, path.delay);
}
