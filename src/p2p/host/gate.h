/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * gate.h - how many strangers may stand at the door
 *
 * Counts inbound connections that have not proved who they are: in all, and by the block of
 * addresses that one person is likely to hold. The last CONN_TRANSIENT_RESERVED places are for
 * addresses that a configured peer has been seen at: a crowd of strangers does not lock them out.
 * At a bound the connection is closed and counted; but where all places are taken, the swarm may
 * have the longest one there make room.
 *
 * And how many may come in a time, because shaking hands costs more than asking for it: a token
 * bucket for each block of addresses and one for all strangers together. Blocks share a table of
 * fixed size: each has a bucket in two rows, by two keyed hashes, and counts as the better off of
 * the two. So an attacker takes no memory, and hits the buckets of somebody else only by filling a
 * good part of both rows, which the bucket for all forbids.
 *
 * Pure. Owned by the swarm.
 */
#pragma once

#include "base/limits.h"
#include "loop/loop.h"

enum {
	GATE_ROWS = 2,
	GATE_ROW_LEN = 2048, /* buckets, 32 KB in all; 300 addresses that emptied theirs hold up 2%
				of the others */
};

struct gate {
	struct {
		bool is_used;
		union netaddr from;
	} slots[CONN_TRANSIENT_MAX];
	size_t n_used;
	uint64_t key; /* of the hashes; random, the owner's to set */
	/* Buckets: when the last token will have flowed back. */
	nsec_t paid_at;
	nsec_t rows[GATE_ROWS][GATE_ROW_LEN];
};

/* ERR_FULL: no place is left; ERR_LIMIT: this block of addresses has its share. Otherwise *ret_slot
 * is taken until gate_release(). */
MUST_USE enum err gate_admit(struct gate *g, const union netaddr *from, bool is_known,
			     unsigned *ret_slot);
/* May one more come from there now? Then it has taken its tokens, otherwise none. ERR_LIMIT: too
 * many came from this block of addresses lately; ERR_BUSY: too many strangers from anywhere, which
 * does not hold up known addresses. */
MUST_USE enum err gate_pace(struct gate *g, const union netaddr *from, bool is_known, nsec_t now);
void gate_release(struct gate *g, unsigned slot);
