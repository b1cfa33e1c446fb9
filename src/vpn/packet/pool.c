/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pool.c - see pool.h
 *
 * Per size: a slab of which the first `fresh` buffers have been used at least once, and a stack
 * of those that came back. A buffer is taken from the stack while there is one, so that a pool
 * that never had more than 100 packets out has touched the memory of 100.
 *
 * Under AddressSanitizer a free buffer is poisoned, so that a use after packet_free() is found.
 */
#include "vpn/packet/pool.h"

#include <assert.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, len)   ((void)(p), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(p, len) ((void)(p), (void)(len))
#endif

/* Buffers of one size. */
struct shelf {
	uint8_t *slab;
	struct packet *back; /* a stack of those that came back */
	size_t count;        /* in all */
	size_t fresh;        /* index of the first never used */
	size_t free;         /* not in use, fresh ones included */
	uint32_t cap;        /* bytes of data of each */
};

struct packet_pool {
	struct shelf small, large;
};

static_assert(sizeof(struct packet) == 64, "a small packet and its head are 2 KiB");
static_assert((int)PACKET_LARGE_CAP >= (int)PACKET_LEN_MAX, "a large packet holds any");

static size_t stride(const struct shelf *s)
{
	return sizeof(struct packet) + s->cap;
}

static enum err build(struct shelf *s, size_t count, uint32_t cap)
{
	*s = (struct shelf){.count = count, .free = count, .cap = cap};
	size_t size;
	if (count == 0)
		return ERR_OK;
	if (__builtin_mul_overflow(count, stride(s), &size))
		return ERR_NO_MEMORY;
	s->slab = aligned_alloc(64, size);
	return s->slab != NULL ? ERR_OK : ERR_NO_MEMORY;
}

enum err packet_pool_new(size_t small, size_t large, struct packet_pool **ret_pool)
{
	struct packet_pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return ERR_NO_MEMORY;
	enum err e = build(&pool->small, small, PACKET_SMALL_CAP);
	if (e == ERR_OK)
		e = build(&pool->large, large, PACKET_LARGE_CAP);
	if (e != ERR_OK) {
		free(pool->small.slab);
		free(pool);
		return e;
	}
	*ret_pool = pool;
	return ERR_OK;
}

struct packet_pool *packet_pool_free(struct packet_pool *pool)
{
	if (pool == NULL)
		return NULL;
	assert(packet_pool_free_count(pool) == packet_pool_count(pool));
	struct shelf *shelves[] = {&pool->small, &pool->large};
	for (size_t i = 0; i < 2; i++) {
		if (shelves[i]->slab != NULL)
			ASAN_UNPOISON_MEMORY_REGION(shelves[i]->slab,
						    shelves[i]->count * stride(shelves[i]));
		free(shelves[i]->slab);
	}
	free(pool);
	return NULL;
}

static struct packet *take(struct packet_pool *pool, struct shelf *s)
{
	struct packet *p = s->back;
	if (p != NULL) {
		ASAN_UNPOISON_MEMORY_REGION(p->data, s->cap);
		s->back = p->next;
		assert(p->is_free);
	} else {
		p = (struct packet *)(void *)(s->slab + s->fresh * stride(s));
		s->fresh++;
	}
	s->free--;
	p->next = NULL;
	p->pool = pool;
	p->queued_at = 0;
	p->receipt = NULL;
	p->len = 0;
	p->cap = s->cap;
	p->offload = (struct offload){0};
	p->is_free = false;
	return p;
}

struct packet *packet_alloc(struct packet_pool *pool, size_t cap)
{
	if (cap <= pool->small.cap && pool->small.free > 0)
		return take(pool, &pool->small);
	if (cap <= pool->large.cap && pool->large.free > 0)
		return take(pool, &pool->large);
	return NULL;
}

struct packet *packet_free(struct packet *packet)
{
	if (packet == NULL)
		return NULL;
	assert(!packet->is_free);
	struct packet_pool *pool = packet->pool;
	struct shelf *s = packet->cap == pool->small.cap ? &pool->small : &pool->large;
	packet->is_free = true;
	packet->next = s->back;
	s->back = packet;
	s->free++;
	ASAN_POISON_MEMORY_REGION(packet->data, s->cap);
	return NULL;
}

struct packet *packet_fit(struct packet *packet)
{
	struct packet_pool *pool = packet->pool;
	if (packet->cap == pool->small.cap || packet->len > pool->small.cap ||
	    pool->small.free == 0)
		return packet;
	struct packet *fit = take(pool, &pool->small);
	memcpy(fit->data, packet->data, packet->len);
	fit->len = packet->len;
	fit->offload = packet->offload;
	fit->queued_at = packet->queued_at;
	fit->receipt = packet->receipt;
	packet_free(packet);
	return fit;
}

size_t packet_pool_free_count(const struct packet_pool *pool)
{
	return pool->small.free + pool->large.free;
}

size_t packet_pool_count(const struct packet_pool *pool)
{
	return pool->small.count + pool->large.count;
}
