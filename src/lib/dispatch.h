/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatch.h - a dispatcher that programs made; its states are in runnel/dispatch.h */
#pragma once

#include "lib/dispatch_shard.h"

enum dispatch_state {
	DISPATCH_NEW,
	DISPATCH_STARTING,
	DISPATCH_RUNNING,
	DISPATCH_STOPPING,
	DISPATCH_STOPPED,
};

struct runnel_dispatcher {
	/* Written by runnel_dispatcher_new(), then only read. */
	struct runnel_shard *shards;
	unsigned n_shards;
	uint32_t mtu;
	uint64_t seed; /* of the hash that spreads keys over shards */

	/* Written under the mutex; `state` is read without it where a packet is sent. */
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* state, or a shard has started */
	_Atomic enum dispatch_state state;
	uint64_t dropped; /* by the stop */
};

/* Is this one of its own threads? */
bool dispatch_is_here(const struct runnel_dispatcher *d);
