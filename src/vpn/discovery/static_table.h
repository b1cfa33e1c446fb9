/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * static_table.h - the peers that the configuration names: by id, by name, by IP
 *
 * A peer's number is its place in config->peers. Immutable once made, as the configuration is; both
 * are swapped together on reload, and then numbers mean nothing any more: keep the peer id across.
 */
#pragma once

#include "vpn/config/config.h"
#include "vpn/discovery/route_table.h"

struct static_table;

/* The configuration is lent: it must outlive the table. ERR_DUPLICATE (not with a loaded one),
 * ERR_NO_MEMORY. */
MUST_USE enum err static_table_new(const struct config *config, struct static_table **ret_table);

/* Takes NULL; returns NULL. */
struct static_table *static_table_free(struct static_table *table);

/* The peer's number, or ROUTE_NONE. */
uint32_t static_table_find_id(const struct static_table *table, const struct peer_id *id);
uint32_t static_table_find_name(const struct static_table *table, const char *name);

size_t static_table_len(const struct static_table *table);

/* Id, name, addresses and the rest of a peer; index is below static_table_len(). */
const struct config_peer *static_table_peer(const struct static_table *table, uint32_t index);

/* Destination and source IP -> peer's number. Lives as long as the table. */
const struct route_table *static_table_routes(const struct static_table *table);
