/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_segment.c - segments on their paths: delay, jitter, cuts, moved hosts
 *
 * A segment is lost if its path or its connection is cut, or one of the hosts no longer has the
 * connection's address, when it leaves or when it would arrive. Segments of one direction of a
 * connection keep their order: TCP would restore it anyhow, and what reordering costs in real life
 * is not modelled.
 */
#include <stdlib.h>

#include "base/util.h"
#include "loop/sim_tcp.h"

/* NULL: there is no way to the other end now. */
struct sim_link *sim_end_link(struct sim_end *from, struct sim_host **ret_to)
{
	struct sim_host *to = from->peer->host;
	if (!sim_host_has(from->host, &from->local))
		return NULL;
	if (to == NULL)
		to = sim_find_host(from->host, &from->remote); /* the first SYN */
	else if (!sim_host_has(to, &from->remote))
		return NULL;
	if (to == NULL)
		return NULL;
	struct sim_link *link = sim_link_between(from->host, to);
	*ret_to = to;
	return link->path.cut || from->conn->is_cut ? NULL : link;
}

static void unlink_segment(struct sim_segment *segment)
{
	struct sim_conn *conn = segment->from->conn;
	if (segment->prev != NULL)
		segment->prev->next = segment->next;
	else
		conn->segments = segment->next;
	if (segment->next != NULL)
		segment->next->prev = segment->prev;
	conn->n_segments--;
}

static void on_arrival(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct sim_segment *segment = CONTAINER_OF(timer, struct sim_segment, arrival);
	struct sim_end *from = segment->from;
	struct sim_host *to;
	bool is_lost = sim_end_link(from, &to) == NULL;
	unlink_segment(segment);
	sim_note(from->host, is_lost ? "lost" : "arrived", from->conn->id,
		 (uint64_t)segment->kind << 56 | segment->end);
	if (!is_lost) {
		if (from->peer->host == NULL)
			from->peer->host = to;
		sim_end_receive(from->peer, segment);
	}
	free(segment);
	sim_conn_settle(from->conn);
}

void sim_segment_send(struct sim_end *from, struct sim_segment proto, nsec_t depart)
{
	struct sim *sim = from->conn->sim;
	struct sim_host *to;
	struct sim_link *link = sim_end_link(from, &to);
	proto.from = from;
	proto.ack = from->arrived;
	proto.sent_at = sim->now;
	if (from->state == SIM_OPEN || from->state == SIM_SYN_RECEIVED)
		from->edge_told = proto.edge = from->read + SIM_RECEIVE_BUFFER;
	if (link == NULL) {
		sim_note(from->host, "lost at once", from->conn->id,
			 (uint64_t)proto.kind << 56 | proto.end);
		return;
	}
	if (proto.begin < proto.end && link->path.break_per_million > 0)
		proto.breaks = sim_random(&sim->rng) % 1000000 < link->path.break_per_million;
	nsec_t arrival = nsec_add(depart, link->path.delay);
	if (link->path.jitter > 0)
		arrival = nsec_add(arrival, sim_random(&sim->rng) % (link->path.jitter + 1));
	if (arrival < from->last_arrival)
		arrival = from->last_arrival;
	from->last_arrival = arrival;

	struct sim_segment *segment = sim_alloc(sizeof(*segment));
	*segment = proto;
	segment->prev = NULL;
	segment->next = from->conn->segments;
	if (segment->next != NULL)
		segment->next->prev = segment;
	from->conn->segments = segment;
	from->conn->n_segments++;
	loop_timer_init(&segment->arrival, &sim->events, on_arrival);
	loop_timer_set(&segment->arrival, arrival);
}

void sim_segments_drop(struct sim_conn *conn)
{
	while (conn->segments != NULL) {
		struct sim_segment *segment = conn->segments;
		loop_timer_stop(&segment->arrival);
		unlink_segment(segment);
		free(segment);
	}
}
