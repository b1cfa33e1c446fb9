/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * egress.c - from our TUN to the dispatcher
 *
 * Up to TUN_READS_PER_TURN packets are read, each straight into a packet of the pool, and
 * dispatched together; their connections flush at the end of the turn, so what was read together is
 * sealed and sent together. Reading never stops for a peer: its full queue drops, for it alone.
 */
#include "vpn/node/node_internal.h"

#include "base/log.h"
#include "base/util.h"

static void count_read(struct shard *s, size_t len)
{
	metrics_add(&s->metrics, COUNTER_TUN_RX_PACKETS, 1);
	metrics_add(&s->metrics, COUNTER_TUN_RX_BYTES, len);
}

/* The pool is empty: read the packet all the same, or the kernel's queue would stand still for all.
 */
static enum err read_and_drop(struct shard *s)
{
	uint8_t scrap[PACKET_SMALL_CAP];
	size_t len;
	enum err e = sock_read(s->tun, scrap, sizeof(scrap), &len);
	if (e == ERR_OK) {
		count_read(s, len);
		metrics_drop(&s->metrics, DROP_POOL_EMPTY, len);
	}
	return e;
}

/* *ret_packet is NULL where a packet was read and dropped. */
static enum err read_one(struct shard *s, size_t mtu, struct packet **ret_packet)
{
	struct packet *packet = packet_alloc(s->pool, mtu);
	*ret_packet = NULL;
	if (packet == NULL)
		return read_and_drop(s);
	size_t len;
	enum err e = sock_read(s->tun, packet->data, packet->cap, &len);
	if (e != ERR_OK) {
		packet_free(packet);
		return e;
	}
	packet->len = (uint32_t)len;
	count_read(s, len);
	*ret_packet = packet;
	return ERR_OK;
}

static void on_readable(void *ctx, unsigned ready)
{
	(void)ready;
	struct shard *s = ctx;
	struct packet *packets[TUN_READS_PER_TURN];
	size_t n = 0;
	enum err e = ERR_OK;
	for (int i = 0; i < TUN_READS_PER_TURN && e == ERR_OK; i++) {
		struct packet *packet;
		e = read_one(s, s->node->conf.config->interface.mtu, &packet);
		if (packet != NULL)
			packets[n++] = packet;
	}
	dispatcher_send_all(s->dispatcher, packets, n);
	if (e == ERR_OK || e == ERR_AGAIN)
		return;
	/* Somebody set the device down, or worse. It may come back: we stay. */
	log_warn("TUN cannot be read", "err=%s retry_ms=%u", err_name(e),
		 (unsigned)(TUN_RETRY / NSEC_PER_MSEC));
	sock_watch(s->tun, 0, NULL, NULL);
	loop_timer_set(&s->tun_retry, nsec_add(loop_now(s->loop), TUN_RETRY));
}

static void on_retry(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct shard *s = CONTAINER_OF(timer, struct shard, tun_retry);
	sock_watch(s->tun, SOCK_READABLE, on_readable, s);
}

void egress_init(struct shard *s)
{
	loop_timer_init(&s->tun_retry, s->loop, on_retry);
}

void egress_start(struct shard *s)
{
	if (s->tun != NULL)
		sock_watch(s->tun, SOCK_READABLE, on_readable, s);
}

void egress_stop(struct shard *s)
{
	loop_timer_stop(&s->tun_retry);
	if (s->tun != NULL)
		sock_watch(s->tun, 0, NULL, NULL);
}
