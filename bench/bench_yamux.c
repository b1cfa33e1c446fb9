/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench_yamux.c - what framing costs: headers out, parsing in, control between
 *
 * No sockets and no copies of payload: the figures are the muxer alone. Prints, asserts nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "p2p/mux/yamux.h"

enum {
	STREAMS = 64,
	BUF_LEN = 256 * 1024,
};

static uint8_t buf[BUF_LEN];
static uint8_t back[64 * 1024];

static double seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(enum err e)
{
	fprintf(stderr, "%s\n", err_text(e));
	exit(1);
}

/* Reads all of *in; consumes data at once. */
static void drain(struct yamux *y, struct span in)
{
	struct yamux_event ev;
	enum err e;
	while ((e = yamux_read(y, &in, 0, &ev)) == ERR_OK) {
		if (ev.type == YAMUX_EV_DATA)
			yamux_consumed(ev.stream, ev.data.len, 0);
	}
	if (e != ERR_AGAIN)
		die(e);
}

static void answer(struct yamux *from, struct yamux *to)
{
	while (yamux_has_control(from)) {
		struct wbuf out = wbuf_of(back, sizeof(back));
		yamux_take(from, &out, 0);
		drain(to, wbuf_view(&out));
	}
}

/* Frames of body_len, turn by turn on n streams, in batches of up to BUF_LEN. */
static void bench_data(size_t body_len, size_t n)
{
	struct yamux *a, *b;
	struct yamux_stream *s[STREAMS];
	if (yamux_new(YAMUX_CLIENT, &a) != ERR_OK || yamux_new(YAMUX_SERVER, &b) != ERR_OK)
		die(ERR_NO_MEMORY);
	for (size_t i = 0; i < n; i++) {
		enum err e = yamux_open(a, NULL, &s[i]);
		if (e != ERR_OK)
			die(e);
	}
	answer(a, b);
	answer(b, a);

	double put_s = 0, read_s = 0;
	size_t frames = 0, turn = 0;
	const size_t frames_min = body_len > 10000 ? 1000000 : 4000000;
	while (frames < frames_min) {
		double t0 = seconds();
		size_t len = 0;
		while (BUF_LEN - len >= YAMUX_HEADER_LEN + body_len) {
			struct yamux_stream *to = s[turn++ % n];
			if (yamux_send_room(to) < body_len)
				break;
			yamux_put_data(to, buf + len, body_len);
			len += YAMUX_HEADER_LEN + body_len;
			frames++;
		}
		double t1 = seconds();
		drain(b, span_of(buf, len));
		answer(b, a);
		double t2 = seconds();
		put_s += t1 - t0;
		read_s += t2 - t1;
	}
	double per_put = put_s * 1e9 / (double)frames, per_read = read_s * 1e9 / (double)frames;
	printf("data %5zu bytes, %2zu streams: put %5.1f ns, read+consume %5.1f ns a frame, %7.1f "
	       "Gbit/s\n",
	       body_len, n, per_put, per_read, (double)body_len * 8 / (per_put + per_read));
	yamux_free(a);
	yamux_free(b);
}

/* Open, acknowledge, close both ways, release: the whole life of a stream without data. */
static void bench_life(void)
{
	struct yamux *a, *b;
	if (yamux_new(YAMUX_CLIENT, &a) != ERR_OK || yamux_new(YAMUX_SERVER, &b) != ERR_OK)
		die(ERR_NO_MEMORY);
	const int lives = 200000;
	double t0 = seconds();
	for (int i = 0; i < lives; i++) {
		struct yamux_stream *s;
		enum err e = yamux_open(a, NULL, &s);
		if (e != ERR_OK)
			die(e);
		yamux_close_write(s);
		struct wbuf out = wbuf_of(back, sizeof(back));
		yamux_take(a, &out, 0);
		struct span in = wbuf_view(&out);
		struct yamux_event ev;
		while (yamux_read(b, &in, 0, &ev) == ERR_OK) {
			if (ev.type == YAMUX_EV_FIN) {
				yamux_close_write(ev.stream);
				yamux_release(ev.stream);
			}
		}
		answer(b, a);
		yamux_release(s);
	}
	printf("open, close, release, both ends: %.0f ns a stream\n",
	       (seconds() - t0) * 1e9 / lives);
	yamux_free(a);
	yamux_free(b);
}

int main(void)
{
	const size_t lens[] = {64, 1400, YAMUX_BODY_LEN_SEND};
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		bench_data(lens[i], 1);
		bench_data(lens[i], STREAMS);
	}
	bench_life();
	return 0;
}
