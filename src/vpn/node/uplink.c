/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * uplink.c - our packet stream to a peer: opened, kept, moved to a better connection, opened again
 *
 * Packets wait in the channel; the stream pulls them. Without a connection they wait for
 * UPLINK_STALE at most: a short break costs nothing, a long one is answered with ICMP at once. See
 * struct uplink for the states.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/util.h"
#include "vpn/node/node_internal.h"

static const char *const protocols_auto[] = {FRAME_PROTOCOL, VPN_FRAME_PROTOCOL};
static const char *const protocols_runnel[] = {FRAME_PROTOCOL};
static const char *const protocols_vpn[] = {VPN_FRAME_PROTOCOL};

static nsec_t now_of(const struct uplink *u)
{
	return loop_now(u->node->conf.loop);
}

static void open_stream(struct uplink *u, struct conn *c);

/* --- the stream ---------------------------------------------------------------------- */

/* Packets that waited too long for a connection are of no use any more. */
static void drop_stale(struct uplink *u)
{
	nsec_t now = now_of(u);
	while (u->channel.head != NULL &&
	       nsec_since(now, u->channel.head->queued_at) > UPLINK_STALE) {
		if (!channel_drop_head(&u->channel, DROP_PEER_DOWN))
			return;
	}
}

static void detach(struct uplink *u)
{
	u->stream = NULL;
	u->reader = frame_reader_free(u->reader);
	loop_timer_stop(&u->probe);
	if (u->channel.state != CHANNEL_DETACHED)
		channel_reset_to_frame_boundary(&u->channel);
}

static void on_open(struct stream *s)
{
	struct uplink *u = stream_user(s);
	bool is_runnel = strcmp(stream_protocol(s), FRAME_PROTOCOL) == 0;
	struct frame_reader *reader = NULL;
	if (is_runnel && frame_reader_new(FRAME_OPENER, &u->node->hello, &reader) != ERR_OK) {
		stream_reset(s, ERR_NO_MEMORY);
		return;
	}
	/* The one before has served: its peer reads on until our FIN. */
	struct stream *before = u->stream;
	detach(u);
	if (before != NULL)
		stream_close_write(before);

	u->opening = NULL;
	u->has_warned = false;
	trouble_is_over(u);
	u->stream = s;
	u->reader = reader;
	drop_stale(u);
	if (is_runnel) {
		channel_attach(&u->channel, &u->node->hello);
		loop_timer_set(&u->probe, now_of(u)); /* a first round-trip time at once */
	} else {
		channel_attach_vpn(&u->channel, u->node->conf.config->interface.mtu);
	}
	metrics_add(&u->node->metrics, COUNTER_STREAMS_OPENED, 1);
	stream_wake(s);
}

static void on_data(struct stream *s, struct span data)
{
	struct uplink *u = stream_user(s);
	if (s != u->stream || u->reader == NULL)
		return; /* /vpn/1.0.0 says nothing on our stream; an old stream nothing of interest
			 */
	for (;;) {
		struct frame_event ev;
		enum err e = frame_reader_read(u->reader, &data, &ev);
		if (e == ERR_AGAIN)
			return;
		if (e != ERR_OK) {
			metrics_add(&u->node->metrics, COUNTER_STREAMS_BROKEN, 1);
			stream_reset(s, e);
			return;
		}
		if (ev.type == FRAME_EV_HELLO) {
			channel_peer_hello(&u->channel, &ev.hello);
			stream_wake(s);
		} else if (ev.type == FRAME_EV_PROBE_ANSWER && ev.probe.id == u->probe_id) {
			u->probe_rtt = nsec_since(now_of(u), ev.probe.sent_at);
			metrics_add(&u->node->metrics, COUNTER_PROBES_ANSWERED, 1);
		}
	}
}

static size_t pull(struct stream *s, uint8_t *buf, size_t cap)
{
	struct uplink *u = stream_user(s);
	return s == u->stream ? channel_pull(&u->channel, buf, cap, now_of(u)) : 0;
}

static void on_close(struct stream *s, enum err why)
{
	struct uplink *u = stream_user(s);
	if (s == u->opening) {
		u->opening = NULL;
		if (why == ERR_NEGOTIATION && !u->has_warned)
			log_warn("the peer speaks none of our packet protocols", "peer=%s",
				 u->conf->name);
		u->has_warned = u->has_warned || why == ERR_NEGOTIATION;
	} else if (s == u->stream) {
		detach(u);
	} else {
		return; /* one that was replaced */
	}
	if (!u->node->is_closing && u->down_since == 0)
		loop_timer_set(&u->retry, nsec_add(now_of(u), UPLINK_RETRY));
}

static const struct stream_ops uplink_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.pull = pull,
	.on_close = on_close,
};

static void open_stream(struct uplink *u, struct conn *c)
{
	const char *const *protocols = protocols_auto;
	size_t n = ARRAY_LEN(protocols_auto);
	if (u->conf->protocol == CONFIG_PROTOCOL_RUNNEL) {
		protocols = protocols_runnel;
		n = ARRAY_LEN(protocols_runnel);
	} else if (u->conf->protocol == CONFIG_PROTOCOL_VPN) {
		protocols = protocols_vpn;
		n = ARRAY_LEN(protocols_vpn);
	}
	if (conn_open_stream(c, protocols, n, &uplink_ops, u, &u->opening) != ERR_OK) {
		u->opening = NULL;
		loop_timer_set(&u->retry, nsec_add(now_of(u), UPLINK_RETRY));
	}
}

/* Without a connection: when the oldest packet that waits becomes stale. */
static void look_again(struct uplink *u)
{
	if (u->channel.head != NULL && !u->node->is_closing)
		loop_timer_set(&u->retry, nsec_add(u->channel.head->queued_at, UPLINK_STALE + 1));
}

static void on_retry(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct uplink *u = CONTAINER_OF(timer, struct uplink, retry);
	struct conn *best = swarm_best(u->node->swarm, &u->conf->id);
	if (u->down_since != 0) {
		drop_stale(u);
		look_again(u);
		return;
	}
	if (best != NULL && u->opening == NULL && u->stream == NULL)
		open_stream(u, best);
}

static void on_probe(struct loop_timer *timer, nsec_t now)
{
	struct uplink *u = CONTAINER_OF(timer, struct uplink, probe);
	struct frame_probe probe = {.id = ++u->probe_id, .sent_at = now};
	/* ERR_FULL: one still waits; the next will do. */
	if (channel_put_probe(&u->channel, FRAME_PROBE, &probe) == ERR_OK) {
		metrics_add(&u->node->metrics, COUNTER_PROBES_SENT, 1);
		stream_wake(u->stream);
	}
	loop_timer_set(&u->probe, nsec_add(now, PROBE_INTERVAL));
}

/* --- the peer ------------------------------------------------------------------------ */

void uplink_init(struct uplink *u, struct node *n, uint32_t index)
{
	u->node = n;
	u->index = index;
	u->conf = static_table_peer(n->table, index);
	const struct config_queue *queue = &n->conf.config->queue;
	channel_init(&u->channel, queue->packets, queue->bytes, &n->metrics);
	loop_timer_init(&u->retry, n->conf.loop, on_retry);
	loop_timer_init(&u->probe, n->conf.loop, on_probe);
	u->down_since = now_of(u);
}

void uplink_deinit(struct uplink *u)
{
	loop_timer_stop(&u->retry);
	loop_timer_stop(&u->probe);
	u->reader = frame_reader_free(u->reader);
	channel_deinit(&u->channel);
}

void uplink_use(struct uplink *u, struct conn *best)
{
	u->down_since = 0;
	loop_timer_stop(&u->retry);
	if (u->opening != NULL) {
		if (stream_conn(u->opening) == best)
			return;
		stream_reset(u->opening, ERR_SUPERSEDED);
		u->opening = NULL;
	}
	if (u->stream == NULL || stream_conn(u->stream) != best)
		open_stream(u, best);
}

void uplink_down(struct uplink *u)
{
	u->down_since = now_of(u);
	loop_timer_stop(&u->retry);
	look_again(u);
}

/* A queue may grow as long as it leaves as much for the others: the pool cannot be emptied by one.
 */
static bool is_within_share(const struct uplink *u)
{
	return u->channel.packets < packet_pool_free_count(u->node->pool);
}

static void drop(struct uplink *u, struct packet *packet, enum drop reason)
{
	metrics_drop(&u->node->metrics, reason, packet->len);
	u->dropped_packets++;
	packet_free(packet);
}

/* The packet goes no further: count it, and tell its sender. */
static void refuse(struct uplink *u, struct packet *packet, const struct packet_info *info,
		   enum icmp_reason icmp, enum drop reason)
{
	if (icmp_error_is_allowed(icmp, packet_view(packet), info))
		ingress_answer(u->node, icmp, packet_view(packet), info,
			       (uint32_t)channel_mtu(&u->channel));
	drop(u, packet, reason);
}

void uplink_send(struct uplink *u, struct packet *packet, const struct packet_info *info)
{
	struct node *n = u->node;
	nsec_t now = now_of(u);
	if (u->stream == NULL) {
		swarm_demand(n->swarm, &u->conf->id);
		if (u->down_since != 0 && nsec_since(now, u->down_since) > UPLINK_STALE) {
			refuse(u, packet, info, ICMP_UNREACHABLE, DROP_PEER_DOWN);
			return;
		}
		drop_stale(u);
	}
	if (offload_segment_len(&packet->offload, packet->len) > channel_mtu(&u->channel)) {
		refuse(u, packet, info, ICMP_TOO_BIG, DROP_TOO_BIG);
		return;
	}
	if (!is_within_share(u) || !channel_push(&u->channel, packet, now)) {
		drop(u, packet, DROP_QUEUE_FULL);
		return;
	}
	if (u->down_since != 0 && !loop_timer_is_set(&u->retry))
		look_again(u);
	if (u->stream != NULL)
		stream_wake(u->stream);
}
