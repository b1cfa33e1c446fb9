/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stream_health.c - see stream_health.h */
#include "vpn/stream/stream_health.h"

#include <assert.h>

#include "base/util.h"

enum {
	RTT_WEIGHT = 8, /* a new round-trip time counts one eighth: RFC 6298 2.3 */
};

void stream_health_init(struct stream_health *h, const struct stream_health_conf *conf,
			enum stream_health_by by, nsec_t now)
{
	assert(conf->failures > 0 && conf->failures <= STREAM_HEALTH_FAILURES_MAX);
	assert(conf->interval > 0 && conf->timeout > 0);
	*h = (struct stream_health){
		.conf = *conf,
		.by = by,
		.state = STREAM_HEALTH_QUIET,
		.probe_at = now,
		.rtt = NSEC_NEVER,
		.rtt_smoothed = NSEC_NEVER,
		.rtt_min = NSEC_NEVER,
	};
}

static bool is_beyond_hope(const struct stream_health *h)
{
	return h->failures >= (h->is_suspect ? 1 : h->conf.failures);
}

nsec_t stream_health_deadline(const struct stream_health *h)
{
	switch (h->state) {
	case STREAM_HEALTH_QUIET:
		return h->by == STREAM_HEALTH_BY_PROBES ? h->probe_at : NSEC_NEVER;
	case STREAM_HEALTH_WAITING:
		return is_beyond_hope(h) ? 0 : nsec_add(h->since, h->conf.timeout);
	case STREAM_HEALTH_IS_SICK:
		return NSEC_NEVER;
	}
	return NSEC_NEVER;
}

/* Wait, with or without a new question. */
static enum stream_health_verdict ask(struct stream_health *h, nsec_t now, uint64_t *ret_id)
{
	h->state = STREAM_HEALTH_WAITING;
	h->since = now;
	if (h->by == STREAM_HEALTH_BY_PROGRESS)
		return STREAM_HEALTH_OK;
	h->sent++;
	h->sent_at[h->sent % ARRAY_LEN(h->sent_at)] = now;
	h->probe_at = nsec_add(now, h->conf.interval);
	*ret_id = h->sent;
	return STREAM_HEALTH_SEND_PROBE;
}

enum stream_health_verdict stream_health_step(struct stream_health *h, nsec_t now, uint64_t *ret_id)
{
	if (h->state == STREAM_HEALTH_IS_SICK)
		return STREAM_HEALTH_SICK;
	if (now < stream_health_deadline(h))
		return STREAM_HEALTH_OK;

	if (h->state == STREAM_HEALTH_WAITING) {
		if (now >= nsec_add(h->since, h->conf.timeout))
			h->failures++;
		if (is_beyond_hope(h)) {
			h->state = STREAM_HEALTH_IS_SICK;
			return STREAM_HEALTH_SICK;
		}
	}
	return ask(h, now, ret_id);
}

static void take_rtt(struct stream_health *h, nsec_t rtt)
{
	h->rtt = rtt;
	h->rtt_min = nsec_min(h->rtt_min, rtt);
	if (h->rtt_smoothed == NSEC_NEVER)
		h->rtt_smoothed = rtt;
	else
		h->rtt_smoothed = h->rtt_smoothed - h->rtt_smoothed / RTT_WEIGHT + rtt / RTT_WEIGHT;
}

bool stream_health_on_answer(struct stream_health *h, uint64_t id, nsec_t now)
{
	if (h->state != STREAM_HEALTH_WAITING || id <= h->answered || id > h->sent)
		return false;
	h->answered = id;
	h->failures = 0;
	if (h->sent - id < ARRAY_LEN(h->sent_at))
		take_rtt(h, nsec_since(now, h->sent_at[id % ARRAY_LEN(h->sent_at)]));
	if (id == h->sent)
		h->state = STREAM_HEALTH_QUIET;
	return true;
}

void stream_health_progress(struct stream_health *h, nsec_t now)
{
	if (h->by != STREAM_HEALTH_BY_PROGRESS)
		return;
	h->failures = 0;
	h->waited = 0;
	h->since = now;
}

void stream_health_waiting(struct stream_health *h, nsec_t now, bool is_waiting)
{
	if (h->by != STREAM_HEALTH_BY_PROGRESS)
		return;
	if (is_waiting && h->state == STREAM_HEALTH_QUIET) {
		h->state = STREAM_HEALTH_WAITING;
		h->since = now - nsec_min(h->waited, now);
	} else if (!is_waiting && h->state == STREAM_HEALTH_WAITING) {
		h->state = STREAM_HEALTH_QUIET;
		h->waited = nsec_since(now, h->since);
	}
}

void stream_health_suspect(struct stream_health *h, bool is_suspect)
{
	if (is_suspect && !h->is_suspect && h->state == STREAM_HEALTH_QUIET)
		h->probe_at = 0;
	h->is_suspect = is_suspect;
}
