/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * yamux.c - the session and its streams: states, windows, limits
 *
 * Windows: the peer may have at most `window` bytes under way or unread on a stream, so what can be
 * granted is window - recv_left - unread, and it is granted once it is half of the window. A stream
 * whose owner consumes a whole window within 4 round trips is held back by its window, not by its
 * path, and gets twice as much, up to YAMUX_WINDOW_MAX and as long as the session's windows have
 * not grown by more than YAMUX_WINDOW_GROWTH_MAX in all. The round trip comes from pings: without
 * one, windows stay as they are.
 *
 * Ids are looked up in a hash of at most YAMUX_STREAMS_IN_MAX + YAMUX_STREAMS_OUT_MAX streams, so
 * even ids chosen to collide cost no more than a walk through half of these.
 */
#include "p2p/mux/yamux_internal.h"

#include <assert.h>
#include <stdlib.h>

static_assert(YAMUX_STREAMS_OUT_MAX <= YAMUX_ACK_BACKLOG_MAX,
	      "open streams can never be more than may be unacknowledged");
static_assert(YAMUX_STREAMS_IN_MAX <= YAMUX_ACK_BACKLOG_MAX, "nor those of the peer");
static_assert(YAMUX_STREAMS_OUT_MAX + YAMUX_STREAMS_IN_MAX < YAMUX_OWED_MAX,
	      "full tables leave room for last frames");
static_assert(YAMUX_WINDOW_INITIAL <= YAMUX_WINDOW_MAX, "windows only grow");

/*     state            CLOSE_WRITE           FIN                    RESET */
static const uint8_t moves[][MOVE_COUNT] = {
	[STREAM_OPEN] = {STREAM_LOCAL_CLOSED, STREAM_REMOTE_CLOSED, STREAM_RESET},
	[STREAM_LOCAL_CLOSED] = {STREAM_LOCAL_CLOSED, STREAM_CLOSED, STREAM_RESET},
	[STREAM_REMOTE_CLOSED] = {STREAM_CLOSED, STREAM_REMOTE_CLOSED, STREAM_RESET},
	[STREAM_CLOSED] = {STREAM_CLOSED, STREAM_CLOSED, STREAM_CLOSED},
	[STREAM_RESET] = {STREAM_RESET, STREAM_RESET, STREAM_RESET},
};

static_assert(sizeof(moves) / sizeof(moves[0]) == STREAM_STATE_COUNT, "moves of each state");

bool yamux_stream_move(struct yamux_stream *s, enum stream_move move)
{
	enum stream_state next = moves[s->state][move];
	if (next == s->state)
		return false;
	s->state = next;
	return true;
}

bool yamux_is_alive(const struct yamux_stream *s)
{
	return s->state != STREAM_CLOSED && s->state != STREAM_RESET;
}

bool yamux_can_send(const struct yamux_stream *s)
{
	return s->state == STREAM_OPEN || s->state == STREAM_REMOTE_CLOSED;
}

bool yamux_can_receive(const struct yamux_stream *s)
{
	return s->state == STREAM_OPEN || s->state == STREAM_LOCAL_CLOSED;
}

enum err yamux_new(enum yamux_role role, struct yamux **ret_yamux)
{
	struct yamux *y = calloc(1, sizeof(*y));
	if (y == NULL)
		return ERR_NO_MEMORY;
	y->role = role;
	y->next_id = role == YAMUX_CLIENT ? 1 : 2;
	*ret_yamux = y;
	return ERR_OK;
}

struct yamux *yamux_free(struct yamux *y)
{
	if (y == NULL)
		return NULL;
	struct yamux_stream *s, *next;
	HASH_ITER (hh, y->streams, s, next) {
		HASH_DEL(y->streams, s);
		free(s);
	}
	free(y);
	return NULL;
}

bool yamux_is_our_id(const struct yamux *y, uint32_t id)
{
	return (id % 2 == 1) == (y->role == YAMUX_CLIENT);
}

struct yamux_stream *yamux_find(const struct yamux *y, uint32_t id)
{
	struct yamux_stream *s;
	HASH_FIND(hh, y->streams, &id, sizeof(id), s);
	return s;
}

bool yamux_has_place(const struct yamux *y)
{
	return y->n_in + y->n_out + y->n_farewells < YAMUX_OWED_MAX;
}

struct yamux_stream *yamux_stream_new(struct yamux *y, uint32_t id)
{
	struct yamux_stream *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->y = y;
	s->id = id;
	s->is_ours = yamux_is_our_id(y, id);
	s->send_left = YAMUX_WINDOW_INITIAL;
	s->recv_left = YAMUX_WINDOW_INITIAL;
	s->window = YAMUX_WINDOW_INITIAL;
	HASH_ADD(hh, y->streams, id, sizeof(s->id), s);
	if (s->hh.tbl == NULL) {
		free(s);
		return NULL;
	}
	if (s->is_ours)
		y->n_out++;
	else
		y->n_in++;
	return s;
}

enum err yamux_open(struct yamux *y, void *user, struct yamux_stream **ret_stream)
{
	if (y->is_going || y->failure != ERR_OK)
		return ERR_GO_AWAY;
	if (y->n_out == YAMUX_STREAMS_OUT_MAX || !yamux_has_place(y) || y->next_id > UINT32_MAX - 2)
		return ERR_LIMIT;
	struct yamux_stream *s = yamux_stream_new(y, y->next_id);
	if (s == NULL)
		return ERR_NO_MEMORY;
	y->next_id += 2;
	s->user = user;
	yamux_owe(s, FLAG_SYN);
	*ret_stream = s;
	return ERR_OK;
}

/* A whole window was consumed since the epoch began: was that fast? */
static void tune_window(struct yamux_stream *s, nsec_t now)
{
	struct yamux *y = s->y;
	bool is_fast = y->rtt > 0 && nsec_since(now, s->epoch_start) < 4 * y->rtt;
	if (!is_fast || s->window > YAMUX_WINDOW_MAX / 2 ||
	    s->window > YAMUX_WINDOW_GROWTH_MAX - y->grown)
		return;
	y->grown += s->window;
	s->window *= 2;
}

void yamux_consumed(struct yamux_stream *s, size_t n, nsec_t now)
{
	assert(n <= s->unread);
	s->unread -= (uint32_t)n;
	if (n == 0 || !yamux_can_receive(s))
		return;

	if (s->epoch_bytes == 0)
		s->epoch_start = now;
	s->epoch_bytes += (uint32_t)n;
	if (s->epoch_bytes >= s->window) {
		tune_window(s, now);
		s->epoch_bytes = 0;
	}
	if (s->window - s->recv_left - s->unread >= s->window / 2)
		yamux_owe(s, OWED_WINDOW);
}

void yamux_close_write(struct yamux_stream *s)
{
	if (!yamux_stream_move(s, MOVE_CLOSE_WRITE))
		return;
	yamux_owe(s, FLAG_FIN);
	struct yamux_reader *in = &s->y->in;
	if (in->stream == s) /* called between ACKED and WRITABLE */
		in->due &= ~(unsigned)DUE_WRITABLE;
}

/* Let the parser skip what is left of a frame for this stream. */
static void detach_reader(struct yamux_stream *s)
{
	struct yamux_reader *in = &s->y->in;
	if (in->stream != s)
		return;
	in->stream = NULL;
	in->due = 0;
}

bool yamux_stream_kill(struct yamux_stream *s)
{
	if (!yamux_stream_move(s, MOVE_RESET))
		return false;
	detach_reader(s);
	yamux_disown(s, s->owed);
	/* Whoever resets: that the peer can make us open and reset, costs us the same. */
	if (!s->is_ours)
		s->y->churned++;
	return true;
}

void yamux_reset(struct yamux_stream *s)
{
	/* A stream of which the peer never heard dies in silence. */
	if (yamux_stream_kill(s) && s->is_announced)
		yamux_owe(s, FLAG_RST);
}

void yamux_release(struct yamux_stream *s)
{
	struct yamux *y = s->y;
	yamux_reset(s);
	detach_reader(s);
	uint8_t last = s->owed & (FLAG_ACK | FLAG_FIN | FLAG_RST);
	yamux_disown(s, s->owed);
	if (last != 0)
		yamux_farewell(y, s->id, last);

	y->grown -= s->window - YAMUX_WINDOW_INITIAL;
	if (s->is_ours)
		y->n_out--;
	else
		y->n_in--;
	HASH_DEL(y->streams, s);
	free(s);
}

void yamux_set_user(struct yamux_stream *s, void *user)
{
	s->user = user;
}

void *yamux_user(const struct yamux_stream *s)
{
	return s->user;
}

uint32_t yamux_stream_id(const struct yamux_stream *s)
{
	return s->id;
}

void yamux_ping(struct yamux *y)
{
	if (y->ping == PING_IDLE)
		y->ping = PING_DUE;
}

bool yamux_is_ping_pending(const struct yamux *y)
{
	return y->ping != PING_IDLE;
}

void yamux_go_away(struct yamux *y, enum yamux_go_away code)
{
	y->is_going = true;
	y->is_go_away_due = true;
	y->go_away_code = code;
}

nsec_t yamux_rtt(const struct yamux *y)
{
	return y->rtt;
}

size_t yamux_stream_count(const struct yamux *y)
{
	return y->n_in + y->n_out;
}
