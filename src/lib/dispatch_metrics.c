/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch_metrics.c - what runnel/dispatch.h counts: from our counters, whose order is our own
 *
 * A reason to drop that is added to vpn/metrics/drop.h and not to the public header does not
 * compile. Counters are chosen: a node has some that a dispatcher has not.
 */
#include "base/util.h"
#include "lib/dispatch.h"

/* --- reasons ------------------------------------------------------------------------- */

static const enum runnel_drop public_of[] = {
#define X(symbol, name, text) [symbol] = RUNNEL_##symbol,
	DROP_MAP(X)
#undef X
};

/* Back; 0 is RUNNEL_DROP_NONE, so the others are ours and one. */
static const unsigned ours_of[] = {
#define X(symbol, name, text) [RUNNEL_##symbol] = symbol + 1u,
	DROP_MAP(X)
#undef X
};

static_assert(ARRAY_LEN(public_of) == DROP_COUNT && ARRAY_LEN(ours_of) == DROP_COUNT + 1,
	      "as many on either side, so there are no gaps");
static_assert((int)DROP_COUNT < (int)RUNNEL_DROPS_MAX, "room for all");

enum runnel_drop dispatch_outcome(enum drop outcome)
{
	return outcome == PACKET_SENT ? RUNNEL_DROP_NONE : public_of[outcome];
}

const char *runnel_drop_name(enum runnel_drop drop)
{
	if (drop == RUNNEL_DROP_NONE)
		return "none";
	return (unsigned)drop < ARRAY_LEN(ours_of) ? drop_name(ours_of[drop] - 1u) : "unknown";
}

const char *runnel_drop_text(enum runnel_drop drop)
{
	if (drop == RUNNEL_DROP_NONE)
		return "handed to its stream";
	return (unsigned)drop < ARRAY_LEN(ours_of) ? drop_text(ours_of[drop] - 1u)
						   : "unknown reason";
}

const char *runnel_breaker_state_name(enum runnel_breaker_state state)
{
	switch (state) {
	case RUNNEL_BREAKER_CLOSED:
		return breaker_state_name(BREAKER_CLOSED);
	case RUNNEL_BREAKER_OPEN:
		return breaker_state_name(BREAKER_OPEN);
	case RUNNEL_BREAKER_HALF_OPEN:
		return breaker_state_name(BREAKER_HALF_OPEN);
	}
	return "unknown";
}

/* --- counters ------------------------------------------------------------------------ */

enum source {
	FROM_COUNTER,
	COMPUTED, /* see compute() */
};

static const struct {
	const char *name;
	enum source source;
	enum counter counter;
} metrics[] = {
	[RUNNEL_METRIC_GIVEN_PACKETS] = {"given_packets", FROM_COUNTER, COUNTER_TUN_RX_PACKETS},
	[RUNNEL_METRIC_GIVEN_BYTES] = {"given_bytes", FROM_COUNTER, COUNTER_TUN_RX_BYTES},
	[RUNNEL_METRIC_REFUSED_PACKETS] = {"refused_packets", COMPUTED, 0},
	[RUNNEL_METRIC_SENT_PACKETS] = {"sent_packets", FROM_COUNTER, COUNTER_PEER_TX_PACKETS},
	[RUNNEL_METRIC_SENT_BYTES] = {"sent_bytes", FROM_COUNTER, COUNTER_PEER_TX_BYTES},
	[RUNNEL_METRIC_DROPPED_PACKETS] = {"dropped_packets", COMPUTED, 0},
	[RUNNEL_METRIC_DROPPED_BYTES] = {"dropped_bytes", COMPUTED, 0},
	[RUNNEL_METRIC_WAITING_PACKETS_NOW] = {"waiting_packets_now", COMPUTED, 0},
	[RUNNEL_METRIC_CALLBACKS] = {"callbacks", FROM_COUNTER, COUNTER_CALLBACKS},
	[RUNNEL_METRIC_ECN_MARKED] = {"ecn_marked", FROM_COUNTER, COUNTER_ECN_MARKED},
	[RUNNEL_METRIC_DISCOVERY_HITS] = {"discovery_hits", FROM_COUNTER, COUNTER_DISCOVERY_HITS},
	[RUNNEL_METRIC_DISCOVERY_MISSES] = {"discovery_misses", FROM_COUNTER,
					    COUNTER_DISCOVERY_MISSES},
	[RUNNEL_METRIC_DISCOVERY_ERRORS] = {"discovery_errors", FROM_COUNTER,
					    COUNTER_DISCOVERY_ERRORS},
	[RUNNEL_METRIC_WORKERS_CREATED] = {"workers_created", FROM_COUNTER,
					   COUNTER_WORKERS_CREATED},
	[RUNNEL_METRIC_WORKERS_FREED] = {"workers_freed", FROM_COUNTER, COUNTER_WORKERS_FREED},
	[RUNNEL_METRIC_WORKERS_NOW] = {"workers_now", COMPUTED, 0},
	[RUNNEL_METRIC_STREAMS_TRIED] = {"streams_tried", FROM_COUNTER, COUNTER_STREAMS_TRIED},
	[RUNNEL_METRIC_STREAMS_CREATED] = {"streams_created", FROM_COUNTER, COUNTER_STREAMS_OPENED},
	[RUNNEL_METRIC_STREAMS_CLOSED] = {"streams_closed", FROM_COUNTER, COUNTER_STREAMS_CLOSED},
	[RUNNEL_METRIC_STREAMS_FAILED] = {"streams_failed", FROM_COUNTER, COUNTER_STREAMS_FAILED},
	[RUNNEL_METRIC_STREAMS_REPLACED] = {"streams_replaced", FROM_COUNTER,
					    COUNTER_STREAMS_REPLACED},
	[RUNNEL_METRIC_STREAMS_IDLED] = {"streams_idled", FROM_COUNTER, COUNTER_STREAMS_IDLED},
	[RUNNEL_METRIC_STREAMS_ACQUIRED] = {"streams_acquired", FROM_COUNTER,
					    COUNTER_STREAMS_ACQUIRED},
	[RUNNEL_METRIC_STREAMS_BROKEN] = {"streams_broken", FROM_COUNTER, COUNTER_STREAMS_BROKEN},
	[RUNNEL_METRIC_STREAMS_NOW] = {"streams_now", COMPUTED, 0},
	[RUNNEL_METRIC_KEYS_MOVED] = {"keys_moved", FROM_COUNTER, COUNTER_KEYS_MOVED},
	[RUNNEL_METRIC_BREAKER_OPENINGS] = {"breaker_openings", FROM_COUNTER,
					    COUNTER_BREAKER_OPENINGS},
	[RUNNEL_METRIC_BREAKER_CLOSINGS] = {"breaker_closings", FROM_COUNTER,
					    COUNTER_BREAKER_CLOSINGS},
	[RUNNEL_METRIC_BREAKER_ALLOWED] = {"breaker_allowed", FROM_COUNTER,
					   COUNTER_BREAKER_ALLOWED},
	[RUNNEL_METRIC_BREAKER_BLOCKED] = {"breaker_blocked", FROM_COUNTER,
					   COUNTER_BREAKER_BLOCKED},
	[RUNNEL_METRIC_RETRIES] = {"retries", FROM_COUNTER, COUNTER_RETRIES},
	[RUNNEL_METRIC_PROBES_SENT] = {"probes_sent", FROM_COUNTER, COUNTER_PROBES_SENT},
	[RUNNEL_METRIC_PROBES_ANSWERED] = {"probes_answered", FROM_COUNTER,
					   COUNTER_PROBES_ANSWERED},
};
static_assert(ARRAY_LEN(metrics) <= RUNNEL_METRICS_MAX, "room for all");

static const struct {
	const char *name;
	enum histogram ours;
} histograms[] = {
	[RUNNEL_HISTOGRAM_SOJOURN] = {"sojourn_usec", HISTOGRAM_SOJOURN},
	[RUNNEL_HISTOGRAM_DEPTH] = {"queue_depth", HISTOGRAM_DEPTH},
	[RUNNEL_HISTOGRAM_STREAM_AGE] = {"stream_age_sec", HISTOGRAM_STREAM_AGE},
};
static_assert(ARRAY_LEN(histograms) == HISTOGRAM_COUNT &&
		      HISTOGRAM_COUNT <= (int)RUNNEL_HISTOGRAMS_MAX,
	      "all of ours, and room for them");
static_assert((int)HISTOGRAM_BUCKETS == (int)RUNNEL_HISTOGRAM_BUCKETS, "as many");

const char *runnel_metric_name(enum runnel_metric metric)
{
	return (unsigned)metric < ARRAY_LEN(metrics) ? metrics[metric].name : NULL;
}

const char *runnel_histogram_name(enum runnel_histogram_id histogram)
{
	return (unsigned)histogram < ARRAY_LEN(histograms) ? histograms[histogram].name : NULL;
}

/* They are not of one moment: what is more may look like less. */
static uint64_t less(uint64_t more, uint64_t by)
{
	return more > by ? more - by : 0;
}

static void compute(uint64_t *values, const struct metrics *sum, uint64_t refused)
{
	values[RUNNEL_METRIC_REFUSED_PACKETS] = refused;
	values[RUNNEL_METRIC_DROPPED_PACKETS] = metrics_dropped(sum);
	values[RUNNEL_METRIC_DROPPED_BYTES] = sum->dropped_bytes;
	values[RUNNEL_METRIC_WAITING_PACKETS_NOW] =
		less(values[RUNNEL_METRIC_GIVEN_PACKETS],
		     values[RUNNEL_METRIC_SENT_PACKETS] + values[RUNNEL_METRIC_DROPPED_PACKETS]);
	values[RUNNEL_METRIC_WORKERS_NOW] =
		less(values[RUNNEL_METRIC_WORKERS_CREATED], values[RUNNEL_METRIC_WORKERS_FREED]);
	values[RUNNEL_METRIC_STREAMS_NOW] =
		less(values[RUNNEL_METRIC_STREAMS_CREATED], values[RUNNEL_METRIC_STREAMS_CLOSED]);
}

static void put_histogram(struct runnel_histogram *ret, const struct metrics *sum,
			  enum histogram ours)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		ret->buckets[i] = sum->histograms[ours][i];
		ret->count += ret->buckets[i];
	}
	ret->sum = sum->histogram_sums[ours];
}

void runnel_dispatcher_metrics(const struct runnel_dispatcher *d,
			       struct runnel_dispatch_metrics *ret_metrics)
{
	struct metrics sum = {.dropped_bytes = 0};
	struct runnel_dispatch_metrics m = {.values = {0}};
	uint64_t refused = 0;
	for (unsigned i = 0; i < d->n_shards; i++) {
		metrics_sum(&sum, &d->shards[i].metrics);
		refused += atomic_load_explicit(&d->shards[i].n_refused, memory_order_relaxed);
	}
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		if (metrics[i].source == FROM_COUNTER)
			m.values[i] = sum.counters[metrics[i].counter];
	}
	compute(m.values, &sum, refused);
	for (size_t i = 0; i < DROP_COUNT; i++)
		m.drops[public_of[i]] = sum.drops[i];
	for (size_t i = 0; i < ARRAY_LEN(histograms); i++)
		put_histogram(&m.histograms[i], &sum, histograms[i].ours);
	*ret_metrics = m;
}

uint64_t runnel_dispatcher_metric(const struct runnel_dispatcher *dispatcher,
				  enum runnel_metric metric)
{
	struct runnel_dispatch_metrics m;
	if ((unsigned)metric >= ARRAY_LEN(metrics))
		return 0;
	runnel_dispatcher_metrics(dispatcher, &m);
	return m.values[metric];
}
