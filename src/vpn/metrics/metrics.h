/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * metrics.h - counters of one shard, summed when somebody asks
 *
 * Each shard has a struct metrics and is the only one to write to it; a count costs one addition.
 * Any thread may read: each counter is read whole (relaxed), the set of them is not one moment.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vpn/metrics/drop.h"

/* X(symbol, name, text) */
#define COUNTER_MAP(X)                                                                             \
	X(COUNTER_TUN_RX_PACKETS, "tun_rx_packets", "packets read from the TUN device")            \
	X(COUNTER_TUN_RX_BYTES, "tun_rx_bytes", "bytes of packets read from the TUN device")       \
	X(COUNTER_TUN_TX_PACKETS, "tun_tx_packets", "packets written to the TUN device")           \
	X(COUNTER_TUN_TX_BYTES, "tun_tx_bytes", "bytes of packets written to the TUN device")      \
	X(COUNTER_PEER_RX_PACKETS, "peer_rx_packets", "packets received from peers")               \
	X(COUNTER_PEER_RX_BYTES, "peer_rx_bytes", "bytes of packets received from peers")          \
	X(COUNTER_PEER_TX_PACKETS, "peer_tx_packets", "packets handed to streams")                 \
	X(COUNTER_PEER_TX_BYTES, "peer_tx_bytes", "bytes of packets handed to streams")            \
	X(COUNTER_SUPER_TX_PACKETS, "super_tx_packets", "super-packets among those handed over")   \
	X(COUNTER_ICMP_SENT, "icmp_sent", "ICMP errors written to the TUN device")                 \
	X(COUNTER_ICMP_LIMITED, "icmp_limited", "ICMP errors held back by the rate limit")         \
	X(COUNTER_ECN_MARKED, "ecn_marked", "packets marked as having met congestion")             \
	X(COUNTER_DISCOVERY_HITS, "discovery_hits", "owners of a destination that were found")     \
	X(COUNTER_DISCOVERY_MISSES, "discovery_misses", "destinations that nobody owns")           \
	X(COUNTER_DISCOVERY_ERRORS, "discovery_errors", "lookups of a destination that failed")    \
	X(COUNTER_WORKERS_CREATED, "workers_created", "workers made for a connection key")         \
	X(COUNTER_WORKERS_FREED, "workers_freed", "workers freed: idle, or their peer is gone")    \
	X(COUNTER_CALLBACKS, "callbacks", "completion callbacks called")                           \
	X(COUNTER_HANDOFFS, "handoffs", "packets handed to the shard that has the connection")     \
	X(COUNTER_STREAMS_TRIED, "streams_tried", "packet streams that were asked for")            \
	X(COUNTER_STREAMS_OPENED, "streams_opened", "packet streams opened by this node")          \
	X(COUNTER_STREAMS_CLOSED, "streams_closed", "of these, closed, for whatever reason")       \
	X(COUNTER_STREAMS_FAILED, "streams_failed", "packet streams that did not open, or broke")  \
	X(COUNTER_STREAMS_REPLACED, "streams_replaced",                                            \
	  "packet streams replaced: sick, or their connection is not the best any more")           \
	X(COUNTER_STREAMS_IDLED, "streams_idled",                                                  \
	  "packet streams closed because nothing used them")                                       \
	X(COUNTER_STREAMS_ACQUIRED, "streams_acquired", "connection keys given to a stream")       \
	X(COUNTER_KEYS_MOVED, "keys_moved", "connection keys moved from one stream to another")    \
	X(COUNTER_KEYS_SPREAD, "keys_spread", "connection keys spread over several streams")       \
	X(COUNTER_BREAKER_OPENINGS, "breaker_openings", "circuit breakers that opened")            \
	X(COUNTER_BREAKER_CLOSINGS, "breaker_closings", "circuit breakers that closed again")      \
	X(COUNTER_BREAKER_ALLOWED, "breaker_allowed", "attempts that a breaker let through")       \
	X(COUNTER_BREAKER_BLOCKED, "breaker_blocked", "attempts that a breaker held back")         \
	X(COUNTER_RETRIES, "retries", "attempts that followed a failed one")                       \
	X(COUNTER_STREAMS_ACCEPTED, "streams_accepted", "packet streams accepted from peers")      \
	X(COUNTER_STREAMS_BROKEN, "streams_broken", "packet streams that broke the framing rules") \
	X(COUNTER_FRAMES_SKIPPED, "frames_skipped", "frames of unknown types")                     \
	X(COUNTER_PROBES_SENT, "probes_sent", "probes sent")                                       \
	X(COUNTER_PROBES_ANSWERED, "probes_answered", "answers received to our probes")

enum counter {
#define X(symbol, name, text) symbol,
	COUNTER_MAP(X)
#undef X
	COUNTER_COUNT
};

/* X(symbol, name, text): what is counted in powers of two. */
#define HISTOGRAM_MAP(X)                                                                          \
	X(HISTOGRAM_SOJOURN, "sojourn_usec", "microseconds that packets waited for their stream") \
	X(HISTOGRAM_DEPTH, "queue_depth", "packets that waited for a stream as one more came")    \
	X(HISTOGRAM_STREAM_AGE, "stream_age_sec", "seconds that closed packet streams had lived")

enum histogram {
#define X(symbol, name, text) symbol,
	HISTOGRAM_MAP(X)
#undef X
	HISTOGRAM_COUNT
};

enum {
	/* Bucket 0 counts the value 0, bucket i values below 2^i, the last one all above: 2^22 us
	 * are 4 s, longer than a packet can wait. */
	HISTOGRAM_BUCKETS = 24,
};

/* Written by its shard only. On cache lines of its own. All zero to begin with. */
struct metrics {
	_Alignas(64) uint64_t counters[COUNTER_COUNT];
	uint64_t drops[DROP_COUNT]; /* packets */
	uint64_t dropped_bytes;     /* of all of these */
	uint64_t histograms[HISTOGRAM_COUNT][HISTOGRAM_BUCKETS];
	uint64_t histogram_sums[HISTOGRAM_COUNT]; /* of the values */
};

/* A word for JSON: "tun_rx_packets"; and its meaning for people. Static memory, any thread. */
const char *counter_name(enum counter counter);
const char *counter_text(enum counter counter);
const char *histogram_name(enum histogram histogram);
const char *histogram_text(enum histogram histogram);

/* One writer: a plain load and a store that readers see whole, no locked instruction. */
static inline void metrics_bump_(uint64_t *at, uint64_t n)
{
	__atomic_store_n(at, __atomic_load_n(at, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void metrics_add(struct metrics *m, enum counter counter, uint64_t n)
{
	metrics_bump_(&m->counters[counter], n);
}

/* One packet of `len` bytes was dropped. */
static inline void metrics_drop(struct metrics *m, enum drop reason, size_t len)
{
	metrics_bump_(&m->drops[reason], 1);
	metrics_bump_(&m->dropped_bytes, len);
}

/* One value more: its bucket is that of its highest bit. */
static inline void metrics_observe(struct metrics *m, enum histogram histogram, uint64_t value)
{
	unsigned bucket = value == 0 ? 0 : 64u - (unsigned)__builtin_clzll(value);
	if (bucket >= HISTOGRAM_BUCKETS)
		bucket = HISTOGRAM_BUCKETS - 1;
	metrics_bump_(&m->histograms[histogram][bucket], 1);
	metrics_bump_(&m->histogram_sums[histogram], value);
}

/* Add what another shard, or this one, has counted so far to *sum, which is the caller's own. */
void metrics_sum(struct metrics *sum, const struct metrics *m);
/* Packets dropped, for all reasons. */
uint64_t metrics_dropped(const struct metrics *m);
