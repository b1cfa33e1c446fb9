/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ingress.c - from the peers' packet streams to our TUN
 *
 * Bytes become packets as views into the buffer that was decrypted, their source is checked against
 * the peer that sent them, and they are written to the TUN from where they lie. Nothing is queued:
 * the TUN takes a packet or it is dropped and counted.
 */
#include <stdlib.h>

#include "base/log.h"
#include "vpn/node/node_internal.h"

/* A packet stream that a peer opened toward us. */
struct downlink {
	struct node *node;
	struct uplink *peer;
	struct frame_reader *runnel; /* one of the two */
	struct vpn_frame_reader *vpn;
	uint64_t skipped; /* frames that were counted already */
};

static void write_tun(struct node *n, struct span packet)
{
	if (n->conf.tun == NULL) {
		metrics_drop(&n->metrics, DROP_TUN_WRITE, packet.len);
		return;
	}
	struct iovec iov = {.iov_base = (void *)(uintptr_t)packet.p, .iov_len = packet.len};
	size_t written;
	enum err e = sock_writev(n->conf.tun, &iov, 1, &written);
	if (e != ERR_OK) {
		metrics_drop(&n->metrics, e == ERR_AGAIN ? DROP_TUN_FULL : DROP_TUN_WRITE,
			     packet.len);
		return;
	}
	metrics_add(&n->metrics, COUNTER_TUN_TX_PACKETS, 1);
	metrics_add(&n->metrics, COUNTER_TUN_TX_BYTES, packet.len);
}

void ingress_answer(struct node *n, enum icmp_reason reason, struct span packet,
		    const struct packet_info *info, uint32_t mtu)
{
	/* Linux takes no IPv4 packet that comes from one of its own addresses (a martian): there
	 * the error speaks for the address that it is about, which passes reverse path filters too.
	 */
	const struct ip_addr *from = info->version == 4
					     ? &info->destination
					     : dispatch_own_address(&n->tables, info->version);
	if (from == NULL)
		return;
	if (!icmp_limiter_take(&n->icmp, loop_now(n->conf.loop))) {
		metrics_add(&n->metrics, COUNTER_ICMP_LIMITED, 1);
		return;
	}
	uint8_t bytes[ICMP_ERROR_LEN_MAX];
	struct wbuf out = wbuf_of(bytes, sizeof(bytes));
	if (icmp_error_build(reason, mtu, packet, info, from, &out) == ERR_OK) {
		metrics_add(&n->metrics, COUNTER_ICMP_SENT, 1);
		write_tun(n, wbuf_view(&out));
	}
}

static void receive(struct downlink *d, struct span packet)
{
	struct node *n = d->node;
	metrics_add(&n->metrics, COUNTER_PEER_RX_PACKETS, 1);
	metrics_add(&n->metrics, COUNTER_PEER_RX_BYTES, packet.len);
	enum drop reason;
	if (!dispatch_admit(&n->tables, d->peer->index, packet, &reason)) {
		metrics_drop(&n->metrics, reason, packet.len);
		d->peer->dropped_packets++;
		struct packet_info info;
		if (reason == DROP_SOURCE && packet_parse(packet, &info) == ERR_OK)
			d->peer->refused_source = info.source;
		return;
	}
	d->peer->rx_packets++;
	d->peer->rx_bytes += packet.len;
	write_tun(n, packet);
}

static void break_stream(struct stream *s, enum err why)
{
	struct downlink *d = stream_user(s);
	metrics_add(&d->node->metrics, COUNTER_STREAMS_BROKEN, 1);
	log_debug("packet stream breaks the rules", "peer=%s err=%s", d->peer->conf->name,
		  err_name(why));
	stream_reset(s, why);
}

/* --- opening ------------------------------------------------------------------------- */

/* A downlink for the peer of this stream, or NULL: reset. */
static struct downlink *downlink_new(struct stream *s)
{
	struct node *n = stream_user(s); /* the protocol's ctx */
	stream_set_user(s, NULL);
	uint32_t index = static_table_find_id(n->table, stream_peer(s));
	if (index == ROUTE_NONE || n->uplinks[index].n_downlinks == DOWNLINKS_PER_PEER_MAX) {
		stream_reset(s, ERR_LIMIT);
		return NULL;
	}
	struct downlink *d = calloc(1, sizeof(*d));
	if (d == NULL) {
		stream_reset(s, ERR_NO_MEMORY);
		return NULL;
	}
	d->node = n;
	d->peer = &n->uplinks[index];
	d->peer->n_downlinks++;
	stream_set_user(s, d);
	metrics_add(&n->metrics, COUNTER_STREAMS_ACCEPTED, 1);
	return d;
}

static void on_close(struct stream *s, enum err why)
{
	(void)why;
	struct downlink *d = stream_user(s);
	if (d == NULL)
		return;
	d->peer->n_downlinks--;
	frame_reader_free(d->runnel);
	vpn_frame_reader_free(d->vpn);
	free(d);
}

static void say_hello(struct stream *s, const struct frame_hello *hello)
{
	uint8_t bytes[FRAME_HEADER_LEN + FRAME_HELLO_LEN_MAX];
	struct wbuf out = wbuf_of(bytes, sizeof(bytes));
	frame_put_hello(&out, hello);
	enum err e = stream_write(s, wbuf_view(&out));
	if (e != ERR_OK)
		stream_reset(s, e);
}

static void on_open_runnel(struct stream *s)
{
	struct downlink *d = downlink_new(s);
	if (d == NULL)
		return;
	enum err e = frame_reader_new(FRAME_ACCEPTOR, &d->node->hello, &d->runnel);
	if (e != ERR_OK) {
		stream_reset(s, e);
		return;
	}
	say_hello(s, &d->node->hello);
}

static void on_open_vpn(struct stream *s)
{
	struct downlink *d = downlink_new(s);
	if (d == NULL)
		return;
	enum err e = vpn_frame_reader_new(d->node->conf.config->interface.mtu, &d->vpn);
	if (e != ERR_OK)
		stream_reset(s, e);
}

/* --- reading
 * -----------------------------------------------------------------------------------------------
 */

static void answer_probe(struct stream *s, const struct frame_probe *probe)
{
	uint8_t bytes[FRAME_HEADER_LEN + FRAME_PROBE_LEN];
	struct wbuf out = wbuf_of(bytes, sizeof(bytes));
	frame_put_probe(&out, FRAME_PROBE_ANSWER, probe);
	/* A peer that probes faster than it reads gets no more answers: it is not ours to keep
	 * them. */
	if (stream_write(s, wbuf_view(&out)) == ERR_NO_MEMORY)
		stream_reset(s, ERR_NO_MEMORY);
}

static void count_skipped(struct downlink *d)
{
	uint64_t skipped = frame_reader_skipped(d->runnel);
	metrics_add(&d->node->metrics, COUNTER_FRAMES_SKIPPED, skipped - d->skipped);
	d->skipped = skipped;
}

static void on_data_runnel(struct stream *s, struct span data)
{
	struct downlink *d = stream_user(s);
	if (d == NULL || d->runnel == NULL)
		return;
	for (;;) {
		struct frame_event ev;
		enum err e = frame_reader_read(d->runnel, &data, &ev);
		if (e == ERR_AGAIN)
			break;
		if (e != ERR_OK) {
			break_stream(s, e);
			return;
		}
		if (ev.type == FRAME_EV_PACKET)
			receive(d, ev.packet);
		else if (ev.type == FRAME_EV_PROBE)
			answer_probe(s, &ev.probe);
	}
	count_skipped(d);
}

static void on_data_vpn(struct stream *s, struct span data)
{
	struct downlink *d = stream_user(s);
	if (d == NULL || d->vpn == NULL)
		return;
	for (;;) {
		struct span packet;
		enum err e = vpn_frame_reader_read(d->vpn, &data, &packet);
		if (e == ERR_AGAIN)
			return;
		if (e != ERR_OK) {
			break_stream(s, e);
			return;
		}
		receive(d, packet);
	}
}

const struct stream_ops ingress_runnel_ops = {
	.on_open = on_open_runnel,
	.on_data = on_data_runnel,
	.on_eof = stream_close_write,
	.on_close = on_close,
};

const struct stream_ops ingress_vpn_ops = {
	.on_open = on_open_vpn,
	.on_data = on_data_vpn,
	.on_eof = stream_close_write,
	.on_close = on_close,
};
