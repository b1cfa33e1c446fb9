/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_conn.c - simulated TCP connections: beginning, end, and what segments mean
 *
 * The handshake is TCP's: SYN, SYN-ACK, ACK; the listener's side waits to be accepted once the ACK
 * (or the first data) is there. Lost SYNs are sent again after 1, 2, 4 ... s and given up 127 s
 * after the first, as Linux does with its six retries; SYN-ACKs five times.
 */
#include <stdlib.h>

#include "base/util.h"
#include "loop/sim_tcp.h"

enum {
	SYN_RETRIES = 6,
	SYN_ACK_RETRIES = 5,
};

void sim_end_answer(struct sim_end *end, enum sim_segment_kind kind, nsec_t echo)
{
	sim_segment_send(end, (struct sim_segment){.kind = kind, .echo = echo},
			 end->conn->sim->now);
}

void sim_end_finish(struct sim_end *end, enum err error)
{
	sim_note(end->host, err_name(error), end->conn->id, 0);
	end->state = SIM_CLOSED;
	end->error = error;
	loop_timer_stop(&end->retry);
	loop_timer_stop(&end->pace);
	sim_stream_changed(end);
}

/* --- life ---------------------------------------------------------------------------- */

/* It may wait in vain for a FIN: Linux gives up on that after a minute, we where the other end is
 * over already. */
static bool is_through(const struct sim_end *end)
{
	if (end->sock != NULL || end->waits)
		return false;
	if (end->state == SIM_CLOSED)
		return true;
	return end->fin && end->acked == sim_end_total(end) &&
	       (end->eof || end->peer->state == SIM_CLOSED);
}

static void free_conn(struct sim_conn *conn)
{
	sim_segments_drop(conn);
	for (size_t i = 0; i < 2; i++) {
		loop_timer_stop(&conn->ends[i].retry);
		loop_timer_stop(&conn->ends[i].pace);
		free(conn->ends[i].bytes.p);
	}
	if (conn->prev != NULL)
		conn->prev->next = conn->next;
	else
		conn->sim->conns = conn->next;
	if (conn->next != NULL)
		conn->next->prev = conn->prev;
	free(conn);
}

void sim_conn_settle(struct sim_conn *conn)
{
	if (conn->n_segments == 0 && is_through(&conn->ends[0]) && is_through(&conn->ends[1]))
		free_conn(conn);
}

void sim_conn_free_all(struct sim *sim)
{
	while (sim->conns != NULL)
		free_conn(sim->conns);
}

/* The owner's close, or the listener's for those that it did not accept. */
void sim_end_abandon(struct sim_end *end, bool abort)
{
	end->sock = NULL;
	end->waits = false;
	sim_note(end->host, abort ? "abort" : "close", end->conn->id, end->written);
	if (end->state == SIM_OPEN && !abort) {
		sim_stream_end(end);
	} else if (end->state != SIM_CLOSED) {
		if (end->state != SIM_SYN_SENT)
			sim_end_answer(end, SIM_RST, 0);
		sim_end_finish(end, ERR_CLOSED);
	}
	sim_conn_settle(end->conn);
}

/* --- handshake ----------------------------------------------------------------------- */

static void retry_handshake(struct sim_end *end)
{
	bool is_dialler = end->state == SIM_SYN_SENT;
	unsigned max = is_dialler ? SYN_RETRIES : SYN_ACK_RETRIES;
	if (end->n_retries == max) {
		sim_end_finish(end, ERR_TIMEOUT);
		return;
	}
	end->n_retries++;
	sim_end_answer(end, is_dialler ? SIM_SYN : SIM_SYN_ACK, 0);
	loop_timer_set(&end->retry, end->conn->sim->now + (NSEC_PER_SEC << end->n_retries));
}

static void on_retry(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct sim_end *end = CONTAINER_OF(timer, struct sim_end, retry);
	struct sim_conn *conn = end->conn;
	sim_note(end->host, "retry", conn->id, end->n_retries);
	if (end->state == SIM_OPEN)
		sim_stream_retry(end);
	else
		retry_handshake(end);
	sim_conn_settle(conn);
}

static void on_pace(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	sim_stream_transmit(CONTAINER_OF(timer, struct sim_end, pace));
}

static void start_handshake(struct sim_end *end, enum sim_end_state state,
			    enum sim_segment_kind kind, nsec_t echo)
{
	end->state = state;
	end->n_retries = 0;
	sim_end_answer(end, kind, echo);
	loop_timer_set(&end->retry, end->conn->sim->now + NSEC_PER_SEC);
}

static void open_end(struct sim_end *end, const struct sim_segment *segment)
{
	end->state = SIM_OPEN;
	end->n_retries = 0;
	loop_timer_stop(&end->retry);
	sim_stream_on_ack(end, segment);
	sim_note(end->host, "open", end->conn->id, 0);
}

static void on_syn(struct sim_end *end, const struct sim_segment *segment)
{
	if (end->peer->state != SIM_SYN_SENT)
		return; /* a late copy */
	if (end->state != SIM_CLOSED) {
		sim_end_answer(end, SIM_SYN_ACK, segment->sent_at);
		return;
	}
	struct sim_sock *listener = sim_find_listener(end->host, &end->local);
	if (listener == NULL)
		sim_end_answer(end, SIM_RST, 0);
	else if (!sim_listener_is_full(listener)) /* else dropped, as the kernel does */
		start_handshake(end, SIM_SYN_RECEIVED, SIM_SYN_ACK, segment->sent_at);
}

static void on_syn_ack(struct sim_end *end, const struct sim_segment *segment)
{
	if (end->state == SIM_SYN_SENT) {
		open_end(end, segment);
		sim_end_answer(end, SIM_DATA, segment->sent_at);
		sim_stream_changed(end);
	} else if (end->state == SIM_OPEN) {
		sim_end_answer(end, SIM_DATA, segment->sent_at);
	} else {
		sim_end_answer(end, SIM_RST, 0);
	}
}

/* The third step. The listener may be gone meanwhile. */
static bool complete(struct sim_end *end, const struct sim_segment *segment)
{
	struct sim_sock *listener = sim_find_listener(end->host, &end->local);
	if (listener == NULL) {
		sim_end_answer(end, SIM_RST, 0);
		sim_end_finish(end, ERR_CLOSED);
		return false;
	}
	if (sim_listener_is_full(listener))
		return false;
	open_end(end, segment);
	end->waits = true;
	sim_listener_add(listener, end);
	return true;
}

static void on_data(struct sim_end *end, const struct sim_segment *segment)
{
	if (segment->breaks) {
		if (end->state != SIM_CLOSED) {
			sim_end_answer(end, SIM_RST, 0);
			sim_end_finish(end, ERR_RESET);
		}
		return;
	}
	if (end->state == SIM_SYN_RECEIVED && !complete(end, segment))
		return;
	if (end->state != SIM_OPEN) {
		if (segment->begin < segment->end || segment->is_probe)
			sim_end_answer(end, SIM_RST, 0);
		return;
	}
	sim_stream_on_ack(end, segment);
	if (end->state == SIM_OPEN)
		sim_stream_on_data(end, segment);
}

void sim_end_receive(struct sim_end *end, const struct sim_segment *segment)
{
	switch (segment->kind) {
	case SIM_SYN:
		on_syn(end, segment);
		return;
	case SIM_SYN_ACK:
		on_syn_ack(end, segment);
		return;
	case SIM_DATA:
		on_data(end, segment);
		return;
	case SIM_RST:
		if (end->state == SIM_SYN_SENT)
			sim_end_finish(end, ERR_REFUSED);
		else if (end->state != SIM_CLOSED)
			sim_end_finish(end, ERR_RESET);
		return;
	}
}

static void init_end(struct sim_conn *conn, size_t side)
{
	struct sim_end *end = &conn->ends[side];
	end->conn = conn;
	end->peer = &conn->ends[1 - side];
	end->error = ERR_RESET;
	end->edge = SIM_RECEIVE_BUFFER;
	loop_timer_init(&end->retry, &conn->sim->events, on_retry);
	loop_timer_init(&end->pace, &conn->sim->events, on_pace);
}

static void set_port(union netaddr *addr, uint16_t port)
{
	addr->in4.sin_port = htons(port); /* the same place in both families */
}

enum err sim_dial(struct loop *loop, const union netaddr *to, const struct tcp_opts *opts,
		  struct sock **ret_sock)
{
	struct sim_host *host = sim_host_of(loop);
	if (to->sa.sa_family != AF_INET && to->sa.sa_family != AF_INET6)
		return ERR_UNSUPPORTED;
	if (to->sa.sa_family != host->ip.sa.sa_family && !sim_addr_is_loopback(to))
		return ERR_UNREACHABLE;
	struct sim_conn *conn = sim_alloc(sizeof(*conn));
	conn->sim = host->sim;
	conn->id = conn->sim->n_conns++;
	conn->next = conn->sim->conns;
	if (conn->next != NULL)
		conn->next->prev = conn;
	conn->sim->conns = conn;
	init_end(conn, 0);
	init_end(conn, 1);
	struct sim_end *end = &conn->ends[0], *peer = &conn->ends[1];
	end->host = host;
	end->remote = peer->local = *to;
	end->local = sim_addr_is_loopback(to) ? *to : host->ip;
	set_port(&end->local, sim_next_port(host));
	peer->remote = end->local;
	if (opts != NULL)
		end->opts = *opts;
	sim_note(host, "dial", conn->id, ntohs(to->in4.sin_port));
	struct sim_stream *stream = sim_stream_new(end);
	start_handshake(end, SIM_SYN_SENT, SIM_SYN, 0);
	*ret_sock = &stream->base.base;
	return ERR_OK;
}

static bool is_between(const struct sim_conn *c, const struct sim_host *a, const struct sim_host *b)
{
	const struct sim_end *x = &c->ends[0], *y = &c->ends[1];
	bool are_theirs = (x->host == a && y->host == b) || (x->host == b && y->host == a);
	return are_theirs && x->sock != NULL && y->sock != NULL;
}

bool sim_cut_conn(struct sim *sim, const struct sim_host *a, const struct sim_host *b, size_t nth)
{
	/* The list has the youngest first. */
	size_t n = 0;
	for (struct sim_conn *c = sim->conns; c != NULL; c = c->next)
		n += is_between(c, a, b);
	if (nth >= n)
		return false;
	for (struct sim_conn *c = sim->conns; c != NULL; c = c->next) {
		if (is_between(c, a, b) && --n == nth)
			c->is_cut = true;
	}
	return true;
}
