/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stream.h - what a protocol sees: an ordered, reliable, half-closable pair of byte streams to a
 * peer
 *
 * A stream is made by conn_open_stream() or by the peer. Its protocol is agreed first
 * (multistream-select), then its owner is called through struct stream_ops.
 *
 * Sending is pulled: the owner says stream_wake() when it has something, and is asked for bytes
 * when the connection can take them, at the last moment: what waits is still the owner's, to
 * reorder or drop. Small protocols use stream_write(), which keeps a bounded copy.
 *
 * Receiving is pushed: on_data() uses all of what it is given before it returns; the window opens
 * again at once. An owner that cannot take more resets the stream: a bound, not a queue.
 *
 *     state         May                                       Must not
 *     NEGOTIATING   stream_reset()                            expect on_data, pull
 *     OPEN          everything                                -
 *     CLOSED        nothing: on_close() was the last call     be touched
 *
 * Owned by the shard of its connection. Callbacks may call any function of streams and connections;
 * on_close may come during stream_reset() never: it comes later in the same turn.
 */
#pragma once

#include "base/span.h"
#include "wire/peer_id.h"

struct conn;
struct stream;

/* What a protocol does with its streams. All members may be NULL. */
struct stream_ops {
	/* The protocol is agreed; for inbound streams stream_user() is the protocol's ctx until
	 * set. */
	void (*on_open)(struct stream *s);
	/* All of `data` is used up on return. It is lent for the call. */
	void (*on_data)(struct stream *s, struct span data);
	/* The peer will send no more. */
	void (*on_eof)(struct stream *s);
	/* Write 1..cap bytes to buf and return how many; 0: nothing now, until stream_wake(). No
	 * call into streams from here. */
	size_t (*pull)(struct stream *s, uint8_t *buf, size_t cap);
	/* The last call. ERR_OK: closed by both sides; ERR_NEGOTIATION: the peer does not speak it;
	 * ERR_TIMEOUT; others: broken. */
	void (*on_close)(struct stream *s, enum err why);
};

/* A protocol that we accept from others. */
struct protocol {
	const char *name; /* "/ipfs/ping/1.0.0" */
	const struct stream_ops *ops;
	void *ctx;
};

/* There is something to pull. Cheap; many calls are one. */
void stream_wake(struct stream *s);

/* Queue a copy, to be sent before anything that is pulled. ERR_FULL above STREAM_WRITE_MAX,
 * ERR_NO_MEMORY, ERR_BAD_STATE. */
MUST_USE enum err stream_write(struct stream *s, struct span data);

/* No more bytes from us once what was written is sent: FIN. Streams with a pull op end at once. */
void stream_close_write(struct stream *s);

/* End it both ways, now; on_close(why) follows later in this turn. Twice is once. */
void stream_reset(struct stream *s, enum err why);

void *stream_user(const struct stream *s);
void stream_set_user(struct stream *s, void *user);
struct conn *stream_conn(const struct stream *s);
const struct peer_id *stream_peer(const struct stream *s);
/* The agreed protocol's name, or NULL before that. */
const char *stream_protocol(const struct stream *s);
/* Did we open it? */
bool stream_is_outbound(const struct stream *s);
