/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* memory_discovery.c - see memory_discovery.h */
#include "vpn/adapter/memory_discovery.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "vpn/discovery/route_table.h"

/* What readers see: immutable once it is published. */
struct edition {
	struct edition *before; /* replaced ones, until the end */
	struct route_table *routes;
	struct route *items; /* `peer` is the index of the peer in `peers` */
	struct peer_id *peers;
	size_t n;
};

struct memory_discovery {
	_Atomic(struct edition *) now;
	atomic_uint_fast32_t generation;
};

static enum err find(void *ctx, const struct ip_addr *ip, struct peer_id *ret_peer)
{
	struct memory_discovery *m = ctx;
	const struct edition *e = atomic_load_explicit(&m->now, memory_order_acquire);
	uint32_t index = route_table_find(e->routes, ip);
	if (index == ROUTE_NONE)
		return ERR_NOT_FOUND;
	*ret_peer = e->peers[index];
	return ERR_OK;
}

static uint32_t generation(void *ctx)
{
	struct memory_discovery *m = ctx;
	return (uint32_t)atomic_load_explicit(&m->generation, memory_order_acquire);
}

static const struct peer_discovery_ops ops = {.find = find, .generation = generation};

struct peer_discovery memory_discovery_get(struct memory_discovery *m)
{
	return (struct peer_discovery){.ops = &ops, .ctx = m};
}

static struct edition *edition_free(struct edition *e)
{
	if (e == NULL)
		return NULL;
	route_table_free(e->routes);
	free(e->items);
	free(e->peers);
	free(e);
	return NULL;
}

/* Room for n routes. */
static struct edition *edition_new(size_t n)
{
	struct edition *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->items = calloc(n + 1, sizeof(*e->items));
	e->peers = calloc(n + 1, sizeof(*e->peers));
	return e->items != NULL && e->peers != NULL ? e : edition_free(e);
}

static bool is_same(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_addr_equal(&a->addr, &b->addr);
}

static void put(struct edition *e, const struct ip_prefix *prefix, const struct peer_id *peer)
{
	e->items[e->n] = (struct route){.prefix = *prefix, .peer = (uint32_t)e->n};
	e->peers[e->n] = *peer;
	e->n++;
}

/* All of the old edition but this prefix; with `peer`, the prefix too. */
static enum err publish(struct memory_discovery *m, const struct ip_prefix *prefix,
			const struct peer_id *peer)
{
	struct edition *old = atomic_load_explicit(&m->now, memory_order_relaxed);
	struct edition *e = edition_new(old->n + 1);
	if (e == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < old->n; i++) {
		if (!is_same(&old->items[i].prefix, prefix))
			put(e, &old->items[i].prefix, &old->peers[i]);
	}
	if (peer != NULL)
		put(e, prefix, peer);
	enum err err = peer == NULL && e->n == old->n ? ERR_NOT_FOUND : ERR_OK;
	if (err == ERR_OK)
		err = route_table_new(e->items, e->n, &e->routes);
	if (err != ERR_OK) {
		edition_free(e);
		return err;
	}
	e->before = old;
	atomic_store_explicit(&m->now, e, memory_order_release);
	atomic_fetch_add_explicit(&m->generation, 1, memory_order_release);
	return ERR_OK;
}

enum err memory_discovery_add(struct memory_discovery *m, const struct ip_prefix *prefix,
			      const struct peer_id *peer)
{
	return publish(m, prefix, peer);
}

enum err memory_discovery_remove(struct memory_discovery *m, const struct ip_prefix *prefix)
{
	return publish(m, prefix, NULL);
}

enum err memory_discovery_new(struct memory_discovery **ret_discovery)
{
	struct memory_discovery *m = calloc(1, sizeof(*m));
	struct edition *e = edition_new(0);
	enum err err = m == NULL || e == NULL ? ERR_NO_MEMORY : ERR_OK;
	if (err == ERR_OK)
		err = route_table_new(e->items, 0, &e->routes);
	if (err != ERR_OK) {
		edition_free(e);
		free(m);
		return err;
	}
	atomic_init(&m->now, e);
	*ret_discovery = m;
	return ERR_OK;
}

struct memory_discovery *memory_discovery_free(struct memory_discovery *m)
{
	if (m == NULL)
		return NULL;
	struct edition *e = atomic_load_explicit(&m->now, memory_order_relaxed);
	while (e != NULL) {
		struct edition *before = e->before;
		edition_free(e);
		e = before;
	}
	free(m);
	return NULL;
}
