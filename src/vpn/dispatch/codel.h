/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * codel.h - keep the wait in one queue short, RFC 8289
 *
 * A queue that absorbs a burst and empties again is good; one that stands only adds delay. CoDel
 * tells them apart by time, not by length: each packet that leaves is judged by how long it has
 * waited. If for a whole interval none waited less than the target, one packet is dropped, then
 * more, ever faster, until the senders gave way:
 *
 *     a queue is   DROP                                         leaves when
 *     fine         never                                        a packet waited for target or more
 *     suspected    never                                        interval passed: one drop, dropping
 *     dropping     at drop_next, which moves on by
 *                  interval / sqrt(drops)
 *     any                                                       a packet waited less than target,
 *                                                               or at most one more is behind it:
 *                                                               fine
 *
 * A queue that was dropping a short while ago goes on at the rate that was enough then. Drops that
 * fell into a time when nothing left come at once afterwards, until a packet is found that did not
 * wait too long: what waited through a stall is old.
 *
 * DROP asks for a signal to the sender. The caller gives it with a mark where the packet can carry
 * one (ecn.h) and sends the packet; else it drops the packet and has the next one judged, too. The
 * last packet of a queue is always sent, so a queue that empties is fine without being told.
 *
 * Pure. Owned by the owner of its queue; all zero is a fresh one.
 */
#pragma once

#include <stddef.h>

#include "base/time.h"

struct codel_conf {
	nsec_t target;    /* a wait that is good: about 5% of interval */
	nsec_t interval;  /* about the slowest round trip; at most CODEL_INTERVAL_MAX */
	size_t mtu_bytes; /* so many behind a packet, or fewer, are no queue */
};

#define CODEL_INTERVAL_MAX ((nsec_t)UINT32_MAX) /* 4.2 s; its square fits into 64 bits */

enum {
	CODEL_COUNT_MAX = INT32_MAX, /* drops that make the next come sooner; it stays there */
};

struct codel {
	nsec_t first_above;       /* suspected since an interval before this; 0: fine */
	nsec_t drop_next;         /* while dropping; afterwards, when it would have been */
	uint32_t count;           /* drops since dropping began, and those that it began with */
	uint32_t last_count : 31; /* `count` as dropping began */
	uint32_t dropping : 1;
};

enum codel_verdict {
	CODEL_SEND,
	CODEL_DROP,
};

/*
 * The verdict on the packet at the head, which is about to leave after waiting for `sojourn`, with
 * backlog_bytes behind it. Once for each packet, in their order.
 */
enum codel_verdict codel_judge(struct codel *codel, const struct codel_conf *conf, nsec_t sojourn,
			       size_t backlog_bytes, nsec_t now);
