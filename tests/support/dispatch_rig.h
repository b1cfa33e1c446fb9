/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch_rig.h - a dispatcher with nothing around it, to measure and to count what it does
 *
 * The loop has no events and no clock of its own: its user sets `now`, hands packets over and calls
 * rig_turn(). Each peer owns one prefix, accepts every stream, says a HELLO and swallows all that
 * is pulled: nothing stands between the dispatcher's entry and the record that would be sealed
 * next. Neither the loop nor the streams allocate, lock or enter the kernel for a packet, so what
 * is counted or measured is dispatch.
 *
 * A failure to set it up ends the program.
 */
#pragma once

#include "vpn/discovery/route_table.h"
#include "vpn/dispatch/dispatcher.h"

struct rig_link;

struct rig {
	struct loop loop;
	nsec_t now;   /* the user's to move */
	bool is_full; /* the user's: no stream takes bytes */
	struct metrics metrics;
	struct packet_pool *packets;
	struct dispatcher *dispatcher;
	struct peer_id *peers;
	size_t n_peers;
	struct route_table *routes;          /* peer i has 10.(i / 256).(i % 256).0/24 */
	struct rig_link *woken, *woken_last; /* have something to pull; a list */
	struct rig_link *news;               /* to be told that they are open, or ended */
	uint64_t random;                     /* the last number */
	uint64_t pulled_bytes, n_pulls;      /* sums */
	bool is_closed;
};

/* n_peers peers, up, each with its streams open: 1..65536. */
void rig_init(struct rig *rig, size_t n_peers);
/* Ends the dispatcher as its owner would. */
void rig_deinit(struct rig *rig);

/* The rest of a turn: pull what waits if it may, tell news, fire timers, run tasks. */
void rig_turn(struct rig *rig);

enum {
	RIG_PACKET_LEN_MIN = 28, /* bytes: IPv4 and UDP headers */
};

/* An IPv4 UDP packet of `len` bytes, complete but for what rig_address() writes. */
void rig_put_packet(uint8_t *packet, size_t len);

/* What makes packets of one connection key differ from those of others. */
struct rig_key {
	uint8_t destination[4];
	uint8_t ports[4]; /* source, destination */
};
/* Key number i of all keys, which take turns among the peers. */
struct rig_key rig_key(const struct rig *rig, size_t i);

static inline void rig_address(uint8_t *packet, const struct rig_key *key)
{
	memcpy(packet + 16, key, sizeof(*key));
}

/* A packet of key number i, of `len` bytes, from the rig's pool. */
struct packet *rig_packet(struct rig *rig, size_t i, size_t len);
