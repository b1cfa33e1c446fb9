/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ingress.c - from the peers' packet streams to our TUN
 *
 * Bytes become packets as views into the buffer that was decrypted, their source is checked against
 * the peer that sent them, and they are written to the TUN from where they lie. Nothing is queued
 * for the TUN: it takes a packet or that is dropped and counted. Only numbered packets that come
 * early are copied, and kept until it is their turn (reorder_table.h).
 */
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "base/util.h"
#include "vpn/dispatch/admit.h"
#include "vpn/node/lane.h"

/* A packet stream that a peer opened toward us. */
struct downlink {
	struct downlink *prev, *next; /* of the peer, on this shard */
	struct shard *shard;
	struct stream *stream;
	uint32_t index; /* of the peer */
	struct shard_peer *peer;
	uint64_t id;                 /* the peer's number of it; 0: it told none */
	struct frame_reader *runnel; /* one of the two */
	struct vpn_frame_reader *vpn;
	uint64_t skipped; /* frames that were counted already */
	bool is_dead;     /* reset by us: what is left of its bytes is not looked at */
};

static void write_tun(struct shard *n, struct span packet)
{
	if (n->tun == NULL) {
		metrics_drop(&n->metrics, DROP_TUN_WRITE, packet.len);
		return;
	}
	struct iovec iov = {.iov_base = (void *)(uintptr_t)packet.p, .iov_len = packet.len};
	size_t written;
	enum err e = sock_writev(n->tun, &iov, 1, &written);
	if (e != ERR_OK) {
		metrics_drop(&n->metrics, e == ERR_AGAIN ? DROP_TUN_FULL : DROP_TUN_WRITE,
			     packet.len);
		return;
	}
	metrics_add(&n->metrics, COUNTER_TUN_TX_PACKETS, 1);
	metrics_add(&n->metrics, COUNTER_TUN_TX_BYTES, packet.len);
}

/* Our own address of a family, to speak from; NULL: we have none. */
static const struct ip_addr *own_address(const struct node *n, uint8_t family)
{
	const struct config_prefixes *own = &n->conf.config->interface.addresses;
	for (size_t i = 0; i < own->len; i++) {
		if (own->items[i].addr.family == family)
			return &own->items[i].addr;
	}
	return NULL;
}

void ingress_answer(struct shard *n, enum icmp_reason reason, struct span packet,
		    const struct packet_info *info, uint32_t mtu)
{
	/* Linux takes no IPv4 packet that comes from one of its own addresses (a martian): there
	 * the error speaks for the address that it is about, which passes reverse path filters too.
	 */
	const struct ip_addr *from = info->version == 4 ? &info->destination
							: own_address(n->node, info->version);
	if (from == NULL)
		return;
	if (!icmp_limiter_take(&n->icmp, loop_now(n->loop))) {
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

static void deliver(struct shard_peer *p, struct span packet)
{
	struct shard *n = p->shard;
	enum drop reason;
	uint32_t index = (uint32_t)(p - n->peers);
	if (!admit_packet(static_table_routes(n->node->table), index, packet, &reason)) {
		metrics_drop(&n->metrics, reason, packet.len);
		metrics_bump_(&p->dropped_packets, 1);
		struct packet_info info;
		if (reason == DROP_SOURCE && packet_parse(packet, &info) == ERR_OK)
			p->refused_source = info.source;
		return;
	}
	metrics_bump_(&p->rx_packets, 1);
	metrics_bump_(&p->rx_bytes, packet.len);
	write_tun(n, packet);
}

/* --- packets of a key that came over several connections ----------------------------- */

static void deliver_ordered(void *ctx, struct span packet, const struct offload *offload)
{
	(void)offload; /* we take none */
	deliver(ctx, packet);
}

static void arm_reorder(struct shard_peer *p)
{
	loop_timer_set(&p->reorder_timer, reorder_table_deadline(p->reorder));
}

static void on_reorder_timer(struct loop_timer *timer, nsec_t now)
{
	struct shard_peer *p = CONTAINER_OF(timer, struct shard_peer, reorder_timer);
	const struct reorder_sink sink = {.deliver = deliver_ordered, .ctx = p};
	reorder_table_expire(p->reorder, now, &sink);
	arm_reorder(p);
}

void ingress_init_peer(struct shard *s, struct shard_peer *p)
{
	p->shard = s;
	loop_timer_init(&p->reorder_timer, s->loop, on_reorder_timer);
}

void ingress_deinit_peer(struct shard_peer *p)
{
	loop_timer_stop(&p->reorder_timer);
	if (p->reorder == NULL)
		return;
	reorder_table_deinit(p->reorder);
	free(p->reorder);
}

static bool has_reorder(struct shard_peer *p)
{
	if (p->reorder != NULL)
		return true;
	p->reorder = calloc(1, sizeof(*p->reorder));
	if (p->reorder != NULL)
		reorder_table_init(p->reorder);
	return p->reorder != NULL;
}

static void receive_seq(struct shard_peer *p, const struct frame_event *ev)
{
	struct shard *n = p->shard;
	const struct reorder_sink sink = {.deliver = deliver_ordered, .ctx = p};
	enum reorder_outcome outcome = REORDER_LATE;
	if (!has_reorder(p) || reorder_table_take(p->reorder, &ev->seq, ev->packet, &ev->offload,
						  loop_now(n->loop), &sink, &outcome) != ERR_OK)
		outcome = REORDER_LATE;
	if (outcome == REORDER_LATE || outcome == REORDER_DUPLICATE) {
		metrics_drop(&n->metrics, DROP_REORDER, ev->packet.len);
		metrics_bump_(&p->dropped_packets, 1);
	}
}

static void end_group(struct downlink *d, const struct frame_seq *end)
{
	reorder_table_end(d->peer->reorder, end, loop_now(d->shard->loop));
}

static void count_received(struct shard *n, size_t len)
{
	metrics_add(&n->metrics, COUNTER_PEER_RX_PACKETS, 1);
	metrics_add(&n->metrics, COUNTER_PEER_RX_BYTES, len);
}

static void receive(struct downlink *d, const struct frame_event *ev)
{
	count_received(d->shard, ev->packet.len);
	if (ev->is_seq)
		receive_seq(d->peer, ev);
	else
		deliver(d->peer, ev->packet);
}

static void break_stream(struct stream *s, enum err why)
{
	struct downlink *d = stream_user(s);
	metrics_add(&d->shard->metrics, COUNTER_STREAMS_BROKEN, 1);
	log_debug("packet stream breaks the rules", "peer=%s err=%s",
		  d->shard->node->peers[d->index].conf->name, err_name(why));
	stream_reset(s, why);
}

/* --- opening ------------------------------------------------------------------------- */

/* A downlink for the peer of this stream, or NULL: reset. */
static struct downlink *downlink_new(struct stream *s)
{
	struct shard *n = stream_user(s); /* the protocol's ctx */
	stream_set_user(s, NULL);
	uint32_t index = static_table_find_id(n->node->table, stream_peer(s));
	if (index == ROUTE_NONE || n->peers[index].n_downlinks == DOWNLINKS_PER_PEER_MAX) {
		stream_reset(s, ERR_LIMIT);
		return NULL;
	}
	struct downlink *d = calloc(1, sizeof(*d));
	if (d == NULL) {
		stream_reset(s, ERR_NO_MEMORY);
		return NULL;
	}
	d->shard = n;
	d->stream = s;
	d->index = index;
	d->peer = &n->peers[index];
	d->peer->n_downlinks++;
	DL_APPEND(d->peer->downlinks, d);
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
	DL_DELETE(d->peer->downlinks, d);
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
	const struct frame_hello *hello = &d->shard->node->settings.hello;
	enum err e = frame_reader_new(FRAME_ACCEPTOR, hello, &d->runnel);
	if (e != ERR_OK) {
		stream_reset(s, e);
		return;
	}
	say_hello(s, hello);
}

static void on_open_vpn(struct stream *s)
{
	struct downlink *d = downlink_new(s);
	if (d == NULL)
		return;
	enum err e = vpn_frame_reader_new(d->shard->node->conf.config->interface.mtu, &d->vpn);
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

static void end_stream(struct downlink *d)
{
	d->is_dead = true;
	stream_reset(d->stream, ERR_SUPERSEDED);
}

/* The peer numbers its streams, and tells which of them are dead to it: what is still under way on
 * those must not come behind what it sent anew. */
static void end_replaced(struct downlink *d, const struct frame_hello *hello)
{
	struct shard_peer *p = d->peer;
	for (size_t i = 0; i < hello->n_replaces; i++) {
		dead_streams_add(&p->dead, hello->replaces[i]);
		struct downlink *other;
		DL_FOREACH (d->peer->downlinks, other) {
			if (other != d && other->id == hello->replaces[i])
				end_stream(other);
		}
	}
}

static void take_hello(struct downlink *d, const struct frame_hello *hello)
{
	d->id = hello->stream_id;
	end_replaced(d, hello);
	if (dead_streams_has(&d->peer->dead, d->id))
		end_stream(d); /* its HELLO is among what is late */
}

static void count_skipped(struct downlink *d)
{
	uint64_t skipped = frame_reader_skipped(d->runnel);
	metrics_add(&d->shard->metrics, COUNTER_FRAMES_SKIPPED, skipped - d->skipped);
	d->skipped = skipped;
}

/* After a read, not for each of its frames. */
static void end_read(struct downlink *d, bool has_seq)
{
	count_skipped(d);
	if (has_seq && d->peer->reorder != NULL)
		arm_reorder(d->peer);
}

static void on_data_runnel(struct stream *s, struct span data)
{
	struct downlink *d = stream_user(s);
	bool has_seq = false;
	if (d == NULL || d->runnel == NULL)
		return;
	while (!d->is_dead) {
		struct frame_event ev;
		enum err e = frame_reader_read(d->runnel, &data, &ev);
		if (e == ERR_AGAIN)
			break;
		if (e != ERR_OK) {
			end_read(d, has_seq);
			break_stream(s, e);
			return;
		}
		has_seq = has_seq || ev.type == FRAME_EV_SEQ_END ||
			  (ev.type == FRAME_EV_PACKET && ev.is_seq);
		if (ev.type == FRAME_EV_HELLO)
			take_hello(d, &ev.hello);
		else if (ev.type == FRAME_EV_REPLACES)
			end_replaced(d, &ev.hello);
		else if (ev.type == FRAME_EV_DIAL_LANE)
			lane_dial(d->shard, d->index, ev.lane);
		else if (ev.type == FRAME_EV_PACKET)
			receive(d, &ev);
		else if (ev.type == FRAME_EV_SEQ_END && d->peer->reorder != NULL)
			end_group(d, &ev.seq);
		else if (ev.type == FRAME_EV_PROBE)
			answer_probe(s, &ev.probe);
	}
	end_read(d, has_seq);
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
		count_received(d->shard, packet.len);
		deliver(d->peer, packet);
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
