/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load.h - when does one peer's pool need a stream more, and when one less?
 *
 * Each step gets a sample of the pool and tells what to change. The score, 0..LOAD_SCORE_MAX, is
 * how full the fuller of two is: the queues above the streams (what of them is full: CoDel keeps
 * each short, so that stream_pool.c asks how long packets wait), and what the connections hold
 * below them, as a part of its bound. Where a window is closed the queues fill and they do not.
 * It is smoothed over LOAD_SMOOTHING.
 *
 *     GROW     the score was at LOAD_HIGH or above for LOAD_GROW_AFTER and is there right now, and
 *              something was carried meanwhile: what stands still is not helped by one stream more
 *              (stream_health and resilience see to it)
 *     SHRINK   for LOAD_SHRINK_AFTER one stream less would have done with ease: the score would
 *              have been at LOAD_LOW or below, and the rest would have carried half of what they
 *              can, or less
 *     STAY     else, and for LOAD_PAUSE after each change; then both whiles begin anew
 *
 * Why it does not swing: a pool with enough streams looks idle, its queues and sockets are empty,
 * and by the score alone it would shrink, fill up, grow, and so on. So when it is too full it
 * learns what one stream carries, and shrinks by that; streams that carry more later show that they
 * can. As long as nothing was learned the score has to do: at worst one stream is closed, missed,
 * and opened again, and then it is known.
 *
 * "Carried" is what left: bytes sent, less those that are still in flight.
 *
 * Each sample stands for the time since the one before. Any interval will do; steps within the same
 * millisecond count as one. Streams that come or go without our advice begin both whiles anew.
 * Fewer than streams_min grow, more than streams_max shrink, at once, and once a pause. An idle
 * pool goes down by one stream each LOAD_PAUSE + LOAD_SHRINK_AFTER: step it until it is at
 * streams_min.
 *
 * Pure. Owned by the shard of its pool.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/time.h"

enum {
	LOAD_SCORE_MAX = 1000,
	LOAD_HIGH = 800,         /* score; the rest is room for bursts while a stream opens */
	LOAD_LOW = 400,          /* score; too far below for noise to reach from one to the other */
	LOAD_STREAMS_MAX = 4096, /* streams of one pool; keeps the sums in their type */
};

#define LOAD_SMOOTHING    (100 * NSEC_PER_MSEC)
#define LOAD_GROW_AFTER   (300 * NSEC_PER_MSEC) /* shorter bursts are for the queue */
#define LOAD_SHRINK_AFTER (30 * NSEC_PER_SEC)   /* longer than the gaps of what people do */
#define LOAD_PAUSE        (1 * NSEC_PER_SEC)    /* until a change shows in the samples */

struct load_sample {
	size_t streams;                              /* that take packets */
	size_t streams_min, streams_max;             /* 1 <= min <= max */
	size_t queued, queued_max;                   /* how full their queues are, in any unit */
	size_t in_flight_bytes, in_flight_bytes_max; /* likewise, taken by the connections */
	uint64_t sent_bytes; /* taken by the connections so far; never less than before */
};

enum load_verdict {
	LOAD_STAY,
	LOAD_GROW,
	LOAD_SHRINK,
};

struct load {
	bool is_started;
	nsec_t at;           /* the last sample */
	size_t streams;      /* then */
	int64_t score;       /* smoothed, in parts of a point: see load_score() */
	int64_t rate;        /* bytes per second carried, smoothed */
	uint64_t carried;    /* bytes so far */
	int64_t stream_rate; /* bytes per second that one stream can carry; 0: not known */

	nsec_t high_since;     /* GROW's while; NSEC_NEVER: it does not run */
	uint64_t high_carried; /* bytes, when it began */
	nsec_t low_since;      /* SHRINK's while */
	nsec_t pause_until;
};

void load_init(struct load *l);

/* One sample. GROW or SHRINK: by one stream; it is taken as done. */
enum load_verdict load_step(struct load *l, const struct load_sample *s, nsec_t now);

/* The smoothed score, 0..LOAD_SCORE_MAX. */
unsigned load_score(const struct load *l);
