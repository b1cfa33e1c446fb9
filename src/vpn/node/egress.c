/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * egress.c - from our TUN to the peers' queues
 *
 * Up to TUN_READS_PER_TURN packets are read, each straight into a packet of the pool, and queued;
 * their connections flush at the end of the turn, so what was read together is sealed and sent
 * together. Reading never stops for a peer: its full queue drops, for it alone.
 */
#include "vpn/node/node_internal.h"

#include "base/log.h"
#include "base/util.h"

/* No peer, or one that cannot be reached: say so at once, so that programs need not wait for a
 * time-out. */
static void refuse(struct node *n, const struct packet *packet, const struct dispatch_verdict *v)
{
	metrics_drop(&n->metrics, v->reason, packet->len);
	if (v->reason == DROP_NO_ROUTE)
		n->unrouted = v->info.destination;
	if (v->is_answered)
		ingress_answer(n, v->icmp, packet_view(packet), &v->info, 0);
}

static void count_read(struct node *n, size_t len)
{
	metrics_add(&n->metrics, COUNTER_TUN_RX_PACKETS, 1);
	metrics_add(&n->metrics, COUNTER_TUN_RX_BYTES, len);
}

static void dispatch(struct node *n, struct packet *packet)
{
	count_read(n, packet->len);
	struct dispatch_verdict v;
	dispatch_route(&n->tables, packet_view(packet), &v);
	if (v.peer == ROUTE_NONE) {
		refuse(n, packet, &v);
		packet_free(packet);
		return;
	}
	uplink_send(&n->uplinks[v.peer], packet, &v.info);
}

/* The pool is empty: read the packet all the same, or the kernel's queue would stand still for all.
 */
static enum err read_and_drop(struct node *n)
{
	uint8_t scrap[PACKET_SMALL_CAP];
	size_t len;
	enum err e = sock_read(n->conf.tun, scrap, sizeof(scrap), &len);
	if (e == ERR_OK) {
		count_read(n, len);
		metrics_drop(&n->metrics, DROP_POOL_EMPTY, len);
	}
	return e;
}

static enum err read_one(struct node *n, size_t mtu)
{
	struct packet *packet = packet_alloc(n->pool, mtu);
	if (packet == NULL)
		return read_and_drop(n);
	size_t len;
	enum err e = sock_read(n->conf.tun, packet->data, packet->cap, &len);
	if (e != ERR_OK) {
		packet_free(packet);
		return e;
	}
	packet->len = (uint32_t)len;
	dispatch(n, packet);
	return ERR_OK;
}

static void on_readable(void *ctx, unsigned ready)
{
	(void)ready;
	struct node *n = ctx;
	for (int i = 0; i < TUN_READS_PER_TURN; i++) {
		enum err e = read_one(n, n->conf.config->interface.mtu);
		if (e == ERR_OK)
			continue;
		if (e != ERR_AGAIN) {
			/* Somebody set the device down, or worse. It may come back: we stay. */
			log_warn("TUN cannot be read", "err=%s retry_ms=%u", err_name(e),
				 (unsigned)(TUN_RETRY / NSEC_PER_MSEC));
			sock_watch(n->conf.tun, 0, NULL, NULL);
			loop_timer_set(&n->tun_retry, nsec_add(loop_now(n->conf.loop), TUN_RETRY));
		}
		return;
	}
}

static void on_retry(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct node *n = CONTAINER_OF(timer, struct node, tun_retry);
	sock_watch(n->conf.tun, SOCK_READABLE, on_readable, n);
}

void egress_init(struct node *n)
{
	loop_timer_init(&n->tun_retry, n->conf.loop, on_retry);
}

void egress_start(struct node *n)
{
	if (n->conf.tun != NULL)
		sock_watch(n->conf.tun, SOCK_READABLE, on_readable, n);
}

void egress_stop(struct node *n)
{
	loop_timer_stop(&n->tun_retry);
	if (n->conf.tun != NULL)
		sock_watch(n->conf.tun, 0, NULL, NULL);
}
