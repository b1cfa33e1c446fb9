/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench_noise.c - what a Noise channel costs: a handshake, and MB/s of records that are sealed and
 * opened in place. Prints figures, judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "p2p/secure/noise.h"

enum {
	HANDSHAKES = 300,
	BYTES = 400 * 1000 * 1000, /* of plaintext, for each size of record */
};

static double seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void must(enum err e)
{
	if (e != ERR_OK) {
		fprintf(stderr, "%s\n", err_text(e));
		exit(1);
	}
}

static void connect_pair(struct identity *const identity[2], struct secure *end[2])
{
	for (int i = 0; i < 2; i++) {
		struct noise_conf conf = {.role = (enum secure_role)i,
					  .identity = identity[i],
					  .muxer = "/yamux/1.0.0"};
		memset(conf.static_secret, 0x11 + i, sizeof(conf.static_secret));
		memset(conf.ephemeral_secret, 0x33 + i, sizeof(conf.ephemeral_secret));
		must(noise_new(&conf, &end[i]));
	}
	for (int i = 0; i < 3; i++) {
		uint8_t buf[1024];
		struct wbuf w = wbuf_of(buf, sizeof(buf));
		must(end[i % 2]->ops->take(end[i % 2], &w));
		struct span in = wbuf_view(&w);
		must(end[(i + 1) % 2]->ops->feed(end[(i + 1) % 2], &in));
	}
}

static void bench_handshake(struct identity *const identity[2])
{
	struct secure *end[2];
	double start = seconds();
	for (int i = 0; i < HANDSHAKES; i++) {
		connect_pair(identity, end);
		secure_free(end[0]);
		secure_free(end[1]);
	}
	printf("handshake, both ends: %.0f us\n", (seconds() - start) / HANDSHAKES * 1e6);
}

static void bench_records(struct secure *end[2], size_t plain_len)
{
	size_t n = BYTES / plain_len;
	size_t record_len = noise_ops.head_len + plain_len + noise_ops.tail_len;
	/* As many records as fit a cache, so that each is opened once as it was sealed. */
	size_t batch = 256 * 1024 / record_len + 1;
	uint8_t *records = calloc(batch, record_len);
	if (records == NULL)
		exit(1);
	double seal_time = 0, open_time = 0;
	for (size_t done = 0; done < n; done += batch) {
		size_t len, used;
		struct span plain;
		double start = seconds();
		for (size_t i = 0; i < batch; i++)
			must(noise_ops.seal(end[0], records + i * record_len, plain_len, &len));
		double between = seconds();
		for (size_t i = 0; i < batch; i++)
			must(noise_ops.open(end[1], records + i * record_len, record_len, &used,
					    &plain));
		seal_time += between - start;
		open_time += seconds() - between;
	}
	double mega = (double)(n / batch + (n % batch != 0)) * (double)(batch * plain_len) / 1e6;
	printf("records of %5zu B: seal %5.0f MB/s, open %5.0f MB/s\n", plain_len, mega / seal_time,
	       mega / open_time);
	free(records);
}

int main(void)
{
	struct identity *identity[2];
	struct secure *end[2];
	for (int i = 0; i < 2; i++) {
		uint8_t seed[IDENTITY_SEED_LEN];
		memset(seed, i + 1, sizeof(seed));
		must(identity_from_seed(seed, &identity[i]));
	}
	bench_handshake(identity);
	connect_pair(identity, end);
	bench_records(end, 64);
	bench_records(end, 1400);
	bench_records(end, noise_ops.plain_len_max);
	for (int i = 0; i < 2; i++) {
		secure_free(end[i]);
		identity_free(identity[i]);
	}
	return 0;
}
