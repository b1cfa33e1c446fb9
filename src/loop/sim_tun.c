/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_tun.c - a TUN device between a node and the test that plays its kernel
 *
 * As with the kernel's, one read or write is one packet, a read into too little room cuts it, and
 * writing never waits: what the test does not take is dropped above SIM_TUN_TX_MAX.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "loop/sim_internal.h"

struct packet {
	struct packet *next;
	size_t len;
	uint8_t bytes[];
};

struct queue {
	struct packet *first, **last;
	size_t n;
};

struct sim_tun {
	struct sim_sock base;
	struct queue rx; /* for the node to read */
	struct queue tx; /* that the node wrote */
};

static struct sim_tun *tun_of(struct sim_sock *sock)
{
	return CONTAINER_OF(sock, struct sim_tun, base);
}

static void queue_init(struct queue *q)
{
	*q = (struct queue){.last = &q->first};
}

static void push(struct queue *q, struct packet *packet)
{
	*q->last = packet;
	q->last = &packet->next;
	q->n++;
}

static void drop_first(struct queue *q)
{
	struct packet *packet = q->first;
	q->first = packet->next;
	if (q->first == NULL)
		q->last = &q->first;
	q->n--;
	free(packet);
}

static unsigned ready(struct sim_sock *sock)
{
	return SOCK_WRITABLE | (tun_of(sock)->rx.n > 0 ? SOCK_READABLE : 0u);
}

static enum err read_packet(struct sim_sock *sock, void *buf, size_t cap, size_t *ret_n)
{
	struct queue *rx = &tun_of(sock)->rx;
	if (rx->n == 0)
		return ERR_AGAIN;
	size_t n = rx->first->len < cap ? rx->first->len : cap;
	memcpy(buf, rx->first->bytes, n);
	drop_first(rx);
	sim_note(sock->host, "tun read", n, 0);
	*ret_n = n;
	return ERR_OK;
}

static enum err write_packet(struct sim_sock *sock, const struct iovec *iov, int n_iov,
			     size_t *ret_n)
{
	struct sim_tun *tun = tun_of(sock);
	size_t len = 0;
	for (int i = 0; i < n_iov; i++)
		len += iov[i].iov_len;
	*ret_n = len;
	if (tun->tx.n >= SIM_TUN_TX_MAX) {
		sim_note(sock->host, "tun drop", len, 0);
		return ERR_OK;
	}
	struct packet *packet = sim_alloc(sizeof(*packet) + len);
	for (int i = 0; i < n_iov; i++) {
		if (iov[i].iov_len > 0)
			memcpy(packet->bytes + packet->len, iov[i].iov_base, iov[i].iov_len);
		packet->len += iov[i].iov_len;
	}
	push(&tun->tx, packet);
	sim_note(sock->host, "tun write", len, 0);
	sim_hash_bytes(sock->host->sim, packet->bytes, len);
	return ERR_OK;
}

static void close_tun(struct sim_sock *sock, bool abort)
{
	(void)abort;
	struct sim_tun *tun = tun_of(sock);
	while (tun->rx.n > 0)
		drop_first(&tun->rx);
	while (tun->tx.n > 0)
		drop_first(&tun->tx);
	sim_note(sock->host, "tun close", 0, 0);
	sim_sock_deinit(sock);
	free(tun);
}

static const struct sim_sock_ops tun_ops = {
	.ready = ready,
	.read = read_packet,
	.writev = write_packet,
	.close = close_tun,
};

enum err sim_tun_new(struct sim_host *host, struct sock **ret_tun)
{
	struct sim_tun *tun = sim_alloc(sizeof(*tun));
	sim_sock_init(&tun->base, host, &tun_ops);
	queue_init(&tun->rx);
	queue_init(&tun->tx);
	*ret_tun = &tun->base.base;
	return ERR_OK;
}

enum err sim_tun_send(struct sock *sock, struct span bytes)
{
	struct sim_tun *tun = CONTAINER_OF(sock, struct sim_tun, base.base);
	assert(tun->base.ops == &tun_ops && bytes.len > 0);
	if (tun->rx.n >= SIM_TUN_RX_MAX)
		return ERR_FULL;
	struct packet *packet = sim_alloc(sizeof(*packet) + bytes.len);
	packet->len = bytes.len;
	memcpy(packet->bytes, bytes.p, bytes.len);
	push(&tun->rx, packet);
	sim_note(tun->base.host, "tun send", bytes.len, 0);
	sim_hash_bytes(tun->base.host->sim, bytes.p, bytes.len);
	sim_sock_update(&tun->base);
	return ERR_OK;
}

enum err sim_tun_receive(struct sock *sock, void *buf, size_t cap, size_t *ret_len)
{
	struct sim_tun *tun = CONTAINER_OF(sock, struct sim_tun, base.base);
	assert(tun->base.ops == &tun_ops);
	struct packet *packet = tun->tx.first;
	if (packet == NULL)
		return ERR_EMPTY;
	if (packet->len > cap)
		return ERR_TOO_LONG;
	if (packet->len > 0)
		memcpy(buf, packet->bytes, packet->len);
	*ret_len = packet->len;
	drop_first(&tun->tx);
	return ERR_OK;
}
