/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load.c - see load.h; inside, time is counted in milliseconds so that products fit their type */
#include "vpn/dispatch/load.h"

#include <assert.h>

#include "base/util.h"

enum {
	SCORE_PARTS = 1 << 16, /* of a point */
	SCORE_SMOOTHING_MS = LOAD_SMOOTHING / NSEC_PER_MSEC,
	RATE_SMOOTHING_MS = 1000,  /* longer: a rate is a difference, it is noisy */
	WEIGHT_MS_MAX = 60 * 1000, /* a longer step weighs no more: it counts nearly all as it is */
};

#define RATE_MAX ((int64_t)1 << 40) /* bytes per second; 1 TB/s */

void load_init(struct load *l)
{
	*l = (struct load){.high_since = NSEC_NEVER, .low_since = NSEC_NEVER};
}

unsigned load_score(const struct load *l)
{
	return (unsigned)(l->score / SCORE_PARTS);
}

/* part / whole, as a score. */
static int64_t fill(uint64_t part, uint64_t whole)
{
	if (part >= whole)
		return whole > 0 ? LOAD_SCORE_MAX : 0;
	if (whole > UINT64_MAX / LOAD_SCORE_MAX)
		return (int64_t)(part / (whole / LOAD_SCORE_MAX));
	return (int64_t)(part * LOAD_SCORE_MAX / whole);
}

static int64_t score_of(const struct load_sample *s)
{
	return MAX(fill(s->queued, s->queued_max),
		   fill(s->in_flight_bytes, s->in_flight_bytes_max));
}

/* An exponential average that gets all the way to a value that stays. */
static int64_t smooth(int64_t from, int64_t to, uint64_t ms, int64_t smoothing_ms)
{
	int64_t weight = (int64_t)MIN(ms, (uint64_t)WEIGHT_MS_MAX);
	int64_t step = (to - from) * weight / (weight + smoothing_ms);
	if (step == 0)
		step = (to > from) - (to < from);
	return from + step;
}

/* Bytes in `ms` as bytes per second, at most RATE_MAX either way. */
static int64_t rate_of(int64_t bytes, uint64_t ms)
{
	const int64_t bytes_max = INT64_MAX / 1000;
	int64_t bounded = MAX(-bytes_max, MIN(bytes, bytes_max)) * 1000;
	int64_t rate = bounded / (int64_t)MIN(ms, (uint64_t)INT64_MAX);
	return MAX(-RATE_MAX, MIN(rate, RATE_MAX));
}

static void restart_whiles(struct load *l)
{
	l->high_since = NSEC_NEVER;
	l->low_since = NSEC_NEVER;
}

/* Take the sample in. false: it is of the same millisecond as the last. */
static bool measure(struct load *l, const struct load_sample *s, nsec_t now)
{
	uint64_t carried = s->sent_bytes - MIN((uint64_t)s->in_flight_bytes, s->sent_bytes);
	int64_t score = score_of(s) * SCORE_PARTS;
	if (!l->is_started) {
		l->is_started = true;
		l->at = now;
		l->streams = s->streams;
		l->score = score;
		l->carried = carried;
		return true;
	}

	uint64_t ms = nsec_since(now, l->at) / NSEC_PER_MSEC;
	if (ms == 0)
		return false;
	l->at += ms * NSEC_PER_MSEC;
	l->score = smooth(l->score, score, ms, SCORE_SMOOTHING_MS);
	/* May be negative, where what was taken before is in flight only now. */
	int64_t rate = rate_of((int64_t)(carried - l->carried), ms);
	l->rate = smooth(l->rate, rate, ms, RATE_SMOOTHING_MS);
	l->carried = carried;
	if (l->streams != s->streams)
		restart_whiles(l);
	l->streams = s->streams;
	if (l->stream_rate > 0 && l->streams > 0)
		l->stream_rate = MAX(l->stream_rate, l->rate / (int64_t)l->streams);
	return true;
}

static bool is_too_full(struct load *l, const struct load_sample *s, nsec_t now)
{
	if (l->score < (int64_t)LOAD_HIGH * SCORE_PARTS) {
		l->high_since = NSEC_NEVER;
		return false;
	}
	if (l->high_since == NSEC_NEVER) {
		l->high_since = now;
		l->high_carried = l->carried;
	}
	if (nsec_since(now, l->high_since) < LOAD_GROW_AFTER || score_of(s) < LOAD_HIGH)
		return false;

	uint64_t ms = nsec_since(now, l->high_since) / NSEC_PER_MSEC;
	int64_t rate = rate_of((int64_t)(l->carried - l->high_carried), ms);
	if (rate <= 0) {
		l->high_since = now;
		return false;
	}
	l->stream_rate = rate / (int64_t)s->streams;
	return true;
}

/* Would one stream less do, with ease? */
static bool has_one_to_spare(const struct load *l)
{
	int64_t n = (int64_t)l->streams;
	if (l->score * n > (int64_t)LOAD_LOW * SCORE_PARTS * (n - 1))
		return false;
	return l->stream_rate == 0 || l->rate <= l->stream_rate * (n - 1) / 2;
}

static bool is_too_empty(struct load *l, nsec_t now)
{
	if (!has_one_to_spare(l)) {
		l->low_since = NSEC_NEVER;
		return false;
	}
	if (l->low_since == NSEC_NEVER)
		l->low_since = now;
	return nsec_since(now, l->low_since) >= LOAD_SHRINK_AFTER;
}

static enum load_verdict judge(struct load *l, const struct load_sample *s, nsec_t now)
{
	if (s->streams < s->streams_min)
		return LOAD_GROW;
	if (s->streams > s->streams_max)
		return LOAD_SHRINK;
	bool is_full = is_too_full(l, s, now);
	bool is_empty = is_too_empty(l, now);
	if (is_full && s->streams < s->streams_max)
		return LOAD_GROW;
	if (is_empty && s->streams > s->streams_min)
		return LOAD_SHRINK;
	return LOAD_STAY;
}

enum load_verdict load_step(struct load *l, const struct load_sample *s, nsec_t now)
{
	assert(s->streams_min >= 1 && s->streams_min <= s->streams_max);
	assert(s->streams <= LOAD_STREAMS_MAX && s->streams_max <= LOAD_STREAMS_MAX);
	if (!measure(l, s, now) || now < l->pause_until)
		return LOAD_STAY;
	enum load_verdict verdict = judge(l, s, now);
	if (verdict != LOAD_STAY) {
		l->pause_until = nsec_add(now, LOAD_PAUSE);
		restart_whiles(l);
	}
	return verdict;
}
