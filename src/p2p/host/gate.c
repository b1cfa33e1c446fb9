/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* gate.c - see gate.h. At most CONN_TRANSIENT_MAX entries: counting is a walk. */
#include "p2p/host/gate.h"

#include <assert.h>

static_assert(CONN_TRANSIENT_RESERVED < CONN_TRANSIENT_MAX, "strangers get some places");
static_assert(CONN_PER_IP6_48_MAX < CONN_TRANSIENT_MAX - CONN_TRANSIENT_RESERVED,
	      "no site gets all");

/* Do two IPv6 addresses share their first n bytes? */
static bool shares(const union netaddr *a, const union netaddr *b, size_t n)
{
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, n) == 0;
}

static bool within_block_limits(const struct gate *g, const union netaddr *from)
{
	size_t same_ip4 = 0, same_56 = 0, same_48 = 0;
	for (size_t i = 0; i < CONN_TRANSIENT_MAX; i++) {
		const union netaddr *other = &g->slots[i].from;
		if (!g->slots[i].is_used || other->sa.sa_family != from->sa.sa_family)
			continue;
		if (from->sa.sa_family == AF_INET) {
			same_ip4 += other->in4.sin_addr.s_addr == from->in4.sin_addr.s_addr;
		} else {
			same_56 += shares(other, from, 56 / 8);
			same_48 += shares(other, from, 48 / 8);
		}
	}
	return same_ip4 < CONN_PER_IP4_MAX && same_56 < CONN_PER_IP6_56_MAX &&
	       same_48 < CONN_PER_IP6_48_MAX;
}

enum err gate_admit(struct gate *g, const union netaddr *from, bool is_known, unsigned *ret_slot)
{
	size_t places = is_known ? CONN_TRANSIENT_MAX
				 : CONN_TRANSIENT_MAX - CONN_TRANSIENT_RESERVED;
	if (!within_block_limits(g, from))
		return ERR_LIMIT;
	if (g->n_used >= places)
		return ERR_FULL;
	unsigned slot = 0;
	while (g->slots[slot].is_used)
		slot++;
	g->slots[slot].is_used = true;
	g->slots[slot].from = *from;
	g->n_used++;
	*ret_slot = slot;
	return ERR_OK;
}

void gate_release(struct gate *g, unsigned slot)
{
	assert(slot < CONN_TRANSIENT_MAX && g->slots[slot].is_used);
	g->slots[slot].is_used = false;
	g->n_used--;
}

/* --- rates --------------------------------------------------------------------------- */

struct rate {
	nsec_t interval; /* between tokens */
	nsec_t burst;    /* intervals that may be owed */
};

#define RATE(per_sec, tokens)                                  \
	{                                                      \
		.interval = NSEC_PER_SEC / (per_sec),          \
		.burst = (tokens) * (NSEC_PER_SEC / (per_sec)) \
	}

static const struct rate rate_ip4 = RATE(CONN_RATE_IP4_PER_SEC, CONN_RATE_IP4_BURST);
static const struct rate rate_48 = RATE(CONN_RATE_IP6_48_PER_SEC, CONN_RATE_IP6_48_BURST);
static const struct rate rate_all = RATE(CONN_RATE_PER_SEC, CONN_RATE_BURST);

static bool has_token(nsec_t paid_at, const struct rate *rate, nsec_t now)
{
	return paid_at <= now || paid_at - now <= rate->burst - rate->interval;
}

static nsec_t take_token(nsec_t paid_at, const struct rate *rate, nsec_t now)
{
	return nsec_add(paid_at > now ? paid_at : now, rate->interval);
}

/* The buckets of one block of addresses, and how fast they fill. */
struct block {
	const struct rate *rate;
	nsec_t *bucket[GATE_ROWS];
};

/* splitmix64's finalizer: a keyed mix, of which nobody outside sees any output. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static struct block find_block(struct gate *g, uint64_t bits, unsigned tag, const struct rate *rate)
{
	struct block b = {.rate = rate};
	uint64_t hash = mix(mix(bits ^ g->key) + g->key + tag);
	for (size_t i = 0; i < GATE_ROWS; i++)
		b.bucket[i] = &g->rows[i][(hash >> 32 * i) % GATE_ROW_LEN];
	return b;
}

static nsec_t block_paid_at(const struct block *b)
{
	return nsec_min(*b->bucket[0], *b->bucket[1]);
}

static size_t find_blocks(struct gate *g, const union netaddr *from, struct block ret[2])
{
	if (from->sa.sa_family == AF_INET) {
		ret[0] = find_block(g, from->in4.sin_addr.s_addr, 4, &rate_ip4);
		return 1;
	}
	uint64_t prefix = load_be64(from->in6.sin6_addr.s6_addr);
	ret[0] = find_block(g, prefix >> 8, 56, &rate_ip4);
	ret[1] = find_block(g, prefix >> 16, 48, &rate_48);
	return 2;
}

enum err gate_pace(struct gate *g, const union netaddr *from, bool is_known, nsec_t now)
{
	static_assert(GATE_ROWS == 2, "the better off of two");
	struct block blocks[2];
	size_t n = find_blocks(g, from, blocks);
	for (size_t i = 0; i < n; i++) {
		if (!has_token(block_paid_at(&blocks[i]), blocks[i].rate, now))
			return ERR_LIMIT;
	}
	if (!is_known && !has_token(g->paid_at, &rate_all, now))
		return ERR_BUSY;

	if (!is_known)
		g->paid_at = take_token(g->paid_at, &rate_all, now);
	for (size_t i = 0; i < n; i++) {
		nsec_t paid_at = take_token(block_paid_at(&blocks[i]), blocks[i].rate, now);
		for (size_t row = 0; row < GATE_ROWS; row++) {
			if (*blocks[i].bucket[row] < paid_at)
				*blocks[i].bucket[row] = paid_at;
		}
	}
	return ERR_OK;
}
