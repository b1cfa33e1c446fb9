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
	X(COUNTER_STREAMS_OPENED, "streams_opened", "packet streams opened by this node")          \
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

/* Written by its shard only. On cache lines of its own. All zero to begin with. */
struct metrics {
	_Alignas(64) uint64_t counters[COUNTER_COUNT];
	uint64_t drops[DROP_COUNT]; /* packets */
	uint64_t dropped_bytes;     /* of all of these */
};

/* A word for JSON: "tun_rx_packets"; and its meaning for people. Static memory, any thread. */
const char *counter_name(enum counter counter);
const char *counter_text(enum counter counter);

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

/* Add what another shard, or this one, has counted so far to *sum, which is the caller's own. */
void metrics_sum(struct metrics *sum, const struct metrics *m);
/* Packets dropped, for all reasons. */
uint64_t metrics_dropped(const struct metrics *m);
