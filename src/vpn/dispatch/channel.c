/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * channel.c - see channel.h
 *
 * What a pull writes next is decided at frame boundaries only: first the control frames, then the
 * packet of the key whose turn it is. From its first byte on a frame is `begun` and goes out whole,
 * or dies with its stream. A begun packet has left the queue, but the peer's share holds it until
 * its last byte is out.
 */
#include "vpn/dispatch/channel.h"

#include <assert.h>

#include "vpn/dispatch/receipt.h"
#include "vpn/dispatch/spread.h"

static_assert((int)CHANNEL_CONTROL_CAP >= FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX +
						  12 * (FRAME_HEADER_LEN + FRAME_PROBE_LEN),
	      "a HELLO and a dozen of probes");

void channel_init(struct channel *c, const struct fair_queue_conf *conf, struct share *share,
		  struct metrics *metrics)
{
	*c = (struct channel){.metrics = metrics};
	fair_queue_init(&c->queue, conf, share, metrics);
}

static void drop(struct channel *c, struct packet *p, enum drop reason)
{
	share_drop(c->queue.share, c->metrics, p, reason);
}

static void reset(struct channel *c, enum drop reason)
{
	if (c->begun != NULL)
		drop(c, c->begun, reason);
	c->begun = NULL;
	c->header_len = 0;
	c->offset = 0;
	c->control_len = 0;
	c->control_sent = 0;
	c->state = CHANNEL_DETACHED;
}

void channel_deinit(struct channel *c)
{
	reset(c, DROP_CLOSING);
	fair_queue_deinit(&c->queue);
}

/* --- the stream's life --------------------------------------------------------------- */

void channel_attach(struct channel *c, const struct frame_hello *own)
{
	assert(c->state == CHANNEL_DETACHED);
	c->state = CHANNEL_GREETED;
	c->framing = PACKET_FRAMING_RUNNEL;
	c->packet_len_max = FRAME_MTU_MIN;
	c->payload_len_max = FRAME_MTU_MIN;
	c->takes_offload = false;

	struct wbuf out = wbuf_of(c->control, sizeof(c->control));
	frame_put_hello(&out, own);
	assert(!out.overflowed);
	c->control_len = out.len;
}

void channel_attach_vpn(struct channel *c, size_t mtu)
{
	assert(c->state == CHANNEL_DETACHED);
	c->state = CHANNEL_READY;
	c->framing = PACKET_FRAMING_VPN;
	c->packet_len_max = mtu;
	c->payload_len_max = mtu;
	c->takes_offload = false;
}

void channel_peer_hello(struct channel *c, const struct frame_hello *peer)
{
	assert(c->state == CHANNEL_GREETED);
	c->state = CHANNEL_READY;
	c->packet_len_max = peer->mtu;
	c->payload_len_max = peer->payload_len_max;
	c->takes_offload = (peer->capabilities & FRAME_CAN_OFFLOAD) != 0;
	c->takes_seq = (peer->capabilities & FRAME_CAN_SEQ) != 0;
	c->takes_moves = (peer->capabilities & FRAME_CAN_MOVE) != 0;
	c->takes_probes = (peer->capabilities & FRAME_CAN_PROBE) != 0;
}

void channel_reset_to_frame_boundary(struct channel *c)
{
	reset(c, DROP_STREAM_RESET);
}

/* --- in ------------------------------------------------------------------------------ */

enum err channel_put_control(struct channel *c, struct span frame)
{
	assert(c->state != CHANNEL_DETACHED && c->framing == PACKET_FRAMING_RUNNEL);
	if (frame.len > sizeof(c->control) - (c->control_len - c->control_sent))
		return ERR_FULL;
	if (c->control_sent > 0) {
		c->control_len -= c->control_sent;
		memmove(c->control, c->control + c->control_sent, c->control_len);
		c->control_sent = 0;
	}
	memcpy(c->control + c->control_len, frame.p, frame.len);
	c->control_len += frame.len;
	return ERR_OK;
}

enum err channel_put_probe(struct channel *c, enum frame_type type, const struct frame_probe *probe)
{
	uint8_t frame[FRAME_HEADER_LEN + FRAME_PROBE_LEN];
	struct wbuf out = wbuf_of(frame, sizeof(frame));
	frame_put_probe(&out, type, probe);
	return channel_put_control(c, wbuf_view(&out));
}

/* --- out ----------------------------------------------------------------------------- */

/* Does this packet have to wait for the peer to say whether it takes it? */
static bool must_wait(const struct channel *c, const struct packet *p)
{
	return c->state == CHANNEL_GREETED &&
	       (offload_is_super(&p->offload) || p->len > c->packet_len_max);
}

bool channel_has_output(const struct channel *c)
{
	return c->state != CHANNEL_DETACHED &&
	       (c->begun != NULL || c->control_sent < c->control_len || c->queue.packets > 0);
}

/* Can this packet be sent to this peer at all? If not, *ret_reason is why. */
static bool is_taken(const struct channel *c, const struct packet *p, enum drop *ret_reason)
{
	*ret_reason = DROP_PEER_OFFLOAD;
	if (offload_is_super(&p->offload) && !c->takes_offload)
		return false;
	*ret_reason = DROP_TOO_BIG;
	if (offload_segment_len(&p->offload, p->len) > c->packet_len_max)
		return false;
	bool is_plain = offload_is_plain(&p->offload) || !c->takes_offload;
	return p->len + (is_plain ? 0u : OFFLOAD_LEN) <= c->payload_len_max;
}

/* The packet of a limb goes with its number: it may overtake, and be overtaken. */
static void put_seq_header(struct channel *c, const struct packet *p, struct frame_seq *at)
{
	if (offload_is_plain(&p->offload)) {
		frame_put_seq_header(c->header, at, p->len);
		c->header_len = FRAME_SEQ_HEADER_LEN;
	} else {
		frame_put_seq_super_header(c->header, at, &p->offload, p->len);
		c->header_len = FRAME_SEQ_SUPER_HEADER_LEN;
	}
	at->seq++;
}

static void put_header(struct channel *c, struct packet *p, struct worker *w)
{
	if (!c->takes_offload && !offload_is_plain(&p->offload))
		offload_finish_checksum(&p->offload, p->data, p->len);
	if (c->framing == PACKET_FRAMING_VPN) {
		vpn_frame_put_header(c->header, p->len);
		c->header_len = VPN_FRAME_HEADER_LEN;
	} else if (w->is_limb) {
		put_seq_header(c, p, &w->spread->at);
	} else if (offload_is_plain(&p->offload)) {
		frame_put_packet_header(c->header, p->len);
		c->header_len = FRAME_HEADER_LEN;
	} else {
		frame_put_super_header(c->header, &p->offload, p->len);
		c->header_len = FRAME_SUPER_HEADER_LEN;
	}
	c->offset = 0;
}

/* Begin the frame of the next packet that the peer takes. false: there is none, or it waits. */
static bool begin(struct channel *c, nsec_t now)
{
	struct worker *w;
	while ((w = fair_queue_next(&c->queue)) != NULL && !must_wait(c, w->head)) {
		struct packet *p = fair_queue_take(&c->queue, w, now);
		enum drop reason;
		if (p == NULL)
			continue;
		if (is_taken(c, p, &reason)) {
			w->sent_packets++;
			w->sent_bytes += p->len;
			put_header(c, p, w);
			c->begun = p;
			return true;
		}
		drop(c, p, reason);
	}
	return false;
}

static void finish(struct channel *c)
{
	struct packet *p = c->begun;
	struct share *s = c->queue.share;
	s->packets--;
	s->bytes -= p->len;
	s->sent_packets++;
	s->sent_bytes += p->len;
	c->sent_packets++;
	c->sent_bytes += p->len;
	if (offload_is_super(&p->offload))
		metrics_add(c->metrics, COUNTER_SUPER_TX_PACKETS, 1);
	packet_end(p, c->metrics, PACKET_SENT);
	c->begun = NULL;
	c->header_len = 0;
	c->offset = 0;
}

/* Append as much of `from` as fits; how much. */
static size_t put_some(struct wbuf *out, struct span from)
{
	if (from.len > wbuf_room(out))
		from.len = wbuf_room(out);
	wbuf_put(out, from);
	return from.len;
}

/* A frame from its first byte to its last, where there is room for it: nearly always. */
static bool put_whole(struct channel *c, struct wbuf *out)
{
	struct span packet = packet_view(c->begun);
	if (c->offset > 0 || c->header_len + packet.len > wbuf_room(out))
		return false;
	if (c->header_len == FRAME_HEADER_LEN) /* a copy of fixed length is no call */
		wbuf_put(out, span_of(c->header, FRAME_HEADER_LEN));
	else
		wbuf_put(out, span_of(c->header, c->header_len));
	wbuf_put(out, packet);
	return true;
}

static void put_packet(struct channel *c, struct wbuf *out)
{
	if (put_whole(c, out)) {
		finish(c);
		return;
	}
	if (c->offset < c->header_len)
		c->offset +=
			put_some(out, span_of(c->header + c->offset, c->header_len - c->offset));
	if (c->offset >= c->header_len) {
		struct span rest = packet_view(c->begun);
		span_skip(&rest, c->offset - c->header_len);
		c->offset += put_some(out, rest);
	}
	if (c->offset == c->header_len + c->begun->len)
		finish(c);
}

static void put_control(struct channel *c, struct wbuf *out)
{
	c->control_sent += put_some(
		out, span_of(c->control + c->control_sent, c->control_len - c->control_sent));
	if (c->control_sent == c->control_len)
		c->control_sent = c->control_len = 0;
}

size_t channel_pull(struct channel *c, uint8_t *buf, size_t cap, nsec_t now)
{
	struct wbuf out = wbuf_of(buf, cap);
	while (c->state != CHANNEL_DETACHED && wbuf_room(&out) > 0) {
		if (c->begun != NULL)
			put_packet(c, &out);
		else if (c->control_len > 0)
			put_control(c, &out);
		else if (!begin(c, now))
			break;
	}
	return out.len;
}
