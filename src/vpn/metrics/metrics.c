/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* metrics.c - see metrics.h */
#include "vpn/metrics/metrics.h"

#include <assert.h>

#if __GCC_ATOMIC_LLONG_LOCK_FREE != 2
#error "a counter must be read whole without a lock"
#endif

static const char *const names[] = {
#define X(symbol, name, text) [symbol] = (name),
	COUNTER_MAP(X)
#undef X
};

static const char *const texts[] = {
#define X(symbol, name, text) [symbol] = (text),
	COUNTER_MAP(X)
#undef X
};

const char *counter_name(enum counter counter)
{
	assert(counter < COUNTER_COUNT);
	return names[counter];
}

const char *counter_text(enum counter counter)
{
	assert(counter < COUNTER_COUNT);
	return texts[counter];
}

static const char *const histogram_names[] = {
#define X(symbol, name, text) [symbol] = (name),
	HISTOGRAM_MAP(X)
#undef X
};

static const char *const histogram_texts[] = {
#define X(symbol, name, text) [symbol] = (text),
	HISTOGRAM_MAP(X)
#undef X
};

const char *histogram_name(enum histogram histogram)
{
	assert(histogram < HISTOGRAM_COUNT);
	return histogram_names[histogram];
}

const char *histogram_text(enum histogram histogram)
{
	assert(histogram < HISTOGRAM_COUNT);
	return histogram_texts[histogram];
}

static uint64_t read_counter(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

void metrics_sum(struct metrics *sum, const struct metrics *m)
{
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		sum->counters[i] += read_counter(&m->counters[i]);
	for (size_t i = 0; i < DROP_COUNT; i++)
		sum->drops[i] += read_counter(&m->drops[i]);
	sum->dropped_bytes += read_counter(&m->dropped_bytes);
	for (size_t h = 0; h < HISTOGRAM_COUNT; h++) {
		for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
			sum->histograms[h][i] += read_counter(&m->histograms[h][i]);
		sum->histogram_sums[h] += read_counter(&m->histogram_sums[h]);
	}
}

uint64_t metrics_dropped(const struct metrics *m)
{
	uint64_t dropped = 0;
	for (size_t i = 0; i < DROP_COUNT; i++)
		dropped += read_counter(&m->drops[i]);
	return dropped;
}
