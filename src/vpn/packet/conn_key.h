/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conn_key.h - the connection key: which packets must stay in order among each other
 *
 *     source port : destination IP : destination port
 *
 * All packets of one connection have one key, so whatever queues, schedules or spreads by key
 * keeps a connection's order. Two connections may share a key; they then share a queue. Ports are
 * 0:0 for what has none (ICMP) and for every fragment, the first one too although its ports can
 * be read: later fragments do not have them, and a datagram's fragments must not overtake each
 * other.
 *
 * A key is 24 bytes without padding, so that equality and hash take it as three words. As text,
 * the first and the last colon part the three: "51000:10.7.0.2:443", "51000:fd07::2:443".
 */
#pragma once

#include <assert.h>

#include "vpn/packet/packet.h"

struct conn_key {
	uint8_t ip[16];       /* destination; IPv4 in the first 4 bytes, the rest 0 */
	uint16_t source_port; /* host order */
	uint16_t destination_port;
	uint8_t family;  /* 4 or 6 */
	uint8_t zero[3]; /* always 0 */
};

static_assert(sizeof(struct conn_key) == 24, "three words, no padding");

enum {
	CONN_KEY_TEXT_MAX = 6 + 45 + 6 + 1, /* bytes with the zero */
};

/* `info` is packet_parse()'s. */
static inline void conn_key_of(const struct packet_info *info, struct conn_key *ret)
{
	bool is_whole = info->fragment == PACKET_WHOLE;
	*ret = (struct conn_key){
		.source_port = is_whole ? info->source_port : 0,
		.destination_port = is_whole ? info->destination_port : 0,
		.family = info->version,
	};
	memcpy(ret->ip, info->destination.bytes, sizeof(ret->ip));
}

/* Word 0, 1 or 2. */
static inline uint64_t conn_key_word(const struct conn_key *key, size_t i)
{
	uint64_t word;
	memcpy(&word, (const uint8_t *)key + i * sizeof(word), sizeof(word));
	return word;
}

static inline bool conn_key_equal(const struct conn_key *a, const struct conn_key *b)
{
	return ((conn_key_word(a, 0) ^ conn_key_word(b, 0)) |
		(conn_key_word(a, 1) ^ conn_key_word(b, 1)) |
		(conn_key_word(a, 2) ^ conn_key_word(b, 2))) == 0;
}

/* The 128 bits of a * b, folded: each half alone would leave some bits unmixed. */
static inline uint64_t conn_key_fold(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * Good in its low and in its high bits. `seed` is random and secret: strangers choose ports and
 * addresses, and one who knows the seed can choose keys that collide. Every factor below holds
 * something of the seed, so that none can be brought to zero from outside. Not a cryptographic
 * hash: its values must not be shown to strangers either.
 */
static inline uint64_t conn_key_hash(const struct conn_key *key, uint64_t seed)
{
	/* Odd, about half of their bits set: the fractions of the golden ratio and of the roots of
	 * 2, 3 and 5. */
	const uint64_t phi = 0x9e3779b97f4a7c15, root2 = 0x6a09e667f3bcc909;
	const uint64_t root3 = 0xbb67ae8584caa73b, root5 = 0x3c6ef372fe94f82b;
	uint64_t turned = seed << 32 | seed >> 32;
	uint64_t ip = conn_key_fold(conn_key_word(key, 0) ^ seed ^ phi,
				    conn_key_word(key, 1) ^ turned ^ root2);
	uint64_t rest = conn_key_fold(conn_key_word(key, 2) ^ seed ^ root3, turned ^ root5);
	return conn_key_fold(ip ^ seed ^ root2, rest ^ turned ^ phi);
}

/* Returns buf. */
const char *conn_key_format(const struct conn_key *key, char buf[CONN_KEY_TEXT_MAX]);

/* Exactly what conn_key_format() writes, so each key has one text: addresses as in RFC 5952, no
 * leading zeros. ERR_MALFORMED; ERR_RANGE for a port past 65535. */
MUST_USE enum err conn_key_parse(struct span text, struct conn_key *ret_key);
