/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * worker_table.h - all workers of a shard, by connection key
 *
 * Finding a worker costs one look at the table and one at the worker, however many there are. The
 * memory comes in chunks that are allocated, and given back, off the packet path: there is always
 * a reserve of free workers for the keys of one turn, and worker_table_maintain(), called at the
 * end of a turn that made or freed workers, fills it up again. At WORKERS_MAX the caller has to let
 * somebody go: worker_table_oldest() says whom.
 *
 * The table is open addressing with linear probing, about half full (3/4 until it can grow), of 8
 * bytes a place: the upper half of the key's hash, and where the worker is. Owned by one shard.
 */
#pragma once

#include "base/err.h"
#include "vpn/dispatch/worker.h"

enum {
	WORKERS_MAX = 256 * 1024, /* of a shard: 48 MiB; more connection keys than Linux tracks
				     connections by default */
	WORKER_CHUNK = 256,       /* workers allocated together: 48 KiB */
	WORKER_RESERVE = 512,     /* free ones that are kept: more keys than a turn's reads bring */
	WORKER_OLDEST_AMONG = 64, /* workers looked at to find an old one: a bounded cost, and of so
				     many the oldest is seldom one of the busy */
};

struct worker_table;

/* `seed` keys the hash. The reserve is there at once. ERR_NO_MEMORY. */
MUST_USE enum err worker_table_new(uint64_t seed, struct worker_table **ret_table);
/* All workers must have been removed. Takes NULL; returns NULL. */
struct worker_table *worker_table_free(struct worker_table *t);

uint64_t worker_table_hash(const struct worker_table *t, const struct conn_key *key);
/* Bring the place of this hash into the cache: it will be looked for soon. */
void worker_table_prefetch(const struct worker_table *t, uint64_t hash);
/* ... and then the worker that is there. */
void worker_table_prefetch_worker(const struct worker_table *t, uint64_t hash);
/* NULL: there is none. */
struct worker *worker_table_find(const struct worker_table *t, const struct conn_key *key,
				 uint64_t hash);
/* A worker for a key that has none, all zero but for its key. NULL: no free one is left. */
struct worker *worker_table_add(struct worker_table *t, const struct conn_key *key, uint64_t hash);
/* It holds no packets and stands nowhere. */
void worker_table_remove(struct worker_table *t, struct worker *w);

/* Of some that hold no packets, the one used longest ago; NULL: those that were looked at all do.
 */
struct worker *worker_table_oldest(struct worker_table *t);
/* Off the packet path: reserve, growth, shrinking. */
void worker_table_maintain(struct worker_table *t);

size_t worker_table_count(const struct worker_table *t);
/* Bytes of memory in use. */
size_t worker_table_bytes(const struct worker_table *t);

/*
 * Walk: the next worker at or behind place *at, looking at no more than `steps` places; *at moves
 * on. NULL: none among these; *at is 0 again at the end. Workers may be removed meanwhile.
 */
struct worker *worker_table_walk(struct worker_table *t, uint32_t *at, uint32_t *steps);
