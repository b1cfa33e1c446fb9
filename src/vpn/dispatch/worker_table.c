/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * worker_table.c - see worker_table.h
 *
 * Free workers are taken from the chunk with the lowest number that has one, so that the highest
 * chunks run empty and can be given back.
 */
#include "vpn/dispatch/worker_table.h"

#include <assert.h>
#include <stdlib.h>

enum {
	CHUNKS_MAX = WORKERS_MAX / WORKER_CHUNK,
	PLACES_MIN = 2 * 2 * WORKER_RESERVE, /* of the table: the reserve fills a quarter */
};

#define NOBODY UINT32_MAX

struct chunk {
	struct worker workers[WORKER_CHUNK];
	struct worker *free; /* a stack, linked by `next` */
	size_t n_used;
};

struct place {
	uint32_t tag;
	uint32_t index; /* NOBODY: empty */
};

struct worker_table {
	uint64_t seed;
	struct place *places;
	uint32_t mask; /* places - 1 */
	size_t count;
	size_t n_free;                    /* workers, in all chunks */
	struct chunk *chunks[CHUNKS_MAX]; /* NULL: not allocated */
	size_t n_chunks;                  /* one more than the highest that is */
	size_t lowest;                    /* no chunk below it has a free worker */
	uint32_t hand;                    /* where worker_table_oldest() goes on */
};

static_assert(sizeof(struct worker) == 192, "three cache lines: a packet touches each");
static_assert(offsetof(struct worker, packets) == 64, "what is looked up is on the first line");
static_assert(WORKERS_MAX % WORKER_CHUNK == 0, "whole chunks");

static struct worker *worker_at(const struct worker_table *t, uint32_t index)
{
	return &t->chunks[index / WORKER_CHUNK]->workers[index % WORKER_CHUNK];
}

/* --- memory -------------------------------------------------------------------------- */

static bool add_chunk(struct worker_table *t)
{
	size_t n = 0;
	while (n < CHUNKS_MAX && t->chunks[n] != NULL)
		n++;
	if (n == CHUNKS_MAX)
		return false;
	struct chunk *c = aligned_alloc(64, sizeof(*c));
	if (c == NULL)
		return false;
	c->free = NULL;
	c->n_used = 0;
	for (uint32_t i = WORKER_CHUNK; i-- > 0;) {
		struct worker *w = &c->workers[i];
		*w = (struct worker){.index = (uint32_t)(n * WORKER_CHUNK) + i, .next = c->free};
		c->free = w;
	}
	t->chunks[n] = c;
	if (n >= t->n_chunks)
		t->n_chunks = n + 1;
	if (n < t->lowest)
		t->lowest = n;
	t->n_free += WORKER_CHUNK;
	return true;
}

/* Give back what is empty, from the top, as long as the reserve stays. */
static void drop_chunks(struct worker_table *t)
{
	for (size_t n = t->n_chunks; n-- > 0 && t->n_free >= WORKER_RESERVE + 2 * WORKER_CHUNK;) {
		if (t->chunks[n] == NULL || t->chunks[n]->n_used > 0)
			continue;
		free(t->chunks[n]);
		t->chunks[n] = NULL;
		t->n_free -= WORKER_CHUNK;
	}
	while (t->n_chunks > 0 && t->chunks[t->n_chunks - 1] == NULL)
		t->n_chunks--;
}

static struct worker *take_free(struct worker_table *t)
{
	while (t->lowest < t->n_chunks &&
	       (t->chunks[t->lowest] == NULL || t->chunks[t->lowest]->free == NULL))
		t->lowest++;
	if (t->lowest >= t->n_chunks)
		return NULL;
	struct chunk *c = t->chunks[t->lowest];
	struct worker *w = c->free;
	c->free = w->next;
	c->n_used++;
	t->n_free--;
	return w;
}

static void give_back(struct worker_table *t, struct worker *w)
{
	size_t n = w->index / WORKER_CHUNK;
	struct chunk *c = t->chunks[n];
	w->is_used = false;
	w->next = c->free;
	c->free = w;
	c->n_used--;
	t->n_free++;
	if (n < t->lowest)
		t->lowest = n;
}

/* --- the table ----------------------------------------------------------------------- */

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

/* A place's home follows from its tag alone, so that it can be moved without its key. */
static uint32_t home_of(const struct worker_table *t, uint32_t tag)
{
	return tag & t->mask;
}

static void put(struct worker_table *t, uint32_t tag, uint32_t index)
{
	uint32_t i = home_of(t, tag);
	while (t->places[i].index != NOBODY)
		i = (i + 1) & t->mask;
	t->places[i] = (struct place){.tag = tag, .index = index};
}

static bool resize(struct worker_table *t, size_t n)
{
	struct place *places = malloc(n * sizeof(*places));
	if (places == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		places[i].index = NOBODY;
	struct place *before = t->places;
	size_t n_before = before == NULL ? 0 : (size_t)t->mask + 1;
	t->places = places;
	t->mask = (uint32_t)(n - 1);
	for (size_t i = 0; i < n_before; i++) {
		if (before[i].index != NOBODY)
			put(t, before[i].tag, before[i].index);
	}
	free(before);
	return true;
}

/* Close the gap at `i`: whoever behind it may stand nearer to its home does. */
static void close_gap(struct worker_table *t, uint32_t i)
{
	uint32_t gap = i;
	for (;;) {
		i = (i + 1) & t->mask;
		if (t->places[i].index == NOBODY)
			break;
		uint32_t from_home = (i - home_of(t, t->places[i].tag)) & t->mask;
		if (from_home >= ((i - gap) & t->mask)) {
			t->places[gap] = t->places[i];
			gap = i;
		}
	}
	t->places[gap].index = NOBODY;
}

uint64_t worker_table_hash(const struct worker_table *t, const struct conn_key *key)
{
	return conn_key_hash(key, t->seed);
}

void worker_table_prefetch(const struct worker_table *t, uint64_t hash)
{
	__builtin_prefetch(&t->places[home_of(t, tag_of(hash))]);
}

/* Where others stand in its home, its own line is fetched later: seldom, at half full. */
void worker_table_prefetch_worker(const struct worker_table *t, uint64_t hash)
{
	uint32_t index = t->places[home_of(t, tag_of(hash))].index;
	if (index == NOBODY)
		return;
	const struct worker *w = worker_at(t, index);
	__builtin_prefetch(w, 1);
	__builtin_prefetch(&w->packets, 1);
	__builtin_prefetch(&w->stream, 1);
}

struct worker *worker_table_find(const struct worker_table *t, const struct conn_key *key,
				 uint64_t hash)
{
	uint32_t tag = tag_of(hash);
	for (uint32_t i = home_of(t, tag); t->places[i].index != NOBODY; i = (i + 1) & t->mask) {
		if (t->places[i].tag != tag)
			continue;
		struct worker *w = worker_at(t, t->places[i].index);
		if (conn_key_equal(&w->key, key))
			return w;
	}
	return NULL;
}

struct worker *worker_table_add(struct worker_table *t, const struct conn_key *key, uint64_t hash)
{
	/* Half full is the aim; maintain() may be late by a turn's keys, not by more. */
	if (t->count > t->mask / 4 * 3)
		return NULL;
	struct worker *w = take_free(t);
	if (w == NULL)
		return NULL;
	*w = (struct worker){.key = *key, .tag = tag_of(hash), .index = w->index, .is_used = true};
	put(t, w->tag, w->index);
	t->count++;
	return w;
}

void worker_table_remove(struct worker_table *t, struct worker *w)
{
	assert(w->is_used && w->packets == 0 && w->queue == NULL && w->place == WORKER_IDLE);
	uint32_t i = home_of(t, w->tag);
	while (t->places[i].index != w->index)
		i = (i + 1) & t->mask;
	close_gap(t, i);
	give_back(t, w);
	t->count--;
}

/* --- off the packet path ------------------------------------------------------------- */

void worker_table_maintain(struct worker_table *t)
{
	while (t->n_free < WORKER_RESERVE && add_chunk(t))
		;
	drop_chunks(t);
	size_t n = (size_t)t->mask + 1;
	while (n > PLACES_MIN && t->count + WORKER_RESERVE < n / 8)
		n /= 2;
	while (n < 2 * (t->count + WORKER_RESERVE))
		n *= 2;
	/* Without memory the table stays as it is: add() refuses before it is too full. */
	if (n != (size_t)t->mask + 1)
		(void)resize(t, n);
}

struct worker *worker_table_walk(struct worker_table *t, uint32_t *at, uint32_t *steps)
{
	uint32_t end = (uint32_t)(t->n_chunks * WORKER_CHUNK);
	while (*steps > 0) {
		uint32_t i = *at;
		(*steps)--;
		if (i >= end) {
			*at = 0;
			*steps = 0;
			return NULL;
		}
		if (t->chunks[i / WORKER_CHUNK] == NULL ||
		    t->chunks[i / WORKER_CHUNK]->n_used == 0) {
			*at = (i / WORKER_CHUNK + 1) * WORKER_CHUNK;
			continue;
		}
		*at = i + 1;
		struct worker *w = worker_at(t, i);
		if (w->is_used)
			return w;
	}
	return NULL;
}

struct worker *worker_table_oldest(struct worker_table *t)
{
	struct worker *oldest = NULL, *w;
	/* A round that ends here may end at once: the next one begins with the first place. */
	for (unsigned rounds = 0; rounds < 2 && oldest == NULL; rounds++) {
		uint32_t steps = WORKER_OLDEST_AMONG;
		while ((w = worker_table_walk(t, &t->hand, &steps)) != NULL) {
			if (w->packets == 0 && (oldest == NULL || w->used_at < oldest->used_at))
				oldest = w;
		}
	}
	return oldest;
}

size_t worker_table_count(const struct worker_table *t)
{
	return t->count;
}

size_t worker_table_bytes(const struct worker_table *t)
{
	size_t n_chunks = (t->count + t->n_free) / WORKER_CHUNK;
	return sizeof(*t) + ((size_t)t->mask + 1) * sizeof(struct place) +
	       n_chunks * sizeof(struct chunk);
}

enum err worker_table_new(uint64_t seed, struct worker_table **ret_table)
{
	struct worker_table *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return ERR_NO_MEMORY;
	t->seed = seed;
	if (!resize(t, PLACES_MIN) || !add_chunk(t) || !add_chunk(t)) {
		for (size_t i = 0; i < t->n_chunks; i++)
			free(t->chunks[i]);
		free(t->places);
		free(t);
		return ERR_NO_MEMORY;
	}
	*ret_table = t;
	return ERR_OK;
}

struct worker_table *worker_table_free(struct worker_table *t)
{
	if (t == NULL)
		return NULL;
	assert(t->count == 0);
	for (size_t i = 0; i < t->n_chunks; i++)
		free(t->chunks[i]);
	free(t->places);
	free(t);
	return NULL;
}
