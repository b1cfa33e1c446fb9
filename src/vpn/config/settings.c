/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* settings.c - see settings.h */
#include "vpn/config/settings.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/util.h"

static const char *const level_words[] = {"error", "warn", "info", "debug", NULL};
static_assert(LOG_ERROR == 0 && LOG_DEBUG == 3, "words stand in the order of the enum");

static const char *const protocol_words[] = {
	[CONFIG_PROTOCOL_AUTO] = "auto",
	[CONFIG_PROTOCOL_RUNNEL] = "runnel",
	[CONFIG_PROTOCOL_VPN] = "vpn",
	NULL,
};

#define AT(member)      .offset = offsetof(struct config, member)
#define AT_PEER(member) .offset = offsetof(struct config_peer, member)
#define KIB             ((uint64_t)1024)
#define MIB             (1024 * KIB)
#define GIB             (1024 * MIB)
#define MS              NSEC_PER_MSEC
#define SEC             NSEC_PER_SEC
#define HOUR            (3600 * SEC)

/* clang-format off */
const struct setting settings[] = {
	{SECTION_TOP, "key", SETTING_PATH, "/etc/runnel/node.key", 1, 4095, AT(key),
	 .help = "File with the private key that is this node's identity; `runnel keygen` makes one."},
	{SECTION_TOP, "listen", SETTING_LISTEN, "/ip4/0.0.0.0/tcp/4001, /ip6/::/tcp/4001",
	 .max = 64, AT(listen),
	 .help = "Addresses to accept connections on; port 0 takes any free port, an empty list accepts none."},
	{SECTION_TOP, "interface", SETTING_SECTION, .inner = SECTION_INTERFACE,
	 .help = "The network device that programs see."},
	{SECTION_TOP, "control", SETTING_PATH, "/run/runnel/" SETTING_INTERFACE_NAME ".sock", 1, 107,
	 AT(control),
	 .help = "Unix socket that the other `runnel` commands speak to."},
	{SECTION_TOP, "log_level", SETTING_WORD, "info", .words = level_words, AT(log_level),
	 .help = "The least important lines to log."},
	{SECTION_TOP, "queue", SETTING_SECTION, .inner = SECTION_QUEUE,
	 .help = "Bounds of the packets that wait for one peer, over all its streams; at the first that is reached packets are dropped."},
	{SECTION_TOP, "tcp", SETTING_SECTION, .inner = SECTION_TCP,
	 .help = "Options of the TCP connections to peers."},
	{SECTION_TOP, "keepalive", SETTING_DURATION, "15s", 1 * SEC, HOUR, AT(keepalive),
	 .help = "Ping a connection that was silent for so long."},
	{SECTION_TOP, "shards", SETTING_NUMBER, "0", 0, 64, AT(shards), .unit = "threads",
	 .help = "Threads that carry packets, each with a queue of the device and connections of its own; 0: one for each CPU that the process may use, at most 8. Only the first 16, and no more than the peer has, get connections of their own; the others hand their packets to the first."},
	{SECTION_TOP, "dispatch", SETTING_SECTION, .inner = SECTION_DISPATCH,
	 .help = "How packets are spread over the streams to a peer. Packets with the same source port, destination address and destination port are one connection and stay in order."},
	{SECTION_TOP, "health", SETTING_SECTION, .inner = SECTION_HEALTH,
	 .help = "Probes of streams; one that does not answer is replaced."},
	{SECTION_TOP, "breaker", SETTING_SECTION, .inner = SECTION_BREAKER,
	 .help = "When to leave a peer alone for a while: then packets for it are refused at once, and no streams are opened. Failures are rounds of dialling in vain, streams that did not open, and streams that broke at once. It is dialled all the same; when it connects, the while is over."},
	{SECTION_TOP, "retry", SETTING_SECTION, .inner = SECTION_RETRY,
	 .help = "How to try again to open a stream that failed. Connecting has a pace of its own that cannot be set: about once a second while packets wait, and for a minute after a connection was lost; else in waits that grow to half a minute."},
	{SECTION_TOP, "peers", SETTING_PEERS, "", .max = CONFIG_PEERS_MAX, .inner = SECTION_PEER,
	 AT(peers),
	 .help = "The nodes that this one speaks with; others are turned away."},

	{SECTION_INTERFACE, "name", SETTING_NAME, "runnel0", 1, 15, AT(interface.name),
	 .help = "The device's name."},
	{SECTION_INTERFACE, "addresses", SETTING_IP_OWN, NULL, 1, 64, AT(interface.addresses),
	 .help = "This node's addresses in the VPN, each with the prefix length of its network: 10.7.0.1/24. Without one, the address alone is meant (/32, or /128 for IPv6)."},
	{SECTION_INTERFACE, "mtu", SETTING_NUMBER, "1400", 576, PACKET_LEN_MAX, AT(interface.mtu),
	 .unit = "bytes",
	 .help = "The longest packet; at least 1280 with an IPv6 address. Best the same on all nodes."},
	{SECTION_INTERFACE, "routes", SETTING_BOOL, "true", AT(interface.routes),
	 .help = "Make routes to the device for the allowed_ips of all peers, except for those that lie inside of a network of interface.addresses, to which the kernel has a route."},

	{SECTION_QUEUE, "packets", SETTING_NUMBER, "1000", 16, 65536, AT(queue.packets),
	 .unit = "packets",
	 .help = "Packets that may wait for one peer."},
	{SECTION_QUEUE, "bytes", SETTING_SIZE, "2MiB", 128 * KIB, GIB, AT(queue.bytes),
	 .help = "Bytes that may wait for one peer."},

	{SECTION_TCP, "user_timeout", SETTING_DURATION, "10s", 1 * SEC, 600 * SEC, AT(tcp.user_timeout),
	 .help = "Give a connection up when sent data was not acknowledged for so long (TCP_USER_TIMEOUT)."},
	{SECTION_TCP, "notsent_lowat", SETTING_SIZE, "128KiB", 4 * KIB, 16 * MIB, AT(tcp.notsent_lowat),
	 .help = "Data that the kernel holds but has not sent yet (TCP_NOTSENT_LOWAT): less means less delay, more means fewer wake-ups."},
	{SECTION_TCP, "congestion", SETTING_NAME, "", 0, 15, AT(tcp.congestion),
	 .help = "Congestion control, such as bbr or cubic (TCP_CONGESTION); \"\" leaves the system's. With one that the kernel neither has nor loads, no connection is made."},

	{SECTION_DISPATCH, "min_streams_per_peer", SETTING_NUMBER, "1", 0, 16,
	 AT(dispatch.min_streams_per_peer), .unit = "streams",
	 .help = "Streams that each shard holds open to a connected peer; 0: the first is opened when a packet comes. At most max_streams_per_peer."},
	{SECTION_DISPATCH, "max_streams_per_peer", SETTING_NUMBER, "10", 1, 64,
	 AT(dispatch.max_streams_per_peer), .unit = "streams",
	 .help = "Streams that each shard may open to a peer."},
	{SECTION_DISPATCH, "stream_idle_timeout", SETTING_DURATION, "5m", 1 * SEC, 24 * HOUR,
	 AT(dispatch.stream_idle_timeout),
	 .help = "Close a stream above min_streams_per_peer that carried nothing for so long."},
	{SECTION_DISPATCH, "stream_cleanup_interval", SETTING_DURATION, "1m", 1 * SEC, HOUR,
	 AT(dispatch.stream_cleanup_interval),
	 .help = "How often to look for idle streams."},
	{SECTION_DISPATCH, "worker_idle_timeout", SETTING_DURATION, "5m", 1 * SEC, 24 * HOUR,
	 AT(dispatch.worker_idle_timeout),
	 .help = "Forget a connection without a packet for so long; its next packet may take another stream."},
	{SECTION_DISPATCH, "worker_cleanup_interval", SETTING_DURATION, "1m", 1 * SEC, HOUR,
	 AT(dispatch.worker_cleanup_interval),
	 .help = "How often to look for idle connections."},
	{SECTION_DISPATCH, "worker_buffer_size", SETTING_NUMBER, "1000", 16, 65536,
	 AT(dispatch.worker_buffer_size), .unit = "packets",
	 .help = "Packets that may wait of one connection. 100 of full size are 0.6 ms of 2 Gbit/s, less than one burst of one TCP window; it is queue_target that keeps the delay short, not this bound."},
	{SECTION_DISPATCH, "packet_buffer_size", SETTING_NUMBER, "1000", 16, 65536,
	 AT(dispatch.packet_buffer_size), .unit = "packets",
	 .help = "Packets that may wait for one stream, of all connections that use it."},
	{SECTION_DISPATCH, "queue_target", SETTING_DURATION, "5ms", 1 * MS, 1 * SEC,
	 AT(dispatch.queue_target),
	 .help = "The wait in a queue that is good. Where packets of a connection wait longer than this for a whole queue_interval, its sender is told to slow down: by ECN, or by a dropped packet (CoDel, RFC 8289). Less than queue_interval."},
	/* CoDel computes with the square of the interval in 64 bits: less than 4.3 s. */
	{SECTION_DISPATCH, "queue_interval", SETTING_DURATION, "100ms", 10 * MS, 4 * SEC,
	 AT(dispatch.queue_interval),
	 .help = "The time in which a sender can react: about the slowest usual round trip through the VPN."},
	{SECTION_DISPATCH, "multiplex", SETTING_BOOL, "true", AT(dispatch.multiplex),
	 .help = "Spread one connection that is too much for one TCP connection to the peer over two; the other side brings its packets back in order. Only where the round trip is 5 ms or more, and multiplex is on at both ends."},

	{SECTION_HEALTH, "interval", SETTING_DURATION, "30s", 1 * SEC, HOUR, AT(health.interval),
	 .help = "Probe each stream this often."},
	{SECTION_HEALTH, "timeout", SETTING_DURATION, "5s", 100 * MS, 60 * SEC, AT(health.timeout),
	 .help = "An answer that took longer than this is a failure. At most health.interval."},
	{SECTION_HEALTH, "failures", SETTING_NUMBER, "3", 1, 16, AT(health.failures),
	 .unit = "failures",
	 .help = "Replace a stream after so many failures in a row."},

	{SECTION_BREAKER, "failures", SETTING_NUMBER, "5", 1, 1000, AT(breaker.failures),
	 .unit = "failures",
	 .help = "Leave a peer alone after so many failures in a row."},
	{SECTION_BREAKER, "open_for", SETTING_DURATION, "1m", 1 * SEC, HOUR, AT(breaker.open_for),
	 .help = "How long a peer is left alone then; afterwards single tries show whether it is back."},
	{SECTION_BREAKER, "successes", SETTING_NUMBER, "2", 1, 100, AT(breaker.successes),
	 .unit = "successes",
	 .help = "After so many of these tries have succeeded in a row, all is as before."},

	{SECTION_RETRY, "tries", SETTING_NUMBER, "5", 1, 100, AT(retry.tries), .unit = "tries",
	 .help = "After so many failed tries in a row leave the peer alone, as breaker says."},
	{SECTION_RETRY, "first", SETTING_DURATION, "1s", 100 * MS, HOUR, AT(retry.first),
	 .help = "Wait about so long before the second try, and twice as long before each further one. At most retry.max."},
	{SECTION_RETRY, "max", SETTING_DURATION, "30s", 100 * MS, HOUR, AT(retry.max),
	 .help = "The longest wait between two tries."},

	{SECTION_PEER, "id", SETTING_PEER_ID, NULL, AT_PEER(id),
	 .help = "The peer's libp2p Peer ID."},
	{SECTION_PEER, "name", SETTING_NAME, "", 0, 63, AT_PEER(name),
	 .help = "What to call the peer in commands and logs; unique."},
	{SECTION_PEER, "addresses", SETTING_DIAL, "", .max = DIAL_ADDRS_MAX, AT_PEER(addresses),
	 .help = "Where to reach the peer; without any, the peer has to connect to this node first."},
	{SECTION_PEER, "allowed_ips", SETTING_IP_ALLOWED, "", .max = CONFIG_LIST_MAX,
	 AT_PEER(allowed_ips),
	 .help = "Packets for these prefixes go to the peer, and only packets from these are taken from it; the longest prefix wins. An address without a length is that address alone; without any prefix, no packets are exchanged."},
	{SECTION_PEER, "protocol", SETTING_WORD, "auto", .words = protocol_words, AT_PEER(protocol),
	 .help = "How packets travel: auto takes the best that both speak, runnel is /runnel/packet/1.0.0, vpn is /vpn/1.0.0."},
};
/* clang-format on */
const size_t settings_len = ARRAY_LEN(settings);

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first. */
static const struct unit duration_units[] = {
	{"h", 3600 * NSEC_PER_SEC},
	{"m", 60 * NSEC_PER_SEC},
	{"s", NSEC_PER_SEC},
	{"ms", NSEC_PER_MSEC},
	{NULL, 1},
};
static const struct unit size_units[] = {
	{"GiB", GIB}, {"MiB", MIB}, {"KiB", KIB}, {"B", 1}, {NULL, 1},
};

static const struct unit *units_of(const struct setting *setting)
{
	return setting->type == SETTING_DURATION ? duration_units : size_units;
}

const struct setting *setting_find(enum setting_section section, struct span name)
{
	for (size_t i = 0; i < settings_len; i++) {
		if (settings[i].section == section && span_equal(span_str(settings[i].name), name))
			return &settings[i];
	}
	return NULL;
}

const char *setting_number_format(const struct setting *setting, uint64_t value,
				  char buf[SETTING_TEXT_LEN])
{
	if (setting->type == SETTING_NUMBER) {
		snprintf(buf, SETTING_TEXT_LEN, "%" PRIu64, value);
		return buf;
	}
	const struct unit *unit = units_of(setting);
	while (unit[1].name != NULL && (value < unit->factor || value % unit->factor != 0))
		unit++;
	snprintf(buf, SETTING_TEXT_LEN, "%" PRIu64 "%s", value / unit->factor, unit->name);
	return buf;
}

/* "a, b or c" */
static const char *join(const char *const *words, char buf[SETTING_TEXT_LEN])
{
	size_t at = 0;
	for (size_t i = 0; words[i] != NULL && at < SETTING_TEXT_LEN; i++) {
		const char *before = i == 0 ? "" : words[i + 1] != NULL ? ", " : " or ";
		int n = snprintf(buf + at, SETTING_TEXT_LEN - at, "%s%s", before, words[i]);
		at += (size_t)MAX(n, 0);
	}
	return buf;
}

const char *setting_allowed(const struct setting *setting, char buf[SETTING_TEXT_LEN])
{
	char least[SETTING_TEXT_LEN];
	char most[SETTING_TEXT_LEN];
	switch (setting->type) {
	case SETTING_BOOL:
		return "true or false";
	case SETTING_NUMBER:
	case SETTING_DURATION:
	case SETTING_SIZE:
		/* 2 * 48 bytes suffice for two numbers of 64 bits. */
		snprintf(buf, SETTING_TEXT_LEN, "%.48s to %.48s%s%s",
			 setting_number_format(setting, setting->min, least),
			 setting_number_format(setting, setting->max, most),
			 setting->unit != NULL ? " " : "",
			 setting->unit != NULL ? setting->unit : "");
		return buf;
	case SETTING_WORD:
		return join(setting->words, buf);
	case SETTING_PATH:
		snprintf(buf, SETTING_TEXT_LEN,
			 "a path that starts with / and has at most %" PRIu64 " bytes",
			 setting->max);
		return buf;
	case SETTING_NAME:
		snprintf(buf, SETTING_TEXT_LEN,
			 "at most %" PRIu64
			 " letters, digits, '.', '_' or '-', a letter or digit first",
			 setting->max);
		return buf;
	case SETTING_PEER_ID:
		return "12D3KooW... or Qm...";
	case SETTING_LISTEN:
		return "a list such as [/ip4/0.0.0.0/tcp/4001]";
	case SETTING_DIAL:
		return "a list such as [/ip4/192.0.2.7/tcp/4001]";
	case SETTING_IP_OWN:
		return "a list such as [10.7.0.1/24]";
	case SETTING_IP_ALLOWED:
		return "a list such as [10.7.0.2/32]";
	case SETTING_SECTION:
		return "a map, its settings indented below";
	case SETTING_PEERS:
		return "a list of peers, each starting with \"- id:\"";
	}
	return "";
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Digits from the front of *text, at least one; a number past 64 bits is UINT64_MAX. */
static enum err take_number(struct span *text, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (text->len == 0 || !is_digit(text->p[0]))
		return ERR_MALFORMED;
	while (text->len > 0 && is_digit(text->p[0])) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, text->p[0] - '0', &value)) {
			while (text->len > 0 && is_digit(text->p[0]))
				span_skip(text, 1);
			value = UINT64_MAX;
			break;
		}
		span_skip(text, 1);
	}
	*ret_value = value;
	return ERR_OK;
}

static enum err refuse(const char **ret_why, const char *why, enum err e)
{
	*ret_why = why;
	return e;
}

static enum err parse_number(const struct setting *setting, struct span text, uint64_t *ret_value,
			     const char **ret_why)
{
	uint64_t value;
	if (take_number(&text, &value) != ERR_OK)
		return refuse(ret_why, "is not a number", ERR_MALFORMED);
	if (setting->type == SETTING_NUMBER) {
		if (text.len > 0)
			return refuse(ret_why, "is not a number", ERR_MALFORMED);
	} else {
		const struct unit *unit = units_of(setting);
		if (text.len == 0 && setting->type == SETTING_DURATION)
			return refuse(ret_why, "has no unit (ms, s, m or h)", ERR_MALFORMED);
		if (text.len == 0)
			return refuse(ret_why, "has no unit (B, KiB, MiB or GiB)", ERR_MALFORMED);
		while (unit->name != NULL && !span_equal(text, span_str(unit->name)))
			unit++;
		if (unit->name == NULL && setting->type == SETTING_DURATION)
			return refuse(ret_why, "has an unknown unit (write ms, s, m or h)",
				      ERR_MALFORMED);
		if (unit->name == NULL)
			return refuse(ret_why, "has an unknown unit (write B, KiB, MiB or GiB)",
				      ERR_MALFORMED);
		if (__builtin_mul_overflow(value, unit->factor, &value))
			value = UINT64_MAX;
	}
	if (value < setting->min)
		return refuse(ret_why, "is too small", ERR_RANGE);
	if (value > setting->max)
		return refuse(ret_why, "is too large", ERR_RANGE);
	*ret_value = value;
	return ERR_OK;
}

static enum err parse_word(const struct setting *setting, struct span text, unsigned *ret_value,
			   const char **ret_why)
{
	for (unsigned i = 0; setting->words[i] != NULL; i++) {
		if (span_equal(text, span_str(setting->words[i]))) {
			*ret_value = i;
			return ERR_OK;
		}
	}
	return refuse(ret_why, "is not known", ERR_RANGE);
}

/* Names go into file names, commands, metrics and the kernel: only what is harmless in all of them.
 */
static bool is_name(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.p[i];
		bool alnum = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!alnum && (i == 0 || (c != '.' && c != '_' && c != '-')))
			return false;
	}
	return true;
}

static enum err parse_text(const struct setting *setting, struct span text, struct arena *arena,
			   const char **ret_text, const char **ret_why)
{
	if (text.len < setting->min)
		return refuse(ret_why, "is too short", ERR_RANGE);
	if (text.len > setting->max)
		return refuse(ret_why, "is too long", ERR_RANGE);
	if (setting->type == SETTING_NAME && !is_name(text))
		return refuse(ret_why, "is not a name", ERR_MALFORMED);
	if (setting->type == SETTING_PATH && text.p[0] != '/')
		return refuse(ret_why, "is not an absolute path", ERR_MALFORMED);
	const char *copy = arena_text(arena, text);
	if (copy == NULL)
		return refuse(ret_why, err_text(ERR_NO_MEMORY), ERR_NO_MEMORY);
	*ret_text = copy;
	return ERR_OK;
}

static enum err parse_bool(struct span text, bool *ret_value, const char **ret_why)
{
	bool yes = span_equal(text, span_str("true"));
	if (!yes && !span_equal(text, span_str("false")))
		return refuse(ret_why, "is not known", ERR_MALFORMED);
	*ret_value = yes;
	return ERR_OK;
}

enum err setting_parse(const struct setting *setting, struct span text, struct arena *arena,
		       void *member, const char **ret_why)
{
	enum err e = ERR_UNSUPPORTED;
	uint64_t number = 0;
	switch (setting->type) {
	case SETTING_BOOL:
		return parse_bool(text, member, ret_why);
	case SETTING_NUMBER:
		e = parse_number(setting, text, &number, ret_why);
		if (e == ERR_OK)
			*(uint32_t *)member = (uint32_t)number;
		return e;
	case SETTING_DURATION:
	case SETTING_SIZE:
		return parse_number(setting, text, member, ret_why);
	case SETTING_WORD:
		return parse_word(setting, text, member, ret_why);
	case SETTING_PATH:
	case SETTING_NAME:
		return parse_text(setting, text, arena, member, ret_why);
	case SETTING_PEER_ID:
		e = peer_id_parse(text, member);
		return e == ERR_OK ? e : refuse(ret_why, "is not a Peer ID", e);
	case SETTING_LISTEN:
	case SETTING_DIAL:
	case SETTING_IP_OWN:
	case SETTING_IP_ALLOWED:
	case SETTING_SECTION:
	case SETTING_PEERS:
		break;
	}
	return refuse(ret_why, "is not a scalar", e);
}

const char *config_protocol_name(enum config_protocol protocol)
{
	return protocol_words[protocol];
}
