/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* memory_discovery.c - the discovery of runnel/dispatch_memory.h, on that of vpn/adapter */
#include <pthread.h>
#include <stdlib.h>

#include <runnel/dispatch_memory.h>

#include "lib/err.h"
#include "lib/values.h"
#include "vpn/adapter/memory_discovery.h"

struct runnel_memory_discovery {
	pthread_mutex_t mutex; /* one change at a time */
	struct memory_discovery *table;
	struct peer_discovery discovery; /* the table's */
};

static enum runnel_err find(void *ctx, const struct runnel_ip *ip, struct runnel_peer_id *ret_peer)
{
	struct runnel_memory_discovery *m = ctx;
	struct ip_addr addr;
	struct peer_id peer;
	if (!values_get_ip(ip, &addr))
		return RUNNEL_ERR_NOT_FOUND;
	enum err e = peer_discovery_find(&m->discovery, &addr, &peer);
	if (e == ERR_OK)
		values_put_peer_id(&peer, ret_peer);
	return lib_err(e);
}

static uint32_t generation(void *ctx)
{
	struct runnel_memory_discovery *m = ctx;
	return peer_discovery_generation(&m->discovery);
}

static const struct runnel_peer_discovery_ops ops = {.find = find, .generation = generation};

struct runnel_peer_discovery runnel_memory_discovery_get(struct runnel_memory_discovery *discovery)
{
	return (struct runnel_peer_discovery){.ops = &ops, .ctx = discovery};
}

enum runnel_err runnel_memory_discovery_new(struct runnel_memory_discovery **ret_discovery)
{
	struct runnel_memory_discovery *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return RUNNEL_ERR_NO_MEMORY;
	enum err e = memory_discovery_new(&m->table);
	if (e != ERR_OK) {
		free(m);
		return lib_err(e);
	}
	pthread_mutex_init(&m->mutex, NULL);
	m->discovery = memory_discovery_get(m->table);
	*ret_discovery = m;
	return RUNNEL_ERR_OK;
}

struct runnel_memory_discovery *
runnel_memory_discovery_free(struct runnel_memory_discovery *discovery)
{
	if (discovery == NULL)
		return NULL;
	memory_discovery_free(discovery->table);
	pthread_mutex_destroy(&discovery->mutex);
	free(discovery);
	return NULL;
}

static enum err get_prefix(const struct runnel_ip *ip, unsigned len, struct ip_prefix *ret_prefix)
{
	struct ip_prefix prefix;
	if (!values_get_ip(ip, &prefix.addr))
		return ERR_MALFORMED;
	if (len > ip_addr_bits(&prefix.addr))
		return ERR_RANGE;
	prefix.len = (uint8_t)len;
	if (!ip_prefix_is_network(&prefix))
		return ERR_RANGE;
	*ret_prefix = prefix;
	return ERR_OK;
}

enum runnel_err runnel_memory_discovery_add(struct runnel_memory_discovery *discovery,
					    const struct runnel_ip *ip, unsigned len,
					    const struct runnel_peer_id *peer)
{
	struct ip_prefix prefix;
	struct peer_id id;
	enum err e = get_prefix(ip, len, &prefix);
	if (e == ERR_OK && !values_get_peer_id(peer, &id))
		e = ERR_MALFORMED;
	if (e != ERR_OK)
		return lib_err(e);
	pthread_mutex_lock(&discovery->mutex);
	e = memory_discovery_add(discovery->table, &prefix, &id);
	pthread_mutex_unlock(&discovery->mutex);
	return lib_err(e);
}

enum runnel_err runnel_memory_discovery_remove(struct runnel_memory_discovery *discovery,
					       const struct runnel_ip *ip, unsigned len)
{
	struct ip_prefix prefix;
	enum err e = get_prefix(ip, len, &prefix);
	if (e != ERR_OK)
		return lib_err(e);
	pthread_mutex_lock(&discovery->mutex);
	e = memory_discovery_remove(discovery->table, &prefix);
	pthread_mutex_unlock(&discovery->mutex);
	return lib_err(e);
}
