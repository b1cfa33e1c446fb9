/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench_packet.c - packets a second through the packet path, I/O left out
 *
 * allocate, copy in (the read from TUN), parse, push, pull into a record of Noise's size, and at
 * the other end read the frames and parse again. Prints, asserts nothing about time.
 */
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "vpn/dispatch/channel.h"
#include "vpn/packet/packet.h"
#include "vpn/stream/frame_reader.h"

static const struct frame_hello hello = {
	.version = FRAME_VERSION,
	.mtu = 1420,
	.capabilities = FRAME_CAN_OFFLOAD | FRAME_CAN_PROBE,
	.payload_len_max = FRAME_PAYLOAD_LEN_MAX,
};

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void put_tcp_packet(uint8_t *p, size_t len)
{
	memset(p, 0x5a, len);
	memset(p, 0, 40);
	p[0] = 0x45;
	store_be16(p + 2, (uint16_t)len);
	p[9] = IPPROTO_TCP;
	store_be32(p + 12, 0x0a000001);
	store_be32(p + 16, 0x0a000002);
	p[32] = 0x50;
}

/* Bytes of one record through the receiver; how many packets it saw. */
static size_t receive(struct frame_reader *r, struct span in)
{
	size_t n = 0;
	struct frame_event event;
	while (frame_reader_read(r, &in, &event) == ERR_OK) {
		struct packet_info info;
		if (event.type == FRAME_EV_PACKET && packet_parse(event.packet, &info) == ERR_OK)
			n++;
	}
	return n;
}

static void run(size_t len, bool offload)
{
	enum {
		BATCH = 64
	};
	static uint8_t record[NOISE_PLAIN_LEN_MAX];
	static uint8_t tun[PACKET_LEN_MAX];
	struct metrics metrics = {0};
	struct packet_pool *pool;
	struct channel c;
	struct frame_reader *r;
	if (packet_pool_new(256, 80, &pool) != ERR_OK ||
	    frame_reader_new(FRAME_ACCEPTOR, &hello, &r) != ERR_OK)
		abort();
	const struct fair_queue_conf conf = {
		.codel = {.target = 5 * NSEC_PER_MSEC, .interval = 100 * NSEC_PER_MSEC},
		.packets_max = 256,
		.worker_packets_max = 256,
	};
	struct share share = {.pool = pool, .packets_max = 256, .bytes_max = 8 << 20};
	struct worker worker = {0};
	channel_init(&c, &conf, &share, &metrics);
	fair_queue_join(&c.queue, &worker);
	channel_attach(&c, &hello);
	channel_peer_hello(&c, &hello);
	put_tcp_packet(tun, len);

	size_t sent = 0, received = 0;
	double start = seconds(), took;
	do {
		for (unsigned i = 0; i < BATCH; i++) {
			struct packet *p = packet_alloc(pool, len);
			if (p == NULL)
				abort();
			memcpy(p->data, tun, len);
			p->len = (uint32_t)len;
			struct packet_info info;
			if (packet_parse(packet_view(p), &info) != ERR_OK)
				abort();
			if (offload) {
				p->offload = (struct offload){.flags = OFFLOAD_NEEDS_CSUM,
							      .gso_type = OFFLOAD_GSO_TCP4,
							      .hdr_len = 40,
							      .gso_size = 1380,
							      .csum_start = 20,
							      .csum_offset = 16};
				if (offload_check(&p->offload, packet_view(p), &info) != ERR_OK)
					abort();
			}
			fair_queue_push(&c.queue, &worker, p, 0);
			sent++;
		}
		size_t n;
		while ((n = channel_pull(&c, record, sizeof(record), 0)) > 0)
			received += receive(r, span_of(record, n));
		took = seconds() - start;
	} while (took < 0.3);

	printf("%6zu bytes %-7s %10.0f packets/s %8.1f Gbit/s %8.0f ns a packet%s\n", len,
	       offload ? "super" : "plain", (double)sent / took,
	       (double)sent * (double)len * 8 / took / 1e9, took / (double)sent * 1e9,
	       sent == received ? "" : " LOST SOME");
	fair_queue_leave(&c.queue, &worker);
	channel_deinit(&c);
	frame_reader_free(r);
	packet_pool_free(pool);
}

int main(void)
{
	run(64, false);
	run(576, false);
	run(1420, false);
	run(16384, true);
	run(65535, true);
	return 0;
}
