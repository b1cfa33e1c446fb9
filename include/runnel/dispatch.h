/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * runnel/dispatch.h - packets from any thread, to the peers that own their destinations
 *
 * The dispatcher of a VPN without the VPN: no device, no libp2p. A program gives it IP packets, a
 * peer discovery (who owns this address?) and a stream service (open a stream to that peer); both
 * are interfaces of <runnel/dispatch_service.h>, and <runnel/dispatch_memory.h> has one of each.
 *
 *     any thread:  runnel_dispatch() --copy--> inbox of the shard of the packet's connection key
 *     the shard:   key -> worker -> the stream that the key sticks to -> pulled by the service
 *
 * A *connection key* is source port, destination address, destination port. Packets of one key
 * that one thread dispatches stay in order, all the way to the far end of the stream; packets of
 * other keys never wait behind them for longer than fairness asks. A *worker* is what the
 * dispatcher remembers of a key: its waiting packets and its stream. It is a small struct, made by
 * the key's first packet and forgotten when the key was idle for long; so there are as many as
 * there are connections. A *shard* is a thread that owns the workers of its part of all keys, and
 * the streams that they use: shards share no lock and no stream, so each opens its own to a peer,
 * min_streams_per_peer to max_streams_per_peer of them, more or fewer by load.
 *
 * Where packets wait there is a bound. At a bound the oldest packet of the key with most bytes
 * goes, and one that waited too long for its turn goes too, or is marked where it carries ECN
 * (FQ-CoDel, RFC 8290). Each packet that runnel_dispatch() took ends once: it was handed to its
 * stream, or dropped for a reason with a name, and is counted under it. So when the dispatcher has
 * stopped, given = sent + dropped. "Handed to its stream" is no receipt of the peer's.
 *
 * A key uses one stream at a time: the multiplexer of a node, which spreads a fat key over two
 * connections, is not here.
 *
 *     a dispatcher is  May                                  leaves when
 *     NEW              metrics                              runnel_dispatcher_start() -> RUNNING
 *     RUNNING          everything                           runnel_dispatcher_stop() -> STOPPING
 *     STOPPING         metrics; takes no packet more        all is sent or dropped, all streams
 *                                                           have ended -> STOPPED
 *     STOPPED          metrics                              never
 *
 * Threads: one thread at a time calls new, start and free of a dispatcher; every other function may
 * be called by any thread between new and free, at the same time. The shards' threads have all
 * signals blocked. On them run the completion callbacks, the discovery, the stream service and the
 * observer of breakers; all of these should return soon, for the shard's packets wait meanwhile.
 * They may call runnel_dispatch(), also of other dispatchers, and the metrics; what waits for a
 * shard (stop, the views of a peer) answers RUNNEL_ERR_BAD_STATE there.
 */
#ifndef RUNNEL_DISPATCH_H
#define RUNNEL_DISPATCH_H

#include <runnel/dispatch_service.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- connection keys ----------------------------------------------------------------- */

/* Which packets must stay in order among each other. A value. */
struct runnel_conn_key {
	struct runnel_ip destination;
	uint16_t source_port; /* host order; 0 for what has no ports, and for fragments */
	uint16_t destination_port;
};

enum {
	RUNNEL_CONN_KEY_TEXT_MAX = 58, /* bytes of a key as text, its zero included */
};

/* "51000:10.7.0.2:443", "51000:fd07::2:443": the first and the last colon part the three. Writes at
 * most RUNNEL_CONN_KEY_TEXT_MAX bytes to buf, and returns buf. A key without an address reads "".
 */
RUNNEL_API const char *runnel_conn_key_format(const struct runnel_conn_key *key,
					      char buf[RUNNEL_CONN_KEY_TEXT_MAX]);

/* Text to key: exactly what runnel_conn_key_format() writes, so a key has one text.
 * RUNNEL_ERR_MALFORMED; RUNNEL_ERR_RANGE for a port past 65535. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_conn_key_parse(const char *text,
								 struct runnel_conn_key *ret_key);

/* The key that a packet has by itself: `len` bytes, one whole IPv4 or IPv6 packet.
 * RUNNEL_ERR_MALFORMED: it is none. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_conn_key_of_packet(const void *packet, size_t len, struct runnel_conn_key *ret_key);

/* Are they the same key? */
RUNNEL_API bool runnel_conn_key_equal(const struct runnel_conn_key *a,
				      const struct runnel_conn_key *b);

/* --- what becomes of a packet -------------------------------------------------------- */

/* Why a packet was dropped. The numbers never change; later versions may add some. */
enum runnel_drop {
	RUNNEL_DROP_NONE = 0,          /* it was not: all of it was handed to its stream */
	RUNNEL_DROP_NO_ROUTE = 1,      /* no peer owns the destination */
	RUNNEL_DROP_PEER_DOWN = 2,     /* the peer is not connected */
	RUNNEL_DROP_BREAKER_OPEN = 3,  /* attempts to reach the peer failed too often */
	RUNNEL_DROP_DISCOVERY = 4,     /* the discovery could not tell the owner */
	RUNNEL_DROP_WORKER_LIMIT = 5,  /* 262,144 keys of the shard have packets that wait */
	RUNNEL_DROP_MULTICAST = 6,     /* multicast is not forwarded */
	RUNNEL_DROP_QUEUE_FULL = 7,    /* the queue of the key, the stream or the peer is full */
	RUNNEL_DROP_QUEUE_DELAY = 8,   /* it waited too long */
	RUNNEL_DROP_STREAM_RESET = 9,  /* its stream died with a part of it sent */
	RUNNEL_DROP_HANDOFF_FULL = 10, /* of a node */
	RUNNEL_DROP_PEER_OFFLOAD = 11, /* of a node */
	RUNNEL_DROP_SOURCE = 12,       /* of a node */
	RUNNEL_DROP_REORDER = 13,      /* of a node */
	RUNNEL_DROP_TUN_FULL = 14,     /* of a node */
	RUNNEL_DROP_TUN_WRITE = 15,    /* of a node */
	RUNNEL_DROP_MALFORMED = 16,    /* of a node: runnel_dispatch() looks first */
	RUNNEL_DROP_TOO_BIG = 17,      /* longer than what the peer takes */
	RUNNEL_DROP_POOL_EMPTY = 18,   /* the shard holds shard_packets already */
	RUNNEL_DROP_CLOSING = 19,      /* the dispatcher stopped, or the key's owner changed */
};

enum {
	RUNNEL_DROPS_MAX = 64, /* room for reasons, in runnel_dispatch_metrics */
};

/* A word for logs and metrics: "queue_full", "none"; "unknown" for a number that is none. Static
 * memory; any thread. */
RUNNEL_API const char *runnel_drop_name(enum runnel_drop drop);

/* A fragment for people: "the peer is known but not connected"; "unknown reason" for a number that
 * is none. Static memory; any thread. */
RUNNEL_API const char *runnel_drop_text(enum runnel_drop drop);

/* --- what a dispatcher is made from -------------------------------------------------- */

/* How to tell that a stream is sick: it is probed (RUNNEL_FRAMING_RUNNEL), or takes no bytes. */
struct runnel_health_conf {
	runnel_nsec interval; /* between probes while all is well: 30 s (1 s to 1 h) */
	runnel_nsec timeout;  /* a later answer is a failure: 5 s (100 ms to 60 s, to interval) */
	uint32_t failures;    /* in a row; then the stream is replaced: 3 (1 to 16) */
};

/* To be filled by runnel_dispatch_conf_init(), then changed. Behind each member: its default, and
 * what is allowed. Bounds and streams are those of one shard. */
struct runnel_dispatch_conf {
	/* Threads: 0, one for each CPU that the process may use, at most 8 (0 to 64). */
	uint32_t shards;
	/* Streams held open to a connected peer: 1 (0 to 16, to max_streams_per_peer). 0: the first
	 * is opened when a packet comes. */
	uint32_t min_streams_per_peer;
	uint32_t max_streams_per_peer; /* 10 (1 to 64) */
	/* A stream above the minimum that carried nothing for so long is closed: 5 min (1 s to
	 * 24 h); and how often to look: 1 min (1 s to 1 h). */
	runnel_nsec stream_idle_timeout;
	runnel_nsec stream_cleanup_interval;
	/* A key without a packet for so long is forgotten: 300 s (1 s to 24 h); and how often to
	 * look: 1 min (1 s to 1 h). */
	runnel_nsec worker_idle_timeout;
	runnel_nsec worker_cleanup_interval;
	/* Packets that may wait: of one key, for one stream, for one peer: 1000 each (16 to 65536).
	 * 100 of full size would be 0.6 ms of 2 Gbit/s, less than one burst of a TCP window; it is
	 * queue_target that keeps the delay short, not these. */
	uint32_t worker_buffer_size;
	uint32_t packet_buffer_size;
	uint32_t peer_packets;
	uint64_t peer_bytes; /* that may wait for one peer: 2 MiB (128 KiB to 1 GiB) */
	/* Packets that a shard holds for all of its peers, 2 KiB each: 8192 (64 to 1048576); of
	 * an mtu above 1984 an eighth of it more, of 64 KiB each, for longer packets. The memory is
	 * resident once it was used. A peer leaves as many free as it holds. */
	uint32_t shard_packets;
	/* Packets that may wait to be taken over by a shard: 2048 (16 to 65536), made a power of
	 * two. Each has its place of mtu bytes and some, resident once it was used. */
	uint32_t inbox_size;
	/* The wait that is good, and the time in which a sender can react (CoDel, RFC 8289): 5 ms
	 * (1 ms to 1 s, below queue_interval), 100 ms (10 ms to 4 s). */
	runnel_nsec queue_target;
	runnel_nsec queue_interval;
	uint32_t mtu; /* bytes of the longest packet: 1500 (576 to 65535) */
	struct runnel_health_conf health;
};

/* Fill in the defaults. Cannot fail. */
RUNNEL_API void runnel_dispatch_conf_init(struct runnel_dispatch_conf *ret_conf);

/* Is a peer tried, or left alone? */
enum runnel_breaker_state {
	RUNNEL_BREAKER_CLOSED = 0,    /* all is well: attempts may be made */
	RUNNEL_BREAKER_OPEN = 1,      /* none may; packets for the peer are dropped at once */
	RUNNEL_BREAKER_HALF_OPEN = 2, /* one at a time, to see whether the peer is back */
};

/* "half_open"; "unknown" for a number that is none. Static memory; any thread. */
RUNNEL_API const char *runnel_breaker_state_name(enum runnel_breaker_state state);

/*
 * When to try again what failed: opening a stream, and what the service reports of its own attempts
 * by runnel_shard_peer_unreachable(). Each shard has a breaker for each peer. After a failure an
 * attempt waits for retry_first, twice as long after each further one, +-25%; after
 * breaker_failures in a row, or retry_tries, nothing is tried for breaker_open_for; then single
 * attempts show whether the peer is back, and breaker_successes of them in a row make all as
 * before. Packets are not attempts, and wait for none.
 *
 * The resilience service is these figures and an observer. It cannot be the program's own code:
 * whether a peer is given up is asked for each packet and answered from memory of the shard, and
 * the waits are the shard's timers; a function of the program's would be called by all shards at
 * once, for each packet, and would need a lock.
 */
struct runnel_resilience {
	uint32_t breaker_failures;    /* 5 (1 to 1000) */
	runnel_nsec breaker_open_for; /* 60 s (1 s to 1 h) */
	uint32_t breaker_successes;   /* 2 (1 to 100) */
	uint32_t retry_tries;         /* 5 (1 to 100) */
	runnel_nsec retry_first;      /* 1 s (100 ms to 1 h, to retry_max) */
	runnel_nsec retry_max;        /* 30 s (100 ms to 1 h) */

	/* The breaker of this peer on this shard is in another state. Called on that shard, for
	 * the states that it was seen in: short ones may be missed. `peer` is lent for the call.
	 * NULL: nobody wants to know. */
	void (*on_breaker)(void *ctx, unsigned shard, const struct runnel_peer_id *peer,
			   enum runnel_breaker_state state);
	void *ctx; /* handed to it */
};

/* Fill in the defaults, without an observer. Cannot fail. */
RUNNEL_API void runnel_resilience_init(struct runnel_resilience *ret_resilience);

/* --- a dispatcher's life ------------------------------------------------------------- */

/* A dispatcher. */
struct runnel_dispatcher;

/*
 * Make one; allocates, and starts nothing. conf and resilience are copied; NULL: the defaults. The
 * discovery and the service are copied too; what they point to is lent until
 * runnel_dispatcher_free(). To be freed by that.
 *
 * On failure errbuf holds what is wrong, for people: the member and what it may be; cut to
 * errbuf_len bytes with the zero. NULL and 0: not wanted. RUNNEL_ERR_RANGE: a member of conf or
 * resilience is outside of what is allowed; RUNNEL_ERR_MALFORMED: a function that the discovery or
 * the service must have is NULL; RUNNEL_ERR_FDS, RUNNEL_ERR_NO_MEMORY, RUNNEL_ERR_CRYPTO (the
 * kernel gives no randomness).
 */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_dispatcher_new(
	const struct runnel_peer_discovery *discovery, const struct runnel_stream_service *streams,
	const struct runnel_dispatch_conf *conf, const struct runnel_resilience *resilience,
	struct runnel_dispatcher **ret_dispatcher, char *errbuf, size_t errbuf_len);

/*
 * Make the threads and, on each, the service's part of that shard; returns when all stand. On
 * failure all is undone and it may be started again. RUNNEL_ERR_BAD_STATE: it runs, or has run;
 * what the service's open_shard() said; RUNNEL_ERR_NO_MEMORY, RUNNEL_ERR_LIMIT or RUNNEL_ERR_AGAIN
 * (no thread can be made).
 */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_dispatcher_start(struct runnel_dispatcher *dispatcher);

/*
 * Take no more packets, send what waits, end all streams and the threads; returns when that is
 * done. Packets have up to `timeout`, then the rest is dropped (0: all at once; RUNNEL_FOREVER: no
 * bound, and a peer that takes nothing holds it up for ever). Ending the streams takes what the
 * service takes, half a second at most before they are reset. All callbacks have been called when
 * this returns, and none comes later.
 *
 * *ret_dropped, which may be NULL: how many packets were dropped since the stop began, for whatever
 * reason. Stopping one that does not run is no error, and drops nothing; two threads may stop the
 * same one, the first one's timeout holds, and both hear the same number. RUNNEL_ERR_BAD_STATE:
 * called on a thread of the dispatcher.
 */
RUNNEL_API enum runnel_err runnel_dispatcher_stop(struct runnel_dispatcher *dispatcher,
						  runnel_nsec timeout, uint64_t *ret_dropped);

/* Free a dispatcher, which is stopped first, with a timeout of 0, where it runs. No other thread
 * may be inside of a function of it, nor come; not on its own threads. Takes NULL; returns NULL. */
RUNNEL_API struct runnel_dispatcher *runnel_dispatcher_free(struct runnel_dispatcher *dispatcher);

/* How many shards it has: 1 to 64. Any thread. */
RUNNEL_API unsigned runnel_dispatcher_shards(const struct runnel_dispatcher *dispatcher);

/* --- packets ------------------------------------------------------------------------- */

/* What became of a packet. Called once, on a thread of the dispatcher. */
typedef void runnel_dispatched_fn(void *ctx, enum runnel_drop outcome);

/*
 * Send one IP packet of `len` bytes, which are copied. Any thread, also in callbacks; takes no lock
 * and no memory, never waits.
 *
 * `key`: in order with what; NULL: the packet's own key. `destination`: to the owner of this
 * address; NULL: of the packet's own destination. Both are lent for the call. A key has one
 * destination: the owner is looked up once for a key, not once a packet.
 *
 * RUNNEL_ERR_FULL: the shard of this key has inbox_size packets to take over; try again later, or
 * drop it. RUNNEL_ERR_TOO_LONG: above the mtu. RUNNEL_ERR_MALFORMED: not one whole IPv4 or IPv6
 * packet, or the key or the destination is no address. RUNNEL_ERR_CLOSED: it does not run.
 */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_dispatch(struct runnel_dispatcher *dispatcher,
							   const struct runnel_conn_key *key,
							   const struct runnel_ip *destination,
							   const void *packet, size_t len);

/* The same, and `fn` hears what became of the packet: exactly once if this returned RUNNEL_ERR_OK,
 * perhaps before it returned; never else. `fn` must not call the dispatcher's stream service back
 * (runnel_link_..., runnel_shard_peer_...). */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_dispatch_with_callback(struct runnel_dispatcher *dispatcher,
			      const struct runnel_conn_key *key,
			      const struct runnel_ip *destination, const void *packet, size_t len,
			      runnel_dispatched_fn *fn, void *ctx);

/* --- metrics ------------------------------------------------------------------------- */

/* What is counted, from start on, and what there is now (..._NOW). The numbers never change; later
 * versions may add some. */
enum runnel_metric {
	RUNNEL_METRIC_GIVEN_PACKETS = 0, /* that shards took over */
	RUNNEL_METRIC_GIVEN_BYTES = 1,
	RUNNEL_METRIC_REFUSED_PACKETS = 2, /* RUNNEL_ERR_FULL; not among those given */
	RUNNEL_METRIC_SENT_PACKETS = 3,    /* handed to streams */
	RUNNEL_METRIC_SENT_BYTES = 4,
	RUNNEL_METRIC_DROPPED_PACKETS = 5, /* for all reasons */
	RUNNEL_METRIC_DROPPED_BYTES = 6,
	RUNNEL_METRIC_WAITING_PACKETS_NOW = 7, /* given, neither sent nor dropped yet */
	RUNNEL_METRIC_CALLBACKS = 8,
	RUNNEL_METRIC_ECN_MARKED = 9,
	RUNNEL_METRIC_DISCOVERY_HITS = 10,
	RUNNEL_METRIC_DISCOVERY_MISSES = 11,
	RUNNEL_METRIC_DISCOVERY_ERRORS = 12,
	RUNNEL_METRIC_WORKERS_CREATED = 13,
	RUNNEL_METRIC_WORKERS_FREED = 14,
	RUNNEL_METRIC_WORKERS_NOW = 15,
	RUNNEL_METRIC_STREAMS_TRIED = 16,
	RUNNEL_METRIC_STREAMS_CREATED = 17,
	RUNNEL_METRIC_STREAMS_CLOSED = 18, /* of those created, for whatever reason */
	RUNNEL_METRIC_STREAMS_FAILED = 19, /* did not open, or broke */
	RUNNEL_METRIC_STREAMS_REPLACED = 20,
	RUNNEL_METRIC_STREAMS_IDLED = 21,    /* closed because nothing used them */
	RUNNEL_METRIC_STREAMS_ACQUIRED = 22, /* keys given to a stream */
	RUNNEL_METRIC_STREAMS_BROKEN = 23,   /* the peer broke the rules of its framing */
	RUNNEL_METRIC_STREAMS_NOW = 24,
	RUNNEL_METRIC_KEYS_MOVED = 25, /* from one stream to another */
	RUNNEL_METRIC_BREAKER_OPENINGS = 26,
	RUNNEL_METRIC_BREAKER_CLOSINGS = 27,
	RUNNEL_METRIC_BREAKER_ALLOWED = 28, /* attempts that were let through */
	RUNNEL_METRIC_BREAKER_BLOCKED = 29, /* attempts that were held back */
	RUNNEL_METRIC_RETRIES = 30,         /* attempts that followed a failed one */
	RUNNEL_METRIC_PROBES_SENT = 31,
	RUNNEL_METRIC_PROBES_ANSWERED = 32,
};

/* What is counted by size. */
enum runnel_histogram_id {
	RUNNEL_HISTOGRAM_SOJOURN = 0,    /* microseconds that packets waited for their stream */
	RUNNEL_HISTOGRAM_DEPTH = 1,      /* packets that waited for a stream as one more came */
	RUNNEL_HISTOGRAM_STREAM_AGE = 2, /* seconds that closed streams had lived */
};

enum {
	RUNNEL_METRICS_MAX = 64,      /* room for them */
	RUNNEL_HISTOGRAMS_MAX = 8,    /* ... */
	RUNNEL_HISTOGRAM_BUCKETS = 24 /* of each */
};

/* Bucket 0 counts the value 0, bucket i values from 2^(i-1) on below 2^i, the last one all above.
 */
struct runnel_histogram {
	uint64_t buckets[RUNNEL_HISTOGRAM_BUCKETS];
	uint64_t count; /* of values */
	uint64_t sum;   /* of the values */
};

/* To be read with the enums as indices; what this version does not know of is 0. */
struct runnel_dispatch_metrics {
	uint64_t values[RUNNEL_METRICS_MAX]; /* by enum runnel_metric */
	uint64_t drops[RUNNEL_DROPS_MAX];    /* packets, by enum runnel_drop */
	struct runnel_histogram histograms[RUNNEL_HISTOGRAMS_MAX]; /* by enum runnel_histogram_id */
};

/* The sums over all shards. Each number is read whole, all of them not at one moment, unless the
 * dispatcher has stopped. Any thread; takes no lock. */
RUNNEL_API void runnel_dispatcher_metrics(const struct runnel_dispatcher *dispatcher,
					  struct runnel_dispatch_metrics *ret_metrics);

/* One of them. 0 for a number that is none. */
RUNNEL_API uint64_t runnel_dispatcher_metric(const struct runnel_dispatcher *dispatcher,
					     enum runnel_metric metric);

/* A word for logs: "streams_created"; NULL for a number that is none, so that all names can be
 * walked from 0. Static memory; any thread. */
RUNNEL_API const char *runnel_metric_name(enum runnel_metric metric);

/* A word for logs, with its unit: "sojourn_usec"; NULL for a number that is none. Static memory;
 * any thread. */
RUNNEL_API const char *runnel_histogram_name(enum runnel_histogram_id histogram);

/* --- one peer ------------------------------------------------------------------------ */

/* A peer, over all shards. */
struct runnel_dispatch_peer {
	uint64_t sent_packets, sent_bytes, dropped_packets;
	uint64_t waiting_packets, waiting_bytes;
	uint64_t keys; /* whose packets go to it */
	uint32_t streams;
	uint32_t shards_with_stream;       /* shards that have an open one */
	uint32_t breakers_open;            /* shards that leave it alone, or try it now and then */
	enum runnel_breaker_state breaker; /* the worst of them: open, half-open, closed */
	runnel_nsec rtt;                   /* of the last probes, the shortest; 0: not known */
};

/* All zero for a peer that nothing was sent to. Asks each shard, and waits for its answer: for
 * people, not for each packet. RUNNEL_ERR_CLOSED: it does not run; RUNNEL_ERR_BAD_STATE: called on
 * a thread of the dispatcher; RUNNEL_ERR_MALFORMED: no peer id. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_dispatcher_peer(struct runnel_dispatcher *dispatcher, const struct runnel_peer_id *peer,
		       struct runnel_dispatch_peer *ret_peer);

/* One stream to a peer. */
struct runnel_dispatch_stream {
	uint32_t shard;
	bool is_open;      /* it carries packets; else it is being opened, or ended */
	const char *state; /* "opening", "up", "draining", "closing"; static memory */
	enum runnel_framing framing;
	uint64_t keys; /* that stick to it */
	uint64_t waiting_packets, waiting_bytes;
	uint64_t sent_packets, sent_bytes;
	uint64_t in_flight_bytes; /* as the service knows it */
	runnel_nsec age;          /* since it was opened */
	runnel_nsec rtt;          /* of its probes, smoothed; 0: not known */
};

/* Up to `cap` of the peer's streams, to the array `ret_streams`, and to *ret_n how many. Waits, and
 * fails, as runnel_dispatcher_peer() does. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_dispatcher_streams(struct runnel_dispatcher *dispatcher, const struct runnel_peer_id *peer,
			  struct runnel_dispatch_stream *ret_streams, size_t cap, size_t *ret_n);

#ifdef __cplusplus
}
#endif

#endif
