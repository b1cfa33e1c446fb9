/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dialer.c - see dialer.h */
#include "p2p/host/dialer.h"

#include "base/util.h"
#include "p2p/host/netaddr.h"

static void try_next(struct dialer *d);

static void forget_queries(struct dialer *d)
{
	for (size_t i = 0; i < DIAL_ADDRS_MAX; i++) {
		if (d->queries[i] != NULL) {
			loop_resolve_cancel(d->loop, d->queries[i]);
			d->queries[i] = NULL;
		}
	}
	d->n_queries = 0;
}

static bool in_demand(const struct dialer *d, nsec_t now)
{
	return now < d->demand_until;
}

/* +-25%. */
static nsec_t jitter(struct dialer *d, nsec_t t)
{
	return t - t / 4 + loop_random_below(d->loop, t / 2 + 1);
}

static void wait_for_next_round(struct dialer *d)
{
	nsec_t now = loop_now(d->loop);
	nsec_t wait = d->backoff;
	if (in_demand(d, now))
		wait = nsec_min(wait, DIAL_BACKOFF_DEMAND);
	d->backoff = nsec_min(2 * d->backoff, DIAL_BACKOFF_MAX);
	d->state = DIALER_WAITING;
	loop_timer_set(&d->timer, nsec_add(now, jitter(d, wait)));
}

static void check_round(struct dialer *d)
{
	if (d->state == DIALER_ROUND && d->n_attempts == 0 && d->n_queries == 0 &&
	    d->next == d->n_targets) {
		wait_for_next_round(d);
		d->ops->on_round_failed(d->ctx);
	}
}

static void add_target(struct dialer *d, const union netaddr *addr)
{
	for (size_t i = 0; i < d->n_targets; i++) {
		if (netaddr_equal(&d->targets[i], addr))
			return;
	}
	if (d->n_targets < DIAL_ADDRS_MAX)
		d->targets[d->n_targets++] = *addr;
}

/* Families in turn among targets[from..): a family that is broken costs one stagger, not many. */
static void interleave(struct dialer *d, size_t from)
{
	for (size_t i = from + 1; i < d->n_targets; i++) {
		sa_family_t last = d->targets[i - 1].sa.sa_family;
		for (size_t j = i; j < d->n_targets; j++) {
			if (d->targets[j].sa.sa_family == last)
				continue;
			union netaddr other = d->targets[j];
			memmove(&d->targets[i + 1], &d->targets[i], (j - i) * sizeof(other));
			d->targets[i] = other;
			break;
		}
	}
}

/* Another target waits while an attempt is on its way: it gets its turn. */
static void stagger(struct dialer *d)
{
	if (d->next < d->n_targets && !loop_timer_is_set(&d->timer))
		loop_timer_set(&d->timer, nsec_add(loop_now(d->loop), DIAL_STAGGER));
}

static void on_resolved(void *ctx, enum err result, const union netaddr *addrs, size_t n_addrs)
{
	struct dialer_query *q = ctx;
	struct dialer *d = q->dialer;
	d->queries[q->index] = NULL;
	d->n_queries--;
	if (result != ERR_OK)
		d->ops->cannot(d->ctx, NULL, result);
	size_t from = d->next;
	for (size_t i = 0; result == ERR_OK && i < n_addrs; i++) {
		union netaddr addr = addrs[i];
		netaddr_set_port(&addr, q->port);
		add_target(d, &addr);
	}
	interleave(d, from);
	if (d->n_attempts == 0)
		try_next(d);
	else
		stagger(d);
	check_round(d);
}

static void resolve(struct dialer *d, size_t index, const struct multiaddr_tcp *tcp)
{
	int family = tcp->host_code == MULTIADDR_DNS4   ? AF_INET
		     : tcp->host_code == MULTIADDR_DNS6 ? AF_INET6
							: AF_UNSPEC;
	char name[256];
	if (tcp->host.len >= sizeof(name))
		return;
	memcpy(name, tcp->host.p, tcp->host.len);
	name[tcp->host.len] = '\0';

	struct dialer_query *q = &d->query_ctx[index];
	*q = (struct dialer_query){.dialer = d, .port = tcp->port, .index = (uint8_t)index};
	enum err e = loop_resolve(d->loop, name, family, on_resolved, q, &d->queries[index]);
	if (e == ERR_OK)
		d->n_queries++;
	else
		d->ops->cannot(d->ctx, NULL, e);
}

static void begin_round(struct dialer *d)
{
	struct multiaddr addrs[DIAL_ADDRS_MAX];
	size_t n = d->ops->addresses(d->ctx, addrs);
	d->n_targets = 0;
	d->next = 0;
	d->round_at = loop_now(d->loop);
	d->n_rounds++;
	d->state = DIALER_ROUND;
	if (n == 0) {
		d->state = DIALER_IDLE;
		d->ops->cannot(d->ctx, NULL, ERR_NO_ADDRESS);
		d->ops->on_round_failed(d->ctx);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct multiaddr_tcp tcp;
		union netaddr addr;
		if (multiaddr_as_tcp(&addrs[i], &tcp) != ERR_OK)
			continue;
		if (netaddr_from_multiaddr(&addrs[i], &addr) == ERR_OK)
			add_target(d, &addr);
		else
			resolve(d, i, &tcp);
	}
	interleave(d, 0);
	try_next(d);
	check_round(d);
}

/* Attempts until one is on its way; then the next after a while, or when it fails. */
static void try_next(struct dialer *d)
{
	while (d->state == DIALER_ROUND && d->next < d->n_targets) {
		const union netaddr *to = &d->targets[d->next++];
		enum err e = d->ops->connect(d->ctx, to);
		if (e == ERR_OK) {
			d->n_attempts++;
			stagger(d);
			return;
		}
		d->ops->cannot(d->ctx, to, e);
	}
}

static void on_timer(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct dialer *d = CONTAINER_OF(timer, struct dialer, timer);
	if (d->state == DIALER_WAITING)
		begin_round(d);
	else if (d->state == DIALER_ROUND)
		try_next(d);
	check_round(d);
}

void dialer_init(struct dialer *d, struct loop *loop, const struct dialer_ops *ops, void *ctx)
{
	*d = (struct dialer){.loop = loop, .ops = ops, .ctx = ctx, .backoff = DIAL_BACKOFF_MIN};
	loop_timer_init(&d->timer, loop, on_timer);
}

void dialer_deinit(struct dialer *d)
{
	dialer_stop(d);
}

void dialer_start(struct dialer *d)
{
	if (d->state != DIALER_IDLE)
		return;
	if (d->was_refused)
		wait_for_next_round(d);
	else
		begin_round(d);
}

void dialer_stop(struct dialer *d)
{
	loop_timer_stop(&d->timer);
	forget_queries(d);
	d->state = DIALER_IDLE;
	d->n_targets = 0;
	d->next = 0;
}

void dialer_demand(struct dialer *d)
{
	nsec_t now = loop_now(d->loop);
	d->demand_until = MAX(d->demand_until, nsec_add(now, DIAL_DEMAND_FOR));
	if (d->state == DIALER_WAITING && d->timer.at > nsec_add(now, DIAL_BACKOFF_DEMAND))
		loop_timer_set(&d->timer, nsec_add(now, jitter(d, DIAL_BACKOFF_MIN)));
}

void dialer_lost(struct dialer *d, nsec_t lived, enum err why)
{
	/* A path that broke is no refusal, however young the connection was. */
	d->was_refused = lived < DIAL_STABLE && why != ERR_TIMEOUT;
	if (d->was_refused)
		return;
	d->backoff = DIAL_BACKOFF_MIN;
	d->demand_until = MAX(d->demand_until, nsec_add(loop_now(d->loop), DIAL_LOST_FOR));
}

void dialer_retry_now(struct dialer *d)
{
	d->backoff = DIAL_BACKOFF_MIN;
	if (d->state == DIALER_WAITING)
		loop_timer_set(&d->timer, loop_now(d->loop));
}

void dialer_failed(struct dialer *d)
{
	if (d->n_attempts > 0)
		d->n_attempts--;
	if (d->state != DIALER_ROUND)
		return; /* another one got through */
	loop_timer_stop(&d->timer);
	try_next(d);
	check_round(d);
}

void dialer_connected(struct dialer *d)
{
	if (d->n_attempts > 0)
		d->n_attempts--;
	d->was_refused = false;
	dialer_stop(d); /* the backoff stays until the connection has lasted */
}
