/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* gate.c - see gate.h. At most CONN_TRANSIENT_MAX entries: counting is a walk. */
#include "p2p/host/gate.h"

#include <assert.h>

static_assert(CONN_TRANSIENT_RESERVED < CONN_TRANSIENT_MAX, "strangers get some places");

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
	if (g->n_used >= places || !within_block_limits(g, from))
		return ERR_LIMIT;
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
