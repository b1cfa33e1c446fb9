/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * receipt.h - what became of a packet: told once, to whoever asked
 *
 * Every packet of dispatch ends in packet_end(), whatever happens to it: handed to its stream, or
 * dropped for a reason. So what is counted and what is told are the same, and nothing ends twice.
 */
#pragma once

#include "vpn/metrics/metrics.h"
#include "vpn/packet/pool.h"

#define PACKET_SENT                                                                   \
	DROP_COUNT /* the outcome that is no drop: all of it was handed to its stream \
		    */

struct receipt {
	/* Called once, on the shard's thread; `outcome` is PACKET_SENT or why it was dropped. May
	 * not call the dispatcher: it is in the middle of its work, and order would be lost. */
	void (*done)(struct receipt *receipt, enum drop outcome);
};

/* Takes the packet. */
static inline void packet_end(struct packet *packet, struct metrics *m, enum drop outcome)
{
	if (outcome == PACKET_SENT) {
		metrics_add(m, COUNTER_PEER_TX_PACKETS, 1);
		metrics_add(m, COUNTER_PEER_TX_BYTES, packet->len);
	} else {
		metrics_drop(m, outcome, packet->len);
	}
	if (packet->receipt != NULL) {
		metrics_add(m, COUNTER_CALLBACKS, 1);
		packet->receipt->done(packet->receipt, outcome);
	}
	packet_free(packet);
}
