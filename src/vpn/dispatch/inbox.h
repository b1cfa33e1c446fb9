/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * inbox.h - packets from any thread to one shard, without a lock
 *
 * A ring of slots that hold the packets' bytes, so that neither side waits for, or frees, what is
 * the other's: a producer copies its packet in, the consumer reads it in its slot.
 *
 *     any thread: inbox_put() -> slot -> inbox_peek() -> ... -> inbox_pop(): the consumer's thread
 *
 * A producer first claims the next position with a compare-and-swap on `tail`, then fills the slot
 * of that position, then publishes it by the slot's `seq`. The consumer takes the positions in
 * their order. So packets of one producer come out in the order of its puts, and one that is held
 * up between claim and publication holds up the consumer, and the others only once the ring is
 * full. ERR_FULL is the answer then; nothing waits here.
 *
 * Threads: inbox_put() and inbox_close() are for any, all else for the consumer's.
 *
 * --- the doorbell
 *
 * The consumer has one mail (loop_post()), its doorbell, which a producer posts where inbox_put()
 * says so: only if the consumer sleeps. An inbox starts ASLEEP.
 *
 *     state    the consumer                      the mail             leaves when
 *     ASLEEP   waits                             at rest              a put rings: RUNG
 *     RUNG     waits                             on its way           it runs: inbox_wake(): AWAKE
 *     AWAKE    looks, and will look once more    the consumer's own   inbox_sleep() found nothing:
 *              before it sleeps                                       ASLEEP
 *
 * At most one mail is on its way: only one compare-and-swap turns ASLEEP into RUNG, and only the
 * mail itself ends RUNG. A consumer that stops early, to let its loop do other work, stays AWAKE
 * and may post the mail itself, to go on in the next turn.
 *
 * No wake-up is lost. A put writes `seq` (A), then reads the state (B). inbox_sleep() writes ASLEEP
 * (C), then reads the `seq` of the next position (D). All of them, and all other accesses to the
 * state, are sequentially consistent: they have one order, in which A is before B, and C before D.
 * Look at the put of the position that D looks at.
 *
 *     D missed it: D is before A, so C is before B, and B reads ASLEEP and rings; or RUNG, and the
 *         mail comes; or AWAKE, which only the mail wrote, and the consumer looks again, after A.
 *     B did not ring, as it read AWAKE or RUNG: the next C is after B, so its D is after A, and
 *         sees the packet.
 *
 * Packets behind that position need no proof of their own: the consumer cannot reach them before
 * the put of that position is done, and that one sees to it.
 *
 * --- the end
 *
 * inbox_close() sets a bit of `tail`, and so makes the claim of each put that is not yet decided
 * fail: what is claimed then is all that will ever come, and inbox_is_drained() says when it was
 * popped. No packet whose put said ERR_OK is lost, none comes whose put said ERR_CLOSED.
 *
 * A put still reads the state after its packet may have been popped, and posts the mail after that.
 * So, at the end: close, drain, join the producers (or know by other means that none is in a call),
 * loop_drain() for a mail that was on its way, free.
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"
#include "vpn/packet/offload.h"

struct inbox;

enum {
	INBOX_TAG_LEN = 32, /* bytes; a connection key with a peer's number has about 24 */
};

/* What travels with a packet. */
struct inbox_meta {
	void *ticket; /* the producer's: what to answer; NULL: no one asks */
	uint8_t tag[INBOX_TAG_LEN];
	struct offload offload; /* all zero for a plain packet */
};

/* A packet in its slot, lent. */
struct inbox_item {
	uint8_t *data; /* the consumer may also write there */
	size_t len;    /* bytes */
	struct inbox_meta meta;
};

/* `slots`: a power of two. Their memory becomes resident as they are used for the first time.
 * ERR_NO_MEMORY. */
MUST_USE enum err inbox_new(size_t slots, size_t packet_len_max, struct inbox **ret_inbox);
/* All packets must have been popped: their tickets wait for answers. Takes NULL; returns NULL. */
struct inbox *inbox_free(struct inbox *inbox);

/*
 * Any thread: copy a packet of at most packet_len_max bytes, and its meta, into the next slot.
 * *ret_must_wake: the caller has to post the consumer's doorbell, now.
 * ERR_FULL, ERR_TOO_LONG, ERR_CLOSED: nothing was taken, the ticket stays the caller's.
 */
MUST_USE enum err inbox_put(struct inbox *inbox, struct span packet, const struct inbox_meta *meta,
			    bool *ret_must_wake);
/* The same, for who has more to say of a packet than the meta holds: `head` and the packet lie in
 * the slot one behind the other, and count together. */
MUST_USE enum err inbox_put_behind(struct inbox *inbox, struct span head, struct span packet,
				   const struct inbox_meta *meta, bool *ret_must_wake);

/* The oldest packet, lent until inbox_pop(); false: none, or its put is not done. */
bool inbox_peek(struct inbox *inbox, struct inbox_item *ret_item);
/* Done with what inbox_peek() gave: its slot is free again. */
void inbox_pop(struct inbox *inbox);

/* From the doorbell's run() only: the consumer is awake. */
void inbox_wake(struct inbox *inbox);
/* The consumer has nothing to do, and has not posted the mail itself. true: it may wait, the
 * doorbell will ring; false: something came meanwhile, go on. */
MUST_USE bool inbox_sleep(struct inbox *inbox);

/* Any thread: puts that are not yet decided will get ERR_CLOSED. Rings no doorbell. */
void inbox_close(struct inbox *inbox);
/* Closed, and all that was put has been popped. */
bool inbox_is_drained(const struct inbox *inbox);
