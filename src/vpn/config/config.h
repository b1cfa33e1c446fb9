/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * config.h - what the user wrote in runnel.yaml: typed, complete, checked
 *
 * A struct config exists only if its file had no fault: every setting is within its bounds, those
 * that were left out have their defaults, and the relations between settings hold (config_check.c
 * lists them). All faults of a file are reported at once, each with its place. Names, bounds,
 * defaults and help come from one table, settings.c, which runnel.yaml(5) is made from as well.
 *
 * A struct config is not changed after it was loaded; threads share it for reading.
 */
#pragma once

#include "base/log.h"
#include "vpn/packet/ip_addr.h"
#include "wire/multiaddr.h"

enum {
	CONFIG_ERROR_LEN = 512,   /* bytes of one message with its zero; longer ones are cut */
	CONFIG_ERRORS_MAX = 50,   /* messages kept; people mend the first few, then look again */
	CONFIG_DEPTH_MAX = 8,     /* levels of nesting; the deepest setting is at 4 */
	CONFIG_PEERS_MAX = 10000, /* peers; more than one node will hold connections to */
	CONFIG_LIST_MAX = 100000, /* items of one list; a full Internet feed is not our use */
};

/* Which protocol carries the packets to a peer. */
enum config_protocol {
	CONFIG_PROTOCOL_AUTO,   /* /runnel/packet/1.0.0 if the peer speaks it, else /vpn/1.0.0 */
	CONFIG_PROTOCOL_RUNNEL, /* /runnel/packet/1.0.0 only */
	CONFIG_PROTOCOL_VPN,    /* /vpn/1.0.0 only */
};

struct config_addrs {
	struct multiaddr *items;
	size_t len;
};

struct config_prefixes {
	struct ip_prefix *items;
	size_t len;
};

struct config_peer {
	struct peer_id id;
	const char *name; /* unique; "" where none was given */
	/* ip4, ip6 and dns* with tcp, without /p2p at the end; may be empty. */
	struct config_addrs addresses;
	/* Without host bits, no two peers have the same; may be empty. */
	struct config_prefixes allowed_ips;
	enum config_protocol protocol;
};

struct config_peers {
	struct config_peer *items;
	size_t len;
};

struct config_interface {
	const char *name;                 /* at most 15 bytes */
	struct config_prefixes addresses; /* our own, with their host bits: 10.7.0.1/24 */
	uint32_t mtu;                     /* bytes */
	bool routes;                      /* make routes for the peers' allowed_ips */
};

/* Bounds of what waits for one peer, over all its streams; the first that is reached counts. */
struct config_queue {
	uint32_t packets;
	uint64_t bytes;
};

struct config_tcp {
	nsec_t user_timeout;    /* TCP_USER_TIMEOUT of a connection to a peer */
	uint64_t notsent_lowat; /* bytes; TCP_NOTSENT_LOWAT */
	const char *congestion; /* TCP_CONGESTION; "": the system's */
};

/* How packets are spread over workers and streams; per peer and shard. */
struct config_dispatch {
	uint32_t min_streams_per_peer; /* 0: open the first when a packet comes */
	uint32_t max_streams_per_peer; /* at least the minimum, at least 1 */
	nsec_t stream_idle_timeout;
	nsec_t stream_cleanup_interval;
	nsec_t worker_idle_timeout;
	nsec_t worker_cleanup_interval;
	uint32_t worker_buffer_size; /* packets of one connection key */
	uint32_t packet_buffer_size; /* packets of one stream */
	nsec_t queue_target;         /* CoDel's; less than the interval */
	nsec_t queue_interval;
	bool multiplex; /* a connection that is too much for one lane may use several */
};

struct config_health {
	nsec_t interval; /* between probes of a stream */
	nsec_t timeout;  /* of one; at most the interval */
	uint32_t failures;
};

struct config_breaker {
	uint32_t failures;
	nsec_t open_for;
	uint32_t successes;
};

struct config_retry {
	uint32_t tries;
	nsec_t first; /* wait after the first; at most max */
	nsec_t max;
};

struct config {
	const char *key;            /* absolute path of the identity's file */
	struct config_addrs listen; /* ip4 or ip6 with tcp, port 0 for any; empty: do not listen */
	struct config_interface interface;
	const char *control; /* absolute path of the control socket */
	enum log_level log_level;
	struct config_queue queue;
	struct config_tcp tcp;
	nsec_t keepalive; /* ping a connection that was silent for so long */
	uint32_t shards;  /* 0: as many as the process may use CPUs, up to a bound */
	struct config_dispatch dispatch;
	struct config_health health;
	struct config_breaker breaker;
	struct config_retry retry;
	struct config_peers peers;

	struct arena *arena; /* all that the pointers above point to */
};

/* One fault: "/etc/runnel/runnel.yaml:7:8: interface.mtu: 99 is too small: 576 to 65535 bytes". */
struct config_error {
	unsigned line;               /* from 1; 0: the file as a whole */
	unsigned column;             /* from 1, in characters */
	char text[CONFIG_ERROR_LEN]; /* printable ASCII, without a newline */
};

/* The faults of one file, in the order of their places. 26 KB: keep it off small stacks. */
struct config_errors {
	struct config_error items[CONFIG_ERRORS_MAX];
	size_t len;
	size_t omitted; /* further faults that are not kept */
};

/*
 * Read and check a file. *ret_config is written only on success; free it with config_free().
 * *errors is always written, and holds at least one message on every failure.
 *
 * ERR_MALFORMED: the file has faults; ERR_TOO_LONG: longer than CONFIG_LEN_MAX; ERR_NO_MEMORY;
 * ERR_NOT_FOUND, ERR_PERMISSION, ERR_SYSTEM: it could not be read.
 */
MUST_USE enum err config_load(const char *path, struct config **ret_config,
			      struct config_errors *errors);

/* The same for text in memory; `name` stands for the file's path in messages. */
MUST_USE enum err config_parse(struct span text, const char *name, struct config **ret_config,
			       struct config_errors *errors);

/* Takes NULL; returns NULL. */
struct config *config_free(struct config *config);

/* "auto" | "runnel" | "vpn". Static memory. */
const char *config_protocol_name(enum config_protocol protocol);
