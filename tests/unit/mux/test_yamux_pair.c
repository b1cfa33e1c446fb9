/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Two sessions, joined by two pipes: random traffic in random pieces, against a model.
 *
 * The model: byte i of a stream, in one direction, is a function of stream, direction and i. So a
 * receiver needs no copy of what was sent to see that bytes come in order and complete.
 */
#include "yamuxkit.h"

enum {
	PIPE_LEN = 256 * 1024,
	PEERS_STREAMS_MAX = 4096, /* ids of one run, both sides */
	RANDOM_STEPS = 60000,
};

/* One end's view of one stream. */
struct half {
	struct yamux_stream *s;
	uint32_t id;
	uint64_t sent, received, unread;
	bool is_fin_sent, is_fin_seen, is_reset_seen;
	bool is_released, was_reset_here;
};

struct end {
	struct yamux *y;
	struct half *halves; /* by id */
	uint8_t *pipe;       /* on its way to the other end */
	size_t pipe_len;
	uint32_t opened;
};

static struct end ends[2];

static uint8_t byte_at(uint32_t id, const struct end *from, uint64_t i)
{
	return (uint8_t)(i * 31 + id * 7 + (from == &ends[0] ? 0 : 128) + (i >> 8));
}

static unsigned below(unsigned n)
{
	return (unsigned)(testkit_random() % n);
}

static void start(void)
{
	for (int i = 0; i < 2; i++) {
		ends[i] = (struct end){
			.y = session(i == 0 ? YAMUX_CLIENT : YAMUX_SERVER),
			.halves = calloc(PEERS_STREAMS_MAX + 8, sizeof(struct half)),
			.pipe = malloc(PIPE_LEN),
		};
		assert_non_null(ends[i].halves);
		assert_non_null(ends[i].pipe);
	}
}

static void stop(void)
{
	for (int i = 0; i < 2; i++) {
		yamux_free(ends[i].y);
		free(ends[i].halves);
		free(ends[i].pipe);
	}
}

static void release(struct half *h)
{
	if (!(h->is_fin_sent && h->is_fin_seen) && !h->is_reset_seen)
		h->was_reset_here = true;
	yamux_release(h->s);
	h->is_released = true;
}

static void on_event(struct end *e, struct end *from, const struct yamux_event *ev)
{
	if (ev->type == YAMUX_EV_RTT)
		return;
	assert_non_null(ev->stream);
	struct half *h;
	if (ev->type == YAMUX_EV_OPENED) {
		uint32_t id = yamux_stream_id(ev->stream);
		h = &e->halves[id];
		assert_null(h->s);
		h->s = ev->stream;
		h->id = id;
		yamux_set_user(ev->stream, h);
		if (below(20) == 0)
			release(h);
		return;
	}
	h = yamux_user(ev->stream);
	assert_false(h->is_released);
	assert_false(h->was_reset_here);
	assert_false(h->is_reset_seen);
	switch (ev->type) {
	case YAMUX_EV_DATA:
		assert_false(h->is_fin_seen);
		assert_true(ev->data.len > 0);
		for (size_t i = 0; i < ev->data.len; i++)
			assert_int_equal(ev->data.p[i], byte_at(h->id, from, h->received + i));
		h->received += ev->data.len;
		h->unread += ev->data.len;
		break;
	case YAMUX_EV_FIN:
		assert_false(h->is_fin_seen);
		h->is_fin_seen = true;
		/* Complete: everything that the other end put before its FIN. */
		assert_int_equal(h->received, from->halves[h->id].sent);
		break;
	case YAMUX_EV_RESET:
		h->is_reset_seen = true;
		/* Or refused, as one too many. */
		assert_true(from->halves[h->id].was_reset_here || from->halves[h->id].s == NULL);
		break;
	case YAMUX_EV_ACKED:
		assert_int_equal(h->id % 2, e == &ends[0]);
		break;
	case YAMUX_EV_WRITABLE:
		assert_true(yamux_send_room(h->s) > 0);
		break;
	case YAMUX_EV_OPENED:
	case YAMUX_EV_RTT:
	case YAMUX_EV_GO_AWAY:
		fail_msg("event %d", (int)ev->type);
	}
	/* Sometimes let go in the middle of a batch, or of a body. */
	if (below(100) == 0)
		release(h);
}

/* Move up to n bytes from one end to the other, in an allocation of their own. */
static void deliver(struct end *from, struct end *to, size_t n, nsec_t now)
{
	n = n < from->pipe_len ? n : from->pipe_len;
	uint8_t *copy = testkit_copy(span_of(from->pipe, n));
	from->pipe_len -= n;
	memmove(from->pipe, from->pipe + n, from->pipe_len);
	struct span in = span_of(copy, n);
	struct yamux_event ev;
	enum err e;
	while ((e = yamux_read(to->y, &in, now, &ev)) == ERR_OK)
		on_event(to, from, &ev);
	assert_err(e, ERR_AGAIN);
	free(copy);
}

static void take(struct end *e, size_t room, nsec_t now)
{
	room = room < PIPE_LEN - e->pipe_len ? room : PIPE_LEN - e->pipe_len;
	struct wbuf out = wbuf_of(e->pipe + e->pipe_len, room);
	yamux_take(e->y, &out, now);
	e->pipe_len += out.len;
}

static void send_some(struct end *e, struct half *h, size_t want)
{
	size_t n = yamux_send_room(h->s);
	n = n < want ? n : want;
	if (n == 0 || PIPE_LEN - e->pipe_len < YAMUX_HEADER_LEN + n)
		return;
	uint8_t *at = e->pipe + e->pipe_len;
	yamux_put_data(h->s, at, n);
	for (size_t i = 0; i < n; i++)
		at[YAMUX_HEADER_LEN + i] = byte_at(h->id, e, h->sent + i);
	h->sent += n;
	e->pipe_len += YAMUX_HEADER_LEN + n;
}

static void open_stream(struct end *e)
{
	uint32_t id = 2 * e->opened + (e == &ends[0] ? 1 : 2);
	if (id >= PEERS_STREAMS_MAX)
		return;
	struct half *h = &e->halves[id];
	enum err err = yamux_open(e->y, h, &h->s);
	if (err == ERR_LIMIT)
		return;
	assert_ok(err);
	assert_int_equal(yamux_stream_id(h->s), id);
	h->id = id;
	e->opened++;
}

/* A stream of this end that is alive; NULL where none was hit. */
static struct half *pick(struct end *e)
{
	unsigned newest = 2 * (ends[0].opened > ends[1].opened ? ends[0].opened : ends[1].opened);
	for (int tries = 0; tries < 20; tries++) {
		/* Mostly young ones. */
		unsigned back = below(below(4) == 0 ? newest + 3 : 40);
		struct half *h = &e->halves[newest + 2 > back ? newest + 2 - back : 0];
		if (h->s != NULL && !h->is_released)
			return h;
	}
	return NULL;
}

static void act(struct end *e, nsec_t now)
{
	struct half *h = pick(e);
	if (h == NULL)
		return;
	unsigned what = below(100);
	if (what < 50 && !h->was_reset_here) {
		send_some(e, h, 1 + below(below(3) == 0 ? YAMUX_BODY_LEN_SEND : 300));
	} else if (what < 85) {
		size_t n = below(2) == 0 ? h->unread : h->unread / 2;
		yamux_consumed(h->s, n, now);
		h->unread -= n;
	} else if (what < 94) {
		if (!h->was_reset_here && !h->is_reset_seen)
			h->is_fin_sent = true;
		yamux_close_write(h->s);
	} else if (what < 96) {
		if (!(h->is_fin_sent && h->is_fin_seen) && !h->is_reset_seen)
			h->was_reset_here = true;
		yamux_reset(h->s);
	} else if ((h->is_fin_sent && h->is_fin_seen) || h->is_reset_seen || what == 99) {
		release(h);
	}
}

/* Everything that is on its way arrives, until nothing moves. */
static void settle(nsec_t now)
{
	while (ends[0].pipe_len + ends[1].pipe_len > 0 || yamux_has_control(ends[0].y) ||
	       yamux_has_control(ends[1].y)) {
		for (int i = 0; i < 2; i++) {
			take(&ends[i], SIZE_MAX, now);
			deliver(&ends[i], &ends[1 - i], SIZE_MAX, now);
		}
	}
}

static void test_random_traffic_in_random_pieces_arrives_in_order_and_complete(void **state)
{
	(void)state;
	start();
	nsec_t now = 0;
	uint64_t total = 0;
	for (int step = 0; step < RANDOM_STEPS; step++) {
		now += below(20) * NSEC_PER_MSEC;
		struct end *e = &ends[below(2)];
		struct end *other = e == &ends[0] ? &ends[1] : &ends[0];
		unsigned what = below(100);
		if (what < 4)
			open_stream(e);
		else if (what < 70)
			act(e, now);
		else if (what < 84)
			take(e, below(200), now);
		else if (what < 99)
			deliver(e, other, below(below(2) == 0 ? 30 : PIPE_LEN), now);
		else
			yamux_ping(e->y);
	}
	settle(now);
	/* Who is still open on both ends has seen exactly what was sent. */
	for (uint32_t id = 1; id < PEERS_STREAMS_MAX; id++) {
		struct half *a = &ends[0].halves[id], *b = &ends[1].halves[id];
		total += a->received + b->received;
		if (a->s == NULL || b->s == NULL || a->is_released || b->is_released ||
		    a->was_reset_here || b->was_reset_here)
			continue;
		assert_int_equal(a->received, b->sent);
		assert_int_equal(b->received, a->sent);
		assert_int_equal(a->is_fin_seen, b->is_fin_sent);
		assert_int_equal(b->is_fin_seen, a->is_fin_sent);
		assert_false(a->is_reset_seen || b->is_reset_seen);
	}
	/* When both ends have let go of everything, nothing is left. */
	for (int i = 0; i < 2; i++) {
		for (uint32_t id = 1; id < PEERS_STREAMS_MAX; id++) {
			struct half *h = &ends[i].halves[id];
			if (h->s != NULL && !h->is_released)
				release(h);
		}
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(yamux_stream_count(ends[i].y), 0);
	settle(now);
	print_message("# %u streams, %llu bytes\n", ends[0].opened + ends[1].opened,
		      (unsigned long long)total);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_random_traffic_in_random_pieces_arrives_in_order_and_complete),
	};
	return cmocka_run_group_tests_name("yamux_pair", tests, NULL, NULL);
}
