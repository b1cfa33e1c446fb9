/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_tcp.h - a simulated TCP connection: two ends, and the segments between them
 *
 * A connection outlives its sockets: what was written before a close is still delivered. It goes
 * when both ends are through and no segment is under way.
 *
 * Positions count the bytes of one direction from 0; the FIN takes one more position behind the
 * last byte. The bytes themselves stay in their sender's `bytes`, from the reader's position to the
 * last written one: a segment carries positions only.
 */
#pragma once

#include "loop/sim_internal.h"

enum sim_end_state {
	SIM_CLOSED, /* not begun, or over: `error` says why */
	SIM_SYN_SENT,
	SIM_SYN_RECEIVED,
	SIM_OPEN,
};

struct sim_bytes {
	uint8_t *p;
	size_t start, len, cap;
};

struct sim_end {
	struct sim_conn *conn;
	struct sim_end *peer;
	struct sim_host *host;   /* side 1: NULL until a SYN arrived */
	struct sim_stream *sock; /* NULL: not accepted yet, or closed by its owner */
	enum sim_end_state state;
	enum err error;
	union netaddr local, remote;
	struct tcp_opts opts;
	struct sim_end *next_waiting; /* behind it in the listener's queue */
	bool waits;                   /* to be accepted */

	/* What it sends. */
	struct sim_bytes bytes;
	uint64_t written;   /* bytes the owner wrote */
	bool fin;           /* and then it closed */
	uint64_t acked;     /* that the other end is known to have */
	uint64_t sent;      /* put on the wire; goes back to `acked` on a retransmission */
	uint64_t edge;      /* the other end has room up to here */
	nsec_t rtt;         /* smoothed; 0: not measured */
	nsec_t progress_at; /* when `acked` or `edge` moved, or there was first something to send */
	unsigned n_retries; /* since then */
	struct loop_timer retry; /* of the world */
	struct loop_timer pace;  /* the path is busy with its last chunk */
	nsec_t last_departure, last_arrival;

	/* What it receives. */
	uint64_t arrived; /* without gaps; with the FIN where that came */
	uint64_t read;
	uint64_t edge_told;
	bool eof;
};

struct sim_conn {
	struct sim *sim;
	struct sim_conn *next, *prev;
	uint64_t id;
	struct sim_end ends[2]; /* [0] dialled */
	size_t n_segments;      /* under way */
	bool is_cut;            /* sim_cut_conn() */
	struct sim_segment *segments;
};

struct sim_stream {
	struct sim_sock base;
	struct sim_end *end;
};

enum sim_segment_kind {
	SIM_SYN,
	SIM_SYN_ACK,
	SIM_DATA, /* or a bare ACK: nothing in it */
	SIM_RST,
};

struct sim_segment {
	struct loop_timer arrival; /* of the world */
	struct sim_segment *next, *prev;
	struct sim_end *from;
	enum sim_segment_kind kind;
	uint64_t begin, end; /* positions, SIM_DATA */
	bool is_probe;       /* wants an ACK, also where there is nothing in it */
	bool breaks;         /* the connection is reset instead of its arrival */
	uint64_t ack, edge;
	nsec_t sent_at, echo; /* echo: the sent_at of what it answers; 0: nothing */
};

/* The most that is sent before the other end must answer. */
static inline uint64_t sim_end_total(const struct sim_end *end)
{
	return end->written + (end->fin ? 1 : 0);
}

/* sim_segment.c: `proto` is copied; it leaves at `depart`. */
void sim_segment_send(struct sim_end *from, struct sim_segment proto, nsec_t depart);
void sim_segments_drop(struct sim_conn *conn);
struct sim_link *sim_end_link(struct sim_end *from, struct sim_host **ret_to);

/* sim_conn.c */
void sim_end_receive(struct sim_end *end, const struct sim_segment *segment);
void sim_end_answer(struct sim_end *end, enum sim_segment_kind kind, nsec_t echo);
/* It is over for this end, which tells no one. */
void sim_end_finish(struct sim_end *end, enum err error);
/* Free the connection if that was the last of it. */
void sim_conn_settle(struct sim_conn *conn);
void sim_end_abandon(struct sim_end *end, bool abort);

/* sim_stream.c */
struct sim_stream *sim_stream_new(struct sim_end *end);
void sim_stream_on_ack(struct sim_end *end, const struct sim_segment *segment);
void sim_stream_on_data(struct sim_end *end, const struct sim_segment *segment);
void sim_stream_transmit(struct sim_end *end);
/* Nothing more will be written. */
void sim_stream_end(struct sim_end *end);
/* The retry timer of an open end. */
void sim_stream_retry(struct sim_end *end);
void sim_stream_changed(struct sim_end *end);
