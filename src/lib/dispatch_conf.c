/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatch_conf.c - see dispatch_conf.h; the bounds are those of the daemon's settings */
#include "lib/dispatch_conf.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

#include "base/util.h"

enum {
	SHARDS_AUTO_MAX = 8, /* a caller that wants more says so */
};

#define MS   NSEC_PER_MSEC
#define SEC  NSEC_PER_SEC
#define HOUR (3600 * SEC)
#define MIB  ((uint64_t)1024 * 1024)

void runnel_dispatch_conf_init(struct runnel_dispatch_conf *ret_conf)
{
	*ret_conf = (struct runnel_dispatch_conf){
		.shards = 0,
		.min_streams_per_peer = 1,
		.max_streams_per_peer = 10,
		.stream_idle_timeout = 300 * SEC,
		.stream_cleanup_interval = 60 * SEC,
		.worker_idle_timeout = 300 * SEC,
		.worker_cleanup_interval = 60 * SEC,
		.worker_buffer_size = 1000,
		.packet_buffer_size = 1000,
		.peer_packets = 1000,
		.peer_bytes = 2 * MIB,
		.shard_packets = 8192,
		.inbox_size = 2048,
		.queue_target = 5 * MS,
		.queue_interval = 100 * MS,
		.mtu = 1500,
		.health = {.interval = 30 * SEC, .timeout = 5 * SEC, .failures = 3},
	};
}

void runnel_resilience_init(struct runnel_resilience *ret_resilience)
{
	*ret_resilience = (struct runnel_resilience){
		.breaker_failures = BREAKER_CONF_DEFAULT.failures,
		.breaker_open_for = BREAKER_CONF_DEFAULT.open_for,
		.breaker_successes = BREAKER_CONF_DEFAULT.successes,
		.retry_tries = RETRY_CONF_DEFAULT.tries,
		.retry_first = RETRY_CONF_DEFAULT.first,
		.retry_max = RETRY_CONF_DEFAULT.max,
	};
}

/* --- what is allowed ----------------------------------------------------------------- */

/* One member: its value, and from where to where it may be. */
struct bound {
	const char *name;
	uint64_t value, min, max;
	const char *unit; /* "ns": a duration */
};

static const char *amount(const struct bound *b, uint64_t value, char buf[64])
{
	if (b->unit[0] != 'n')
		snprintf(buf, 64, "%" PRIu64, value);
	else if (value % SEC == 0)
		snprintf(buf, 64, "%" PRIu64 " s", value / SEC);
	else if (value % MS == 0)
		snprintf(buf, 64, "%" PRIu64 " ms", value / MS);
	else
		snprintf(buf, 64, "%" PRIu64 " ns", value);
	return buf;
}

static enum err check(const struct bound *b, size_t n, char *errbuf, size_t errbuf_len)
{
	for (; n > 0; b++, n--) {
		if (b->value >= b->min && b->value <= b->max)
			continue;
		char value[64], min[64], max[64];
		if (errbuf_len > 0)
			snprintf(errbuf, errbuf_len, "%s: is %s, must be from %s to %s%s%s",
				 b->name, amount(b, b->value, value), amount(b, b->min, min),
				 amount(b, b->max, max), b->unit[0] != 'n' ? " " : "",
				 b->unit[0] != 'n' ? b->unit : "");
		return ERR_RANGE;
	}
	return ERR_OK;
}

static enum err check_conf(const struct runnel_dispatch_conf *c, char *errbuf, size_t errbuf_len)
{
	const struct bound bounds[] = {
		{"shards", c->shards, 0, 64, "threads"},
		{"max_streams_per_peer", c->max_streams_per_peer, 1, 64, "streams"},
		{"min_streams_per_peer", c->min_streams_per_peer, 0,
		 MIN(16u, c->max_streams_per_peer), "streams"},
		{"stream_idle_timeout", c->stream_idle_timeout, SEC, 24 * HOUR, "ns"},
		{"stream_cleanup_interval", c->stream_cleanup_interval, SEC, HOUR, "ns"},
		{"worker_idle_timeout", c->worker_idle_timeout, SEC, 24 * HOUR, "ns"},
		{"worker_cleanup_interval", c->worker_cleanup_interval, SEC, HOUR, "ns"},
		{"worker_buffer_size", c->worker_buffer_size, 16, 65536, "packets"},
		{"packet_buffer_size", c->packet_buffer_size, 16, 65536, "packets"},
		{"peer_packets", c->peer_packets, 16, 65536, "packets"},
		{"peer_bytes", c->peer_bytes, MIB / 8, 1024 * MIB, "bytes"},
		{"shard_packets", c->shard_packets, 64, 1048576, "packets"},
		{"inbox_size", c->inbox_size, 16, 65536, "packets"},
		{"queue_interval", c->queue_interval, 10 * MS, 4 * SEC, "ns"},
		{"queue_target", c->queue_target, MS, MIN(SEC, c->queue_interval - 1), "ns"},
		{"mtu", c->mtu, 576, PACKET_LEN_MAX, "bytes"},
		{"health.interval", c->health.interval, SEC, HOUR, "ns"},
		{"health.timeout", c->health.timeout, 100 * MS, MIN(60 * SEC, c->health.interval),
		 "ns"},
		{"health.failures", c->health.failures, 1, STREAM_HEALTH_FAILURES_MAX, "failures"},
	};
	return check(bounds, ARRAY_LEN(bounds), errbuf, errbuf_len);
}

static enum err check_resilience(const struct runnel_resilience *r, char *errbuf, size_t errbuf_len)
{
	const struct bound bounds[] = {
		{"breaker_failures", r->breaker_failures, 1, 1000, "failures"},
		{"breaker_open_for", r->breaker_open_for, SEC, HOUR, "ns"},
		{"breaker_successes", r->breaker_successes, 1, 100, "successes"},
		{"retry_tries", r->retry_tries, 1, 100, "tries"},
		{"retry_max", r->retry_max, 100 * MS, HOUR, "ns"},
		{"retry_first", r->retry_first, 100 * MS, r->retry_max, "ns"},
	};
	return check(bounds, ARRAY_LEN(bounds), errbuf, errbuf_len);
}

enum err dispatch_conf_check(const struct runnel_dispatch_conf *conf,
			     const struct runnel_resilience *resilience, char *errbuf,
			     size_t errbuf_len)
{
	enum err e = check_conf(conf, errbuf, errbuf_len);
	return e == ERR_OK ? check_resilience(resilience, errbuf, errbuf_len) : e;
}

/* --- what it becomes ----------------------------------------------------------------- */

unsigned dispatch_conf_shards(const struct runnel_dispatch_conf *conf)
{
	cpu_set_t cpus;
	if (conf->shards != 0)
		return conf->shards;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		return 1; /* more CPUs than the set holds, or a kernel that tells nothing */
	return (unsigned)MIN(MAX(CPU_COUNT(&cpus), 1), (int)SHARDS_AUTO_MAX);
}

void dispatch_conf_settings(const struct runnel_dispatch_conf *c, const struct runnel_resilience *r,
			    struct dispatch_settings *ret_settings)
{
	*ret_settings = (struct dispatch_settings){
		.streams_min = c->min_streams_per_peer,
		.streams_max = c->max_streams_per_peer,
		.stream_idle_timeout = c->stream_idle_timeout,
		.stream_cleanup_interval = c->stream_cleanup_interval,
		.worker_idle_timeout = c->worker_idle_timeout,
		.worker_cleanup_interval = c->worker_cleanup_interval,
		.queue.codel = {.target = c->queue_target,
				.interval = c->queue_interval,
				.mtu_bytes = c->mtu},
		.queue.packets_max = c->packet_buffer_size,
		.queue.worker_packets_max = c->worker_buffer_size,
		.peer_packets_max = c->peer_packets,
		.peer_bytes_max = c->peer_bytes,
		.health = {.interval = c->health.interval,
			   .timeout = c->health.timeout,
			   .failures = c->health.failures},
		.breaker = {.failures = r->breaker_failures,
			    .successes = r->breaker_successes,
			    .open_for = r->breaker_open_for},
		.retry = {.tries = r->retry_tries, .first = r->retry_first, .max = r->retry_max},
		.hello = {.version = FRAME_VERSION,
			  .mtu = (uint16_t)MAX(c->mtu, (uint32_t)FRAME_MTU_MIN),
			  .payload_len_max = FRAME_PAYLOAD_LEN_MAX},
		.vpn_mtu = PACKET_LEN_MAX, /* what the far end takes is for the service to know */
	};
}
