/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * memory_streams.h - a stream service without a network: peers that live in this process
 *
 * Each peer is told to the service with what takes its packets. A stream to it carries real bytes
 * of a real packet protocol: HELLO, packets, probes and their answers, read at the far end as by a
 * node. For programs that dispatch to something else than libp2p, and for tests: a peer can refuse,
 * stop taking bytes, stop answering, and break its streams.
 *
 * Bytes move at the end of the loop's turn, in the order in which streams were woken. Owned by one
 * shard.
 */
#pragma once

#include "loop/loop.h"
#include "vpn/api/stream_service.h"
#include "vpn/stream/frame.h"

struct memory_streams;

struct memory_peer {
	struct peer_id id;
	/* A packet arrived on the stream of this number (from 1, by order of opening). Lent for the
	 * call. */
	void (*on_packet)(void *ctx, const struct peer_id *peer, uint64_t stream,
			  struct span packet);
	void *ctx;
	enum packet_framing framing;
	struct frame_hello hello; /* what it says, with PACKET_FRAMING_RUNNEL */
	size_t pull_max;          /* bytes taken of a stream at once, as a record; 0: 65,507 */
};

/* ERR_NO_MEMORY. */
MUST_USE enum err memory_streams_new(struct loop *loop, struct memory_streams **ret_streams);
/* No stream is left. Takes NULL; returns NULL. */
struct memory_streams *memory_streams_free(struct memory_streams *m);
struct stream_service memory_streams_get(struct memory_streams *m);

/* Known from now on, and up. ERR_NO_MEMORY, ERR_DUPLICATE. */
MUST_USE enum err memory_streams_add(struct memory_streams *m, const struct memory_peer *peer);

/* What goes wrong with a peer; all false to begin with. */
struct memory_faults {
	bool is_down;    /* open() says ERR_UNREACHABLE; streams that are open stay */
	bool refuses;    /* streams end with ERR_NEGOTIATION before they are open */
	bool is_full;    /* takes no bytes */
	bool is_silent;  /* takes bytes and answers nothing */
	bool keeps_open; /* does not end its side when a stream is finished */
	bool is_suspect; /* the connection says so (facts) */
};
/* ERR_NOT_FOUND. */
MUST_USE enum err memory_streams_set(struct memory_streams *m, const struct peer_id *peer,
				     struct memory_faults faults);
/* Its streams end now with `why`; their on_close() comes at the end of the turn. */
void memory_streams_break(struct memory_streams *m, const struct peer_id *peer, enum err why);
/* One of them only, by its number. */
void memory_streams_break_one(struct memory_streams *m, uint64_t stream, enum err why);
/* Its streams are told to retire. */
void memory_streams_retire(struct memory_streams *m, const struct peer_id *peer);
/* Something came from the peer, beside its streams. */
void memory_streams_hear(struct memory_streams *m, const struct peer_id *peer);
/* Open streams of a peer. */
size_t memory_streams_count(const struct memory_streams *m, const struct peer_id *peer);
