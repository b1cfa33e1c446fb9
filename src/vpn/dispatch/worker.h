/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * worker.h - what one connection key needs: its place in line, its stream, its packets
 *
 * A worker is an object, not a thread: ten thousand connection keys are ten thousand small
 * structs. It holds the packets of its key in their order until a stream takes them; packets of
 * other keys never stand between them. Its stream stays the same (stream_manager.h moves it).
 *
 *     place     the worker is in              leaves when
 *     IDLE      no line                       a packet comes -> FRESH, or WAITING without stream
 *     FRESH     its queue's line of newcomers served for one quantum -> STANDING; empty -> IDLE
 *     STANDING  its queue's second line       empty -> IDLE
 *     WAITING   its pool's line               it gets a stream -> FRESH
 *
 * Owned by one shard. Three cache lines: what is looked up, what is queued, what is sent.
 */
#pragma once

#include "vpn/dispatch/codel.h"
#include "vpn/packet/conn_key.h"
#include "vpn/packet/pool.h"

struct fair_queue;
struct pool_stream;
struct spread;
struct worker_pool;

enum worker_place {
	WORKER_IDLE,
	WORKER_FRESH,
	WORKER_STANDING,
	WORKER_WAITING,
};

struct worker {
	_Alignas(64) struct conn_key key;
	uint32_t tag;               /* of its hash: the table's */
	uint32_t index;             /* its place in the table's memory */
	struct packet *head, *tail; /* the key's packets that wait */
	struct fair_queue *queue;   /* where it stands in line; NULL: it has no stream */
	struct worker_pool *pool;

	uint32_t packets;           /* that wait */
	uint32_t bytes;             /* of these */
	int32_t deficit;            /* bytes that it may still send in this round */
	uint32_t used_at;           /* seconds of the loop's clock, when its last packet came */
	struct worker *next, *prev; /* the line: a ring */
	struct codel codel;
	uint32_t generation;  /* of peer discovery, when its peer was looked up */
	uint8_t place;        /* enum worker_place */
	bool is_used : 1;     /* the table's */
	bool is_handed : 1;   /* its last packets went to another shard ... */
	bool is_flushing : 1; /* ... and have to arrive before more may go from here */
	bool is_limb : 1;     /* of a spread key: see spread.h */
	bool is_foreign : 1;  /* its last packet's destination was not its key's: look it up each
				 time */
	bool is_stale : 1;    /* more was handed over after arrival was asked for */
	bool is_unsure : 1;   /* its last packets went into a stream that broke: pool->broken_at */

	struct pool_stream *stream;               /* NULL: none */
	struct worker *stream_next, *stream_prev; /* others of that stream */
	uint64_t sent_packets, sent_bytes;        /* usage of its stream */
	struct spread *spread; /* NULL, or it is the trunk, or a limb: see spread.h */
	/* It left a stream that died with bytes under way: its next one must have told the peer of
	 * that death (by number, 0: none), or be on the same connection. */
	uint64_t death;
	uintptr_t death_conn; /* 0: none */
};

/* Behind the others. */
static inline void worker_append(struct worker *w, struct packet *packet)
{
	packet->next = NULL;
	if (w->tail == NULL)
		w->head = packet;
	else
		w->tail->next = packet;
	w->tail = packet;
	w->packets++;
	w->bytes += packet->len;
}

/* Before the others: it was taken, and is not gone. */
static inline void worker_give_back(struct worker *w, struct packet *packet)
{
	packet->next = w->head;
	w->head = packet;
	if (w->tail == NULL)
		w->tail = packet;
	w->packets++;
	w->bytes += packet->len;
}

/* The oldest; there is one. */
static inline struct packet *worker_take(struct worker *w)
{
	struct packet *packet = w->head;
	w->head = packet->next;
	if (w->head == NULL)
		w->tail = NULL;
	packet->next = NULL;
	w->packets--;
	w->bytes -= packet->len;
	return packet;
}

/* Its next packet goes to another shard. */
static inline void worker_is_handed(struct worker *w)
{
	w->is_handed = true;
	w->is_stale = w->is_flushing;
	w->is_unsure = false;
}

/* --- lines: rings, `*line` is whose turn it is --------------------------------------- */

static inline void worker_enqueue(struct worker **line, struct worker *w)
{
	struct worker *first = *line;
	if (first == NULL) {
		w->next = w->prev = w;
		*line = w;
		return;
	}
	w->next = first;
	w->prev = first->prev;
	w->prev->next = w;
	first->prev = w;
}

static inline void worker_dequeue(struct worker **line, struct worker *w)
{
	if (w->next == w) {
		*line = NULL;
	} else {
		w->prev->next = w->next;
		w->next->prev = w->prev;
		if (*line == w)
			*line = w->next;
	}
	w->next = w->prev = NULL;
}
