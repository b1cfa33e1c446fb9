/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * inbox.c - see inbox.h
 *
 * Positions count up from 0 and never come back; position p uses slot p mod n, for the
 * (p div n)th time: its lap. A slot's `seq` says what it may be used for:
 *
 *     2 * lap        free for the put of this lap
 *     2 * lap + 1    holds the packet of this lap
 *
 * What one side sees of a `seq` that it waits for, it acquires, and the other has released, so the
 * bytes of a slot have one owner at a time. All zero is a ring at its start: calloc() makes it, and
 * no page is touched before a packet is in it.
 */
#include "vpn/dispatch/inbox.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	LINE = 64 /* bytes of a cache line */
};

#define CLOSED ((uint64_t)1 << 63) /* in `tail` */

enum bell {
	AWAKE,
	ASLEEP,
	RUNG
};

struct slot {
	_Atomic uint64_t seq;
	void *ticket;
	uint8_t tag[INBOX_TAG_LEN];
	uint32_t len;
	struct offload offload;
	_Alignas(LINE) uint8_t data[];
};

static_assert(sizeof(struct slot) == LINE, "the head of a slot is one cache line");

/* Who writes what has its own line; what nobody writes is on the first. */
struct inbox {
	uint8_t *slots;
	void *memory; /* what `slots` is in */
	size_t stride;
	size_t packet_len_max;
	uint64_t mask;                          /* of a position: its slot */
	unsigned lap_shift;                     /* of a position: its lap */
	_Alignas(LINE) _Atomic uint64_t tail;   /* the next to be claimed; and CLOSED */
	_Alignas(LINE) _Atomic(enum bell) bell; /* see inbox.h */
	_Alignas(LINE) uint64_t head;           /* the next to be popped; the consumer's */
};

static struct slot *slot_at(const struct inbox *in, uint64_t position)
{
	return (struct slot *)(void *)(in->slots + (position & in->mask) * in->stride);
}

static uint64_t free_seq(const struct inbox *in, uint64_t position)
{
	return position >> in->lap_shift << 1;
}

static uint64_t held_seq(const struct inbox *in, uint64_t position)
{
	return free_seq(in, position) + 1;
}

enum err inbox_new(size_t slots, size_t packet_len_max, struct inbox **ret_inbox)
{
	assert(slots > 0 && (slots & (slots - 1)) == 0);
	assert(packet_len_max > 0 && packet_len_max <= UINT32_MAX);
	/* An odd number of lines, so that the heads of the slots spread over all sets of a cache.
	 */
	size_t stride = sizeof(struct slot) + (packet_len_max + LINE - 1) / LINE * LINE, size;
	if (stride / LINE % 2 == 0)
		stride += LINE;
	if (__builtin_mul_overflow(slots, stride, &size) ||
	    __builtin_add_overflow(size, (size_t)LINE, &size))
		return ERR_NO_MEMORY;
	struct inbox *in = aligned_alloc(LINE, sizeof(*in));
	void *memory = calloc(1, size);
	if (in == NULL || memory == NULL) {
		free(in);
		free(memory);
		return ERR_NO_MEMORY;
	}
	*in = (struct inbox){
		.slots = (uint8_t *)memory + (LINE - (uintptr_t)memory % LINE) % LINE,
		.memory = memory,
		.stride = stride,
		.packet_len_max = packet_len_max,
		.mask = slots - 1,
		.lap_shift = (unsigned)__builtin_ctzll(slots),
		.bell = ASLEEP,
	};
	*ret_inbox = in;
	return ERR_OK;
}

struct inbox *inbox_free(struct inbox *in)
{
	if (in == NULL)
		return NULL;
	assert((atomic_load(&in->tail) & ~CLOSED) == in->head);
	free(in->memory);
	free(in);
	return NULL;
}

/* --- producers ------------------------------------------------------------------------- */

static enum err claim(struct inbox *in, uint64_t *ret_position)
{
	uint64_t position = atomic_load_explicit(&in->tail, memory_order_relaxed);
	for (;;) {
		if ((position & CLOSED) != 0)
			return ERR_CLOSED;
		uint64_t seq =
			atomic_load_explicit(&slot_at(in, position)->seq, memory_order_acquire);
		if (seq < free_seq(in, position))
			return ERR_FULL;          /* holds a packet of the lap before */
		if (seq > free_seq(in, position)) /* another put was faster */
			position = atomic_load_explicit(&in->tail, memory_order_relaxed);
		else if (atomic_compare_exchange_weak_explicit(&in->tail, &position, position + 1,
							       memory_order_relaxed,
							       memory_order_relaxed))
			break;
	}
	*ret_position = position;
	return ERR_OK;
}

/* Is it for this put to wake the consumer? */
static bool ring(struct inbox *in)
{
	enum bell bell = atomic_load(&in->bell);
	return bell == ASLEEP && atomic_compare_exchange_strong(&in->bell, &bell, RUNG);
}

enum err inbox_put_behind(struct inbox *in, struct span head, struct span packet,
			  const struct inbox_meta *meta, bool *ret_must_wake)
{
	if (head.len > in->packet_len_max || packet.len > in->packet_len_max - head.len)
		return ERR_TOO_LONG;
	uint64_t position;
	enum err e = claim(in, &position);
	if (e != ERR_OK)
		return e;
	struct slot *slot = slot_at(in, position);
	slot->ticket = meta->ticket;
	memcpy(slot->tag, meta->tag, sizeof(slot->tag));
	slot->offload = meta->offload;
	slot->len = (uint32_t)(head.len + packet.len);
	if (head.len > 0)
		memcpy(slot->data, head.p, head.len);
	if (packet.len > 0)
		memcpy(slot->data + head.len, packet.p, packet.len);
	atomic_store(&slot->seq, held_seq(in, position));
	*ret_must_wake = ring(in);
	return ERR_OK;
}

enum err inbox_put(struct inbox *in, struct span packet, const struct inbox_meta *meta,
		   bool *ret_must_wake)
{
	return inbox_put_behind(in, span_of(NULL, 0), packet, meta, ret_must_wake);
}

void inbox_close(struct inbox *in)
{
	atomic_fetch_or(&in->tail, CLOSED);
}

/* --- the consumer ---------------------------------------------------------------------- */

bool inbox_peek(struct inbox *in, struct inbox_item *ret_item)
{
	struct slot *slot = slot_at(in, in->head);
	if (atomic_load_explicit(&slot->seq, memory_order_acquire) != held_seq(in, in->head))
		return false;
	*ret_item = (struct inbox_item){
		.data = slot->data,
		.len = slot->len,
		.meta = {.ticket = slot->ticket, .offload = slot->offload},
	};
	memcpy(ret_item->meta.tag, slot->tag, sizeof(slot->tag));
	return true;
}

void inbox_pop(struct inbox *in)
{
	struct slot *slot = slot_at(in, in->head);
	uint64_t held = held_seq(in, in->head);
	assert(atomic_load_explicit(&slot->seq, memory_order_relaxed) == held);
	atomic_store_explicit(&slot->seq, held + 1, memory_order_release);
	in->head++;
}

void inbox_wake(struct inbox *in)
{
	assert(atomic_load(&in->bell) != ASLEEP);
	atomic_store(&in->bell, AWAKE);
}

bool inbox_sleep(struct inbox *in)
{
	enum bell bell = AWAKE;
	if (!atomic_compare_exchange_strong(&in->bell, &bell, ASLEEP))
		return true; /* it sleeps, or is being called */
	if (atomic_load(&slot_at(in, in->head)->seq) != held_seq(in, in->head))
		return true;
	bell = ASLEEP;
	return !atomic_compare_exchange_strong(&in->bell, &bell, AWAKE); /* no: RUNG meanwhile */
}

bool inbox_is_drained(const struct inbox *in)
{
	return atomic_load_explicit(&in->tail, memory_order_acquire) == (in->head | CLOSED);
}
