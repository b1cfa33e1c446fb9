/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conn_internal.h - a connection from inside: for the files of the connection and stream.c only
 *
 *     conn.c          life: made, moved between states, closed, freed; the timer
 *     conn_baton.c    from one shard to another
 *     conn_upgrade.c  the way from TCP to the muxer
 *     conn_io.c       bytes of an open connection: socket <-> records <-> frames <-> streams
 *     stream.c        streams
 */
#pragma once

#include "base/limits.h"
#include "base/util.h"
#include "p2p/host/conn.h"
#include "p2p/host/liveness.h"
#include "p2p/mux/yamux.h"
#include "p2p/secure/secure.h"
#include "p2p/select/mss.h"

enum {
	/* One of the longest Noise handshake messages, or a token: nothing longer comes before the
	 * muxer. */
	UPGRADE_IN_LEN = 8 * 1024,  /* bytes */
	UPGRADE_OUT_LEN = 8 * 1024, /* bytes */
};

/* What only an unfinished connection needs: all that a stranger can make us hold, beside the
 * socket. */
struct upgrade {
	struct mss mss;
	size_t in_len;
	size_t out_len;
	uint8_t in[UPGRADE_IN_LEN];
	uint8_t out[UPGRADE_OUT_LEN]; /* waits for the socket */
};

struct conn {
	struct conn_env *env;
	void *owner;
	struct sock *sock;
	enum conn_state state;
	enum err why;            /* the first reason to close */
	enum conn_state reached; /* before it closed */
	bool is_outbound;
	uint32_t lane;
	bool was_open;
	bool is_blocked; /* the socket takes no more: wait until it is writable */
	unsigned watched;

	union netaddr remote;
	struct peer_id expected; /* whom we dialled; empty for inbound */
	struct secure *secure;
	struct upgrade *upgrade;  /* until CONN_OPEN */
	struct conn_baton *baton; /* CONN_LEAVING: to be filled */
	struct yamux *mux;        /* from CONN_OPEN */
	nsec_t upgrade_by;        /* outbound: the deadline once TCP is connected */
	nsec_t opened_at;

	struct iobuf *rx; /* an unfinished record, or NULL */
	struct iobuf *tx; /* sealed records that wait for the socket, or NULL */
	struct conn_stats stats;
	uint64_t acked_bytes; /* of tcp_stats, when we last looked */

	struct liveness liveness; /* from CONN_OPEN */
	struct loop_timer timer;  /* the upgrade's deadline, then liveness */
	struct loop_task flush;   /* something may be sent */
	struct loop_task reap;    /* closing */

	struct stream *streams; /* all of them */
	struct stream *ready;   /* those with something to pull: round robin */
	size_t n_negotiating_in;
	size_t n_dead; /* streams that wait for stream_reap() */
};

struct stream {
	struct stream *prev, *next;             /* conn->streams */
	struct stream *ready_prev, *ready_next; /* conn->ready */
	struct conn *conn;
	struct yamux_stream *mux;     /* NULL once released */
	const struct stream_ops *ops; /* NULL for an inbound stream without a protocol */
	void *user;
	const char *const *proposals;
	size_t n_proposals;
	const char *protocol;       /* NULL while negotiating */
	struct mss *mss;            /* NULL when agreed */
	struct loop_timer deadline; /* of the negotiation */
	uint8_t *partial;           /* an incomplete token; NULL: none */
	size_t partial_len;
	uint8_t *out; /* copies of stream_write(); NULL: none */
	size_t out_start, out_len;
	enum err why;
	bool is_outbound;
	bool is_ready;        /* in conn->ready */
	bool is_close_wanted; /* FIN when `out` is empty */
	bool is_write_closed; /* FIN is sent */
	bool is_eof;          /* FIN came */
	bool is_dead;         /* on_close() is due */
};

/* conn.c */
/* In its first state, without anything that the upgrade needs. NULL: out of memory. */
struct conn *conn_new(struct conn_env *env, struct sock *sock, const union netaddr *remote,
		      void *owner);
struct conn *conn_free(struct conn *c);
void conn_set_state(struct conn *c, enum conn_state state);
void conn_watch(struct conn *c);
void conn_arm(struct conn *c);

/* conn_baton.c */
/* Leave at the end of the turn, with the records that came behind the handshake. */
MUST_USE enum err conn_leave(struct conn *c, struct span records);
/* The end of the turn: what it leaves as. */
struct conn_baton *conn_pack(struct conn *c);

/* conn_upgrade.c: each may close the connection. */
MUST_USE enum err conn_upgrade_start(struct conn *c);
void conn_upgrade_readable(struct conn *c);
void conn_upgrade_writable(struct conn *c);
/* Plaintext that came before the muxer was agreed; what is behind stays in *plain. */
void conn_upgrade_plain(struct conn *c, struct span *plain);
/* The muxer is agreed: the connection is open, the caller calls on_open(). */
MUST_USE enum err conn_start_mux(struct conn *c, nsec_t opened_at);
/* Bytes that the upgrade wants to send inside the secure channel. */
void conn_upgrade_take(struct conn *c, struct wbuf *out);

/* conn_io.c */
void conn_io_readable(struct conn *c);
void conn_io_flush(struct conn *c);
/* Records that came behind the handshake. */
void conn_io_feed(struct conn *c, struct span raw);
void conn_flush_later(struct conn *c);

/* stream.c */
void stream_accept(struct conn *c, struct yamux_stream *mux);
void stream_input(struct stream *s, struct span data);
void stream_input_eof(struct stream *s);
void stream_input_reset(struct stream *s);
/* Up to cap bytes of what this stream wants to send; 0: take it off the ready list. */
size_t stream_output(struct stream *s, uint8_t *buf, size_t cap);
/* After output: FIN if it is due. */
void stream_after_output(struct stream *s);
void stream_unready(struct stream *s);
/* Call on_close() of those that died, free them. With all: of all, with conn->why. */
void stream_reap(struct conn *c, bool all);
