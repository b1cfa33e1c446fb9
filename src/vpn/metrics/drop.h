/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* drop.h - why a packet was dropped: every reason has a name, and every drop one reason */
#pragma once

/* X(symbol, name, text) */
#define DROP_MAP(X)                                                                              \
	/* Read from TUN, on the way to a peer. */                                               \
	X(DROP_NO_ROUTE, "no_route", "no peer owns the destination address")                     \
	X(DROP_PEER_DOWN, "peer_down", "the peer is known but not connected")                    \
	X(DROP_BREAKER_OPEN, "breaker_open", "attempts to reach the peer failed too often")      \
	X(DROP_DISCOVERY, "discovery", "the owner of the destination could not be looked up")    \
	X(DROP_WORKER_LIMIT, "worker_limit", "more connection keys than there are workers")      \
	X(DROP_MULTICAST, "multicast", "multicast and broadcast are not forwarded")              \
	X(DROP_QUEUE_FULL, "queue_full", "the queue of the key, the stream or the peer is full") \
	X(DROP_QUEUE_DELAY, "queue_delay", "it waited too long in the queue of the peer")        \
	X(DROP_STREAM_RESET, "stream_reset", "its stream died while it was being sent")          \
	X(DROP_HANDOFF_FULL, "handoff_full",                                                     \
	  "the inbox of the shard with the peer's connection is full")                           \
	X(DROP_PEER_OFFLOAD, "peer_offload", "a super-packet for a peer that takes none")        \
	/* From a peer, on the way to TUN. */                                                    \
	X(DROP_SOURCE, "source_not_allowed", "the source address is not the sending peer's")     \
	X(DROP_REORDER, "reorder", "it came after packets that were sent behind it")             \
	X(DROP_TUN_FULL, "tun_full", "the TUN device took no more")                              \
	X(DROP_TUN_WRITE, "tun_write", "the TUN device refused it")                              \
	/* Either way. */                                                                        \
	X(DROP_MALFORMED, "malformed", "not a well-formed IP packet")                            \
	X(DROP_TOO_BIG, "too_big", "longer than the MTU of the path")                            \
	X(DROP_POOL_EMPTY, "pool_empty", "all packet buffers are in use")                        \
	X(DROP_CLOSING, "closing", "still in a queue when the node or the peer was let go")

enum drop {
#define X(symbol, name, text) symbol,
	DROP_MAP(X)
#undef X
	DROP_COUNT
};

/* A word for JSON and metrics: "queue_full". Static memory, any thread. */
const char *drop_name(enum drop reason);
/* A fragment for people: "the queue of the peer is full". */
const char *drop_text(enum drop reason);
