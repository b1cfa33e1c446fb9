/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * memory_discovery.h - peer discovery by a table that its owner fills and changes
 *
 * For programs that know their peers by themselves, and for tests. Each change makes a new route
 * table and swaps it in; who looks up meanwhile has the old one or the new one, without a lock.
 * A replaced table is kept until memory_discovery_free(): it may still be read, and changes are
 * rare. (A program that changes it all the time wants a discovery of its own.)
 *
 * Changes: one thread at a time. Lookups: any threads.
 */
#pragma once

#include "vpn/api/peer_discovery.h"

struct memory_discovery;

/* ERR_NO_MEMORY. */
MUST_USE enum err memory_discovery_new(struct memory_discovery **ret_discovery);
/* Nobody uses it any more. Takes NULL; returns NULL. */
struct memory_discovery *memory_discovery_free(struct memory_discovery *m);

struct peer_discovery memory_discovery_get(struct memory_discovery *m);

/* The prefix, without host bits, is the peer's from now on; whoever had it has it no more.
 * ERR_RANGE, ERR_NO_MEMORY, ERR_LIMIT. */
MUST_USE enum err memory_discovery_add(struct memory_discovery *m, const struct ip_prefix *prefix,
				       const struct peer_id *peer);
/* Nobody's. ERR_NOT_FOUND, ERR_NO_MEMORY. */
MUST_USE enum err memory_discovery_remove(struct memory_discovery *m,
					  const struct ip_prefix *prefix);
