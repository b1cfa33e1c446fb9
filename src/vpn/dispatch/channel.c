/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * channel.c - see channel.h
 *
 * What a pull writes next is decided at frame boundaries only: first the control frames, then the
 * head of the queue. From its first byte on a frame is `begun` and goes out whole, or dies with its
 * stream. The head stays in the queue, and in its bounds, until its last byte is out.
 */
#include "vpn/dispatch/channel.h"

#include <assert.h>

static_assert((int)CHANNEL_CONTROL_CAP >= FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX +
						  12 * (FRAME_HEADER_LEN + FRAME_PROBE_LEN),
	      "a HELLO and a dozen of probes");

void channel_init(struct channel *c, size_t packets_max, size_t bytes_max, struct metrics *metrics)
{
	*c = (struct channel){
		.packets_max = packets_max,
		.bytes_max = bytes_max,
		.metrics = metrics,
	};
}

static struct packet *unlink_head(struct channel *c)
{
	struct packet *p = c->head;
	c->head = p->next;
	if (c->head == NULL)
		c->tail = NULL;
	p->next = NULL;
	c->packets--;
	c->bytes -= p->len;
	return p;
}

static void drop(struct channel *c, struct packet *p, enum drop reason)
{
	metrics_drop(c->metrics, reason, p->len);
	c->dropped_packets++;
	packet_free(p);
}

void channel_deinit(struct channel *c)
{
	channel_reset_to_frame_boundary(c);
	while (channel_drop_head(c, DROP_CLOSING))
		;
}

/* --- the stream's life --------------------------------------------------------------- */

void channel_attach(struct channel *c, const struct frame_hello *own)
{
	assert(c->state == CHANNEL_DETACHED);
	c->state = CHANNEL_GREETED;
	c->framing = CHANNEL_FRAMING_RUNNEL;
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
	c->framing = CHANNEL_FRAMING_VPN;
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
}

void channel_reset_to_frame_boundary(struct channel *c)
{
	if (c->header_len > 0)
		drop(c, unlink_head(c), DROP_STREAM_RESET);
	c->header_len = 0;
	c->offset = 0;
	c->control_len = 0;
	c->control_sent = 0;
	c->state = CHANNEL_DETACHED;
}

/* --- in ------------------------------------------------------------------------------ */

size_t channel_mtu(const struct channel *c)
{
	return c->state == CHANNEL_READY ? c->packet_len_max : PACKET_LEN_MAX;
}

bool channel_push(struct channel *c, struct packet *packet, nsec_t now)
{
	assert(packet->len > 0 && packet->len <= PACKET_LEN_MAX && packet->next == NULL);
	if (c->packets >= c->packets_max || packet->len > c->bytes_max - c->bytes)
		return false;
	packet->queued_at = now;
	if (c->tail == NULL)
		c->head = packet;
	else
		c->tail->next = packet;
	c->tail = packet;
	c->packets++;
	c->bytes += packet->len;
	return true;
}

bool channel_drop_head(struct channel *c, enum drop reason)
{
	if (c->header_len == 0) {
		if (c->head == NULL)
			return false;
		drop(c, unlink_head(c), reason);
		return true;
	}
	struct packet *begun = c->head;
	struct packet *p = begun->next;
	if (p == NULL)
		return false;
	begun->next = p->next;
	if (c->tail == p)
		c->tail = begun;
	p->next = NULL;
	c->packets--;
	c->bytes -= p->len;
	drop(c, p, reason);
	return true;
}

enum err channel_put_control(struct channel *c, struct span frame)
{
	assert(c->state != CHANNEL_DETACHED && c->framing == CHANNEL_FRAMING_RUNNEL);
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

/* Does the head have to wait for the peer to say whether it takes it? */
static bool head_waits(const struct channel *c)
{
	return c->state == CHANNEL_GREETED &&
	       (offload_is_super(&c->head->offload) || c->head->len > c->packet_len_max);
}

bool channel_has_output(const struct channel *c)
{
	if (c->state == CHANNEL_DETACHED)
		return false;
	return c->header_len > 0 || c->control_sent < c->control_len ||
	       (c->head != NULL && !head_waits(c));
}

/* Can the head be sent to this peer at all? If not, *ret_reason is why. */
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

static void put_header(struct channel *c, struct packet *p)
{
	if (!c->takes_offload)
		offload_finish_checksum(&p->offload, p->data, p->len);
	if (c->framing == CHANNEL_FRAMING_VPN) {
		vpn_frame_put_header(c->header, p->len);
		c->header_len = VPN_FRAME_HEADER_LEN;
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
	while (c->head != NULL && !head_waits(c)) {
		enum drop reason;
		if (is_taken(c, c->head, &reason)) {
			c->sojourn = nsec_since(now, c->head->queued_at);
			put_header(c, c->head);
			return true;
		}
		drop(c, unlink_head(c), reason);
	}
	return false;
}

static void finish(struct channel *c)
{
	struct packet *p = unlink_head(c);
	c->sent_packets++;
	c->sent_bytes += p->len;
	metrics_add(c->metrics, COUNTER_PEER_TX_PACKETS, 1);
	metrics_add(c->metrics, COUNTER_PEER_TX_BYTES, p->len);
	if (offload_is_super(&p->offload))
		metrics_add(c->metrics, COUNTER_SUPER_TX_PACKETS, 1);
	packet_free(p);
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

static void put_packet(struct channel *c, struct wbuf *out)
{
	if (c->offset < c->header_len)
		c->offset +=
			put_some(out, span_of(c->header + c->offset, c->header_len - c->offset));
	if (c->offset >= c->header_len) {
		struct span rest = packet_view(c->head);
		span_skip(&rest, c->offset - c->header_len);
		c->offset += put_some(out, rest);
	}
	if (c->offset == c->header_len + c->head->len)
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
		if (c->header_len > 0)
			put_packet(c, &out);
		else if (c->control_len > 0)
			put_control(c, &out);
		else if (!begin(c, now))
			break;
	}
	return out.len;
}
