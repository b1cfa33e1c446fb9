/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * channel.h - what one stream sends: its queue of packets, made into frames
 *
 * Packets wait in the fair queue, by key; when the connection has room it pulls bytes: frames back
 * to back, straight from the packets into the record that is sealed next. A frame that does not fit
 * is cut and goes on in the next pull. So what waits, waits here, where it has a bound and can
 * still be dropped, and not in a send buffer. Each stream has a channel of its own, with one
 * producer and one consumer on one shard: nobody needs a lock to send.
 *
 *     a channel is   May                                       Must not
 *     DETACHED       push; the packets wait for a stream       pull anything
 *     GREETED        our HELLO, probes; plain packets of up    send super-packets and longer
 *                    to FRAME_MTU_MIN bytes                    packets: they wait, and what is
 *                                                              behind them, for the peer's HELLO
 *     READY          all that the peer said it takes           what it does not: dropped, counted
 *
 * /vpn/1.0.0 has no HELLO: it is READY at once. A packet whose checksum is left open is completed
 * here where the other side does not take offload. Owned by the shard of its stream.
 */
#pragma once

#include "vpn/api/stream_service.h"
#include "vpn/dispatch/fair_queue.h"
#include "vpn/stream/frame.h"
#include "vpn/stream/vpn_frame.h"

enum channel_state {
	CHANNEL_DETACHED,
	CHANNEL_GREETED,
	CHANNEL_READY,
};

enum {
	CHANNEL_CONTROL_CAP = 416, /* bytes; the longest HELLO and a dozen of probes or answers */
};

struct channel {
	struct fair_queue queue;
	struct metrics *metrics;

	enum channel_state state;
	enum packet_framing framing;
	size_t packet_len_max;  /* bytes that the other side takes as a packet or segment */
	size_t payload_len_max; /* ... and as a frame's payload */
	bool takes_offload;
	bool takes_probes; /* the peer answers them */
	bool takes_moves;  /* REPLACES, DIAL_LANE */
	bool takes_seq;    /* SEQ */

	/* The frame that is being sent; NULL: between two frames. */
	struct packet *begun;
	uint8_t header[FRAME_SEQ_SUPER_HEADER_LEN];
	size_t header_len;
	size_t offset; /* bytes of header and packet that are sent */

	uint64_t sent_packets, sent_bytes; /* sums: what the stream really took */

	/* Control frames, sent before the next packet. */
	size_t control_len;
	size_t control_sent;
	uint8_t control[CHANNEL_CONTROL_CAP];
};

/* Detached and empty. `conf`, `share` and `metrics` outlive it. */
void channel_init(struct channel *c, const struct fair_queue_conf *conf, struct share *share,
		  struct metrics *metrics);
/* All workers have left the queue. A half-sent packet is dropped (DROP_CLOSING). */
void channel_deinit(struct channel *c);

/* A stream of /runnel/packet/1.0.0 that we opened: `own` goes out first. Was detached. */
void channel_attach(struct channel *c, const struct frame_hello *own);
/* A stream of /vpn/1.0.0 that we opened; packets of up to mtu bytes. Was detached. */
void channel_attach_vpn(struct channel *c, size_t mtu);
/* The peer's HELLO came on this stream. Was greeted. */
void channel_peer_hello(struct channel *c, const struct frame_hello *peer);
/* The stream is dead: a half-sent packet is dropped (DROP_STREAM_RESET), control frames are
 * forgotten, whole packets wait for the next stream. Any state. */
void channel_reset_to_frame_boundary(struct channel *c);

/* The longest packet, or segment of a super-packet, that the peer takes; PACKET_LEN_MAX as long as
 * it has not said. */
static inline size_t channel_mtu(const struct channel *c)
{
	return c->state == CHANNEL_READY ? c->packet_len_max : PACKET_LEN_MAX;
}

/* A whole control frame, to be sent at the next boundary between frames. Was attached.
 * ERR_FULL: as many wait as there is room for; nothing is put. */
MUST_USE enum err channel_put_control(struct channel *c, struct span frame);
MUST_USE enum err channel_put_probe(struct channel *c, enum frame_type type,
				    const struct frame_probe *probe);

/* Is there work for channel_pull()? It may still return 0 bytes, where all that waited was what the
 * peer does not take. */
bool channel_has_output(const struct channel *c);
/* Write up to cap bytes of frames to buf. Returns how many; fewer than cap: there is no more. */
size_t channel_pull(struct channel *c, uint8_t *buf, size_t cap, nsec_t now);
