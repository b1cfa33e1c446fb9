/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* static_table.c - see static_table.h. Two hashes that lead to places in config->peers, and the
 * routes. */
#include "vpn/discovery/static_table.h"

#include <stdlib.h>

/* Instead of exit(): an entry that got no memory is marked, and the table is not made. */
#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->oom = true)
/* Strangers choose what is looked up, never what is in: a plain hash will do. */
#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#include <uthash.h>

struct entry {
	const struct config_peer *peer;
	uint32_t index;
	bool oom;
	UT_hash_handle by_id;
	UT_hash_handle by_name;
};

struct static_table {
	const struct config *config;
	struct entry *entries;
	struct entry *ids;
	struct entry *names;
	struct route_table *routes;
};

static struct entry *lookup_id(const struct static_table *table, const struct peer_id *id)
{
	struct entry *found = NULL;
	HASH_FIND(by_id, table->ids, id->bytes, id->len, found);
	return found;
}

static struct entry *lookup_name(const struct static_table *table, const char *name)
{
	struct entry *found = NULL;
	HASH_FIND(by_name, table->names, name, strlen(name), found);
	return found;
}

static enum err add_id(struct static_table *table, struct entry *entry)
{
	const struct peer_id *id = &entry->peer->id;
	if (lookup_id(table, id) != NULL)
		return ERR_DUPLICATE;
	HASH_ADD_KEYPTR(by_id, table->ids, id->bytes, id->len, entry);
	return entry->oom ? ERR_NO_MEMORY : ERR_OK;
}

static enum err add_name(struct static_table *table, struct entry *entry)
{
	const char *name = entry->peer->name;
	if (name[0] == '\0')
		return ERR_OK;
	if (lookup_name(table, name) != NULL)
		return ERR_DUPLICATE;
	HASH_ADD_KEYPTR(by_name, table->names, name, strlen(name), entry);
	return entry->oom ? ERR_NO_MEMORY : ERR_OK;
}

static enum err add_peers(struct static_table *table)
{
	const struct config_peers *peers = &table->config->peers;
	enum err e = ERR_OK;
	for (size_t i = 0; i < peers->len && e == ERR_OK; i++) {
		struct entry *entry = &table->entries[i];
		entry->peer = &peers->items[i];
		entry->index = (uint32_t)i;
		e = add_id(table, entry);
		if (e == ERR_OK)
			e = add_name(table, entry);
	}
	return e;
}

static enum err add_routes(struct static_table *table)
{
	const struct config_peers *peers = &table->config->peers;
	size_t n = 0;
	for (size_t i = 0; i < peers->len; i++)
		n += peers->items[i].allowed_ips.len;
	struct route *routes = calloc(n + 1, sizeof(*routes));
	if (routes == NULL)
		return ERR_NO_MEMORY;
	n = 0;
	for (size_t i = 0; i < peers->len; i++) {
		const struct config_prefixes *prefixes = &peers->items[i].allowed_ips;
		for (size_t j = 0; j < prefixes->len; j++)
			routes[n++] =
				(struct route){.prefix = prefixes->items[j], .peer = (uint32_t)i};
	}
	enum err e = route_table_new(routes, n, &table->routes);
	free(routes);
	return e;
}

enum err static_table_new(const struct config *config, struct static_table **ret_table)
{
	struct static_table *table = calloc(1, sizeof(*table));
	if (table == NULL)
		return ERR_NO_MEMORY;
	table->config = config;
	table->entries = calloc(config->peers.len + 1, sizeof(*table->entries));
	enum err e = table->entries != NULL ? ERR_OK : ERR_NO_MEMORY;
	if (e == ERR_OK)
		e = add_peers(table);
	if (e == ERR_OK)
		e = add_routes(table);
	if (e != ERR_OK) {
		static_table_free(table);
		return e;
	}
	*ret_table = table;
	return ERR_OK;
}

struct static_table *static_table_free(struct static_table *table)
{
	if (table == NULL)
		return NULL;
	HASH_CLEAR(by_id, table->ids);
	HASH_CLEAR(by_name, table->names);
	route_table_free(table->routes);
	free(table->entries);
	free(table);
	return NULL;
}

uint32_t static_table_find_id(const struct static_table *table, const struct peer_id *id)
{
	const struct entry *found = lookup_id(table, id);
	return found != NULL ? found->index : ROUTE_NONE;
}

uint32_t static_table_find_name(const struct static_table *table, const char *name)
{
	const struct entry *found = lookup_name(table, name);
	return found != NULL ? found->index : ROUTE_NONE;
}

size_t static_table_len(const struct static_table *table)
{
	return table->config->peers.len;
}

const struct config_peer *static_table_peer(const struct static_table *table, uint32_t index)
{
	return &table->config->peers.items[index];
}

const struct route_table *static_table_routes(const struct static_table *table)
{
	return table->routes;
}
