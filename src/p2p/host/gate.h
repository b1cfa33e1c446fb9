/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * gate.h - how many strangers may stand at the door
 *
 * Counts inbound connections that have not proved who they are: in all, and by the block of
 * addresses that one person is likely to hold. The last CONN_TRANSIENT_RESERVED places are for
 * addresses that a configured peer has been seen at: a crowd of strangers does not lock them out.
 * At a bound the connection is closed and counted.
 *
 * Pure. Owned by the swarm.
 */
#pragma once

#include "base/limits.h"
#include "loop/loop.h"

struct gate {
	struct {
		bool is_used;
		union netaddr from;
	} slots[CONN_TRANSIENT_MAX];
	size_t n_used;
};

/* ERR_LIMIT: refuse. Otherwise *ret_slot is taken until gate_release(). */
MUST_USE enum err gate_admit(struct gate *g, const union netaddr *from, bool is_known,
			     unsigned *ret_slot);
void gate_release(struct gate *g, unsigned slot);
