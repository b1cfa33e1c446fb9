/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reorder.c - see reorder.h
 *
 * Kept packets are found three ways: by number, in the ring of slots and its bitmap; in the order
 * in which they came, in a list through the slots; and by place, in the arena, where that list
 * lies one behind the other. All of `next` moving forward is advance().
 */
#include "vpn/stream/reorder.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"

enum {
	MASK = REORDER_PACKETS_MAX - 1,
	WORDS = REORDER_PACKETS_MAX / 64,
	NONE = UINT16_MAX, /* no slot */
};

static_assert((REORDER_PACKETS_MAX & MASK) == 0 && (int)REORDER_PACKETS_MAX <= (int)NONE,
	      "a slot is a number's lower bits");
static_assert((int)REORDER_BYTES_MAX >= (int)PACKET_LEN_MAX, "an empty arena takes any packet");

/* A kept packet. Only those whose bit is set mean anything. */
struct slot {
	nsec_t came_at;
	uint32_t offset; /* in the arena */
	uint32_t seq;
	uint16_t len;
	uint16_t older, newer; /* slots in the order of coming, or NONE */
	struct offload offload;
};

struct reorder {
	struct reorder_counts *counts;
	uint32_t next; /* the number that is due */
	uint32_t top;  /* the number behind the highest that came; not before `next` */
	bool is_begun; /* something was delivered, or the begin is known: missing numbers count */
	bool in_gap;   /* the number before `next` was given up */
	bool has_end;
	uint32_t end; /* the first number that will not come */
	nsec_t ended_at;

	size_t n_kept;
	uint16_t oldest, newest; /* slots, or NONE */
	uint32_t head;           /* where in the arena the next copy goes */
	uint64_t present[WORDS]; /* bit of a slot: a packet is kept there */
	struct slot slots[REORDER_PACKETS_MAX];
	uint8_t arena[REORDER_BYTES_MAX];
};

/* How far b is ahead of a; negative: behind. */
static int32_t distance(uint32_t a, uint32_t b)
{
	return (int32_t)(b - a);
}

void reorder_restart(struct reorder *r, uint32_t first)
{
	r->is_begun = first < REORDER_PACKETS_MAX;
	r->next = r->is_begun ? 0 : first - REORDER_BEFORE;
	r->top = r->next;
	r->in_gap = false;
	r->has_end = false;
	r->n_kept = 0;
	r->oldest = r->newest = NONE;
	r->head = 0;
	memset(r->present, 0, sizeof(r->present));
}

enum err reorder_new(uint32_t first, struct reorder_counts *counts, struct reorder **ret_reorder)
{
	/* Slots and arena are written before they are read: what no packet needs stays untouched.
	 */
	struct reorder *r = malloc(sizeof(*r));
	if (r == NULL)
		return ERR_NO_MEMORY;
	r->counts = counts;
	reorder_restart(r, first);
	*ret_reorder = r;
	return ERR_OK;
}

struct reorder *reorder_free(struct reorder *r)
{
	free(r);
	return NULL;
}

/* --- kept packets -------------------------------------------------------------------- */

static bool is_kept(const struct reorder *r, uint32_t seq)
{
	uint32_t i = seq & MASK;
	return (r->present[i / 64] >> (i % 64) & 1) != 0;
}

/* Numbers from `next` to the first that is kept, or `limit` if none is nearer. */
static uint32_t missing_run(const struct reorder *r, uint32_t limit)
{
	if (r->n_kept == 0)
		return limit;
	uint32_t first = r->next & MASK;
	/* Once around, the word with `first` twice: its upper bits, in the end its lower ones. */
	uint32_t word = first / 64;
	uint64_t bits = r->present[word] & UINT64_MAX << (first % 64);
	for (uint32_t k = 0; bits == 0; k++) {
		assert(k < WORDS);
		word = (word + 1) % WORDS;
		bits = r->present[word];
	}
	uint32_t run = (word * 64 + (uint32_t)__builtin_ctzll(bits) - first) & MASK;
	return run < limit ? run : limit;
}

/* Room in the arena for so many bytes. false: there is none. */
static bool find_room(struct reorder *r, uint32_t len, uint32_t *ret_offset)
{
	if (r->oldest == NONE) {
		*ret_offset = 0;
		return true;
	}
	/* Used is from `tail` on to `head`, maybe around the end; if both are equal, all of it. */
	uint32_t tail = r->slots[r->oldest].offset;
	uint32_t until = r->head > tail ? REORDER_BYTES_MAX : tail;
	if (len <= until - r->head) {
		*ret_offset = r->head;
		return true;
	}
	if (r->head > tail && len <= tail) {
		*ret_offset = 0;
		return true;
	}
	return false;
}

static void keep(struct reorder *r, uint32_t seq, uint32_t offset, struct span packet,
		 const struct offload *offload, nsec_t now)
{
	uint16_t i = (uint16_t)(seq & MASK);
	r->slots[i] = (struct slot){
		.came_at = now,
		.offset = offset,
		.seq = seq,
		.len = (uint16_t)packet.len,
		.older = r->newest,
		.newer = NONE,
		.offload = *offload,
	};
	memcpy(r->arena + offset, packet.p, packet.len);
	r->head = offset + (uint32_t)packet.len;
	if (r->newest == NONE)
		r->oldest = i;
	else
		r->slots[r->newest].newer = i;
	r->newest = i;
	r->present[i / 64] |= (uint64_t)1 << (i % 64);
	r->n_kept++;
	r->counts->kept++;
}

static void forget(struct reorder *r, uint16_t i)
{
	const struct slot *s = &r->slots[i];
	if (s->older == NONE)
		r->oldest = s->newer;
	else
		r->slots[s->older].newer = s->newer;
	if (s->newer == NONE)
		r->newest = s->older;
	else
		r->slots[s->newer].older = s->older;
	r->present[i / 64] &= ~((uint64_t)1 << (i % 64));
	r->n_kept--;
}

/* --- next moves on ------------------------------------------------------------------- */

static void deliver(struct reorder *r, struct span packet, const struct offload *offload,
		    const struct reorder_sink *sink)
{
	r->next++;
	r->is_begun = true;
	r->in_gap = false;
	r->counts->delivered++;
	sink->deliver(sink->ctx, packet, offload);
}

static void deliver_kept(struct reorder *r, const struct reorder_sink *sink)
{
	uint16_t i = (uint16_t)(r->next & MASK);
	const struct slot *s = &r->slots[i];
	deliver(r, span_of(r->arena + s->offset, s->len), &s->offload, sink);
	forget(r, i);
}

static void give_up(struct reorder *r, uint32_t n)
{
	r->next += n;
	if (!r->is_begun)
		return;
	if (!r->in_gap)
		r->counts->gaps++;
	r->counts->missing += n;
	r->in_gap = true;
}

/* What is kept and due. */
static void drain(struct reorder *r, const struct reorder_sink *sink)
{
	while (r->n_kept > 0 && is_kept(r, r->next))
		deliver_kept(r, sink);
}

/* Everything before `target`, which is not behind `next`, has its turn now. */
static void advance(struct reorder *r, uint32_t target, const struct reorder_sink *sink)
{
	while (r->next != target) {
		uint32_t run = missing_run(r, target - r->next);
		if (run > 0)
			give_up(r, run);
		else
			deliver_kept(r, sink);
	}
}

/* --- in ------------------------------------------------------------------------------ */

/* Keep it, at the price of older gaps if there is no room. false: it is due now. */
static bool make_room_and_keep(struct reorder *r, uint32_t seq, struct span packet,
			       const struct offload *offload, nsec_t now,
			       const struct reorder_sink *sink)
{
	uint32_t offset;
	while (!find_room(r, (uint32_t)packet.len, &offset)) {
		uint32_t oldest = r->slots[r->oldest].seq;
		if (distance(oldest, seq) < 0) {
			advance(r, seq, sink);
			return false;
		}
		advance(r, oldest, sink);
		drain(r, sink);
		if (seq == r->next)
			return false;
	}
	keep(r, seq, offset, packet, offload, now);
	return true;
}

enum reorder_outcome reorder_take(struct reorder *r, uint32_t seq, struct span packet,
				  const struct offload *offload, nsec_t now,
				  const struct reorder_sink *sink)
{
	assert(packet.len > 0 && packet.len <= PACKET_LEN_MAX);
	int32_t ahead = distance(r->next, seq);
	if (ahead < 0 || (r->has_end && distance(r->end, seq) >= 0)) {
		r->counts->late++;
		return REORDER_LATE;
	}
	if (distance(r->top, seq) >= 0)
		r->top = seq + 1;
	if (ahead >= REORDER_PACKETS_MAX) {
		advance(r, seq - MASK, sink);
		drain(r, sink);
	} else if (ahead > 0 && is_kept(r, seq)) {
		r->counts->duplicate++;
		return REORDER_DUPLICATE;
	}
	if (seq != r->next && make_room_and_keep(r, seq, packet, offload, now, sink))
		return REORDER_KEPT;
	deliver(r, packet, offload, sink);
	drain(r, sink);
	return REORDER_DELIVERED;
}

void reorder_end(struct reorder *r, uint32_t seq, nsec_t now)
{
	if (r->has_end || distance(r->top, seq) < 0)
		return;
	r->has_end = true;
	r->end = seq;
	r->ended_at = now;
}

bool reorder_is_done(const struct reorder *r)
{
	return r->has_end && r->next == r->end;
}

/* --- time ---------------------------------------------------------------------------- */

nsec_t reorder_deadline(const struct reorder *r)
{
	nsec_t since = NSEC_NEVER;
	if (r->oldest != NONE)
		since = r->slots[r->oldest].came_at;
	if (r->has_end && r->next != r->end)
		since = nsec_min(since, r->ended_at);
	return nsec_add(since, REORDER_WAIT);
}

void reorder_expire(struct reorder *r, nsec_t now, const struct reorder_sink *sink)
{
	while (r->oldest != NONE && nsec_add(r->slots[r->oldest].came_at, REORDER_WAIT) <= now) {
		advance(r, r->slots[r->oldest].seq, sink);
		drain(r, sink);
	}
	if (r->has_end && nsec_add(r->ended_at, REORDER_WAIT) <= now)
		advance(r, r->end, sink);
}

void reorder_flush(struct reorder *r, const struct reorder_sink *sink)
{
	while (r->n_kept > 0) {
		advance(r, r->next + missing_run(r, REORDER_PACKETS_MAX), sink);
		drain(r, sink);
	}
}

size_t reorder_kept(const struct reorder *r)
{
	return r->n_kept;
}
