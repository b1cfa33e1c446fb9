/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatch_settings.h - what of dispatch can be set; all shards read one copy */
#pragma once

#include "vpn/dispatch/fair_queue.h"
#include "vpn/resilience/resilience.h"
#include "vpn/stream/frame.h"
#include "vpn/stream/stream_health.h"

struct dispatch_settings {
	size_t streams_min, streams_max; /* of a peer on a shard; max at least 1, and
					    stronger than min */
	nsec_t stream_idle_timeout;      /* above streams_min, an unused stream is closed */
	nsec_t stream_cleanup_interval;  /* ... looked at so often */
	nsec_t worker_idle_timeout;      /* a key without packets is forgotten */
	nsec_t worker_cleanup_interval;  /* ... looked at so often */
	bool multiplex; /* a key that is too much for one connection may use several */
	struct fair_queue_conf queue;            /* bounds of a key and of a stream, CoDel */
	size_t peer_packets_max, peer_bytes_max; /* bounds of a peer, over all of its streams */
	struct stream_health_conf health;
	struct breaker_conf breaker;
	struct retry_conf retry;
	struct frame_hello hello; /* what we say on each stream; its number is filled in */
	size_t vpn_mtu;           /* bytes: the longest packet on /vpn/1.0.0 */
};
