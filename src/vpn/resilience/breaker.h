/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * breaker.h - a circuit breaker: stop asking a peer that fails, and find out when it is back
 *
 * Who wants to begin an operation (dial, open a stream) asks breaker_allow(), which hands out a
 * ticket; with the ticket the operation reports exactly once how it ended.
 *
 *     state      May                           leaves when
 *     CLOSED     any number of operations      `failures` in a row, breaker_open() -> OPEN
 *     OPEN       none                          open_for passed, news -> HALF_OPEN
 *     HALF_OPEN  one operation at a time       one failed -> OPEN, for a fresh open_for
 *                                              `successes` in a row -> CLOSED
 *
 * What always holds:
 * - Tickets are numbers that grow. A report of an operation that began before the present state is
 *   late: it changes nothing.
 * - News are facts from outside that make the past a bad guide: the peer connected to us, the
 *   network is another one. Failures before them, and of operations begun before them, do not count
 *   any more.
 * - It cannot get stuck. OPEN ends by itself, and an operation in HALF_OPEN that did not report
 *   within open_for is taken for lost: another may begin, and the report of the lost one is late
 *   from then on.
 *
 * Time works without a timer: each function judges by the `now` that it is given.
 *
 * Pure. Owned by the shard of its peer.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/time.h"

/* X(symbol, name) */
#define BREAKER_STATE_MAP(X)        \
	X(BREAKER_CLOSED, "closed") \
	X(BREAKER_OPEN, "open")     \
	X(BREAKER_HALF_OPEN, "half_open")

enum breaker_state {
#define X(symbol, name) symbol,
	BREAKER_STATE_MAP(X)
#undef X
	BREAKER_STATE_COUNT
};

struct breaker_conf {
	uint32_t failures;  /* in a row that open it, at least 1 */
	uint32_t successes; /* in a row, in half-open, that close it, at least 1 */
	nsec_t open_for;    /* until it is half-open, more than 0 */
};

/* With the waits of RETRY_CONF_DEFAULT, five failures take a quarter of a minute or longer; a
 * minute is how long the past is believed; one success may be luck. */
#define BREAKER_CONF_DEFAULT \
	((struct breaker_conf){.failures = 5, .successes = 2, .open_for = 60 * NSEC_PER_SEC})

struct breaker {
	struct breaker_conf conf;
	enum breaker_state state; /* as of the last call; breaker_state_at() knows about time */
	nsec_t since;             /* OPEN: it opened. HALF_OPEN, is_busy: the operation began */
	bool is_busy;             /* HALF_OPEN: the operation `ticket` has not reported */
	uint32_t failures;        /* CLOSED: in a row */
	uint32_t successes;       /* HALF_OPEN: in a row */
	uint64_t ticket;          /* of the last operation; 0: none yet */
	uint64_t ticket_state;    /* ... before this state began: up to it reports are late */
	uint64_t ticket_news;     /* ... before the last news: up to it failures do not count */

	/* Sums. */
	uint64_t openings, closings;
	uint64_t allowed, blocked; /* asks */
};

/* Closed. The conf is copied. */
void breaker_init(struct breaker *b, const struct breaker_conf *conf);

/* May an operation begin? true: it has *ret_ticket, and must be followed by one report. */
MUST_USE bool breaker_allow(struct breaker *b, nsec_t now, uint64_t *ret_ticket);

/* Reports. true: it counted; false: it was late (or, a failure, older than the last news). */
bool breaker_succeeded(struct breaker *b, uint64_t ticket);
bool breaker_failed(struct breaker *b, uint64_t ticket, nsec_t now);
/* Ended without telling anything about the peer. */
void breaker_cancelled(struct breaker *b, uint64_t ticket);

/* Something from outside says that it is worth asking again. */
void breaker_news(struct breaker *b);
/* Open it now, from any state, for a fresh open_for. */
void breaker_open(struct breaker *b, nsec_t now);

enum breaker_state breaker_state_at(const struct breaker *b, nsec_t now);
/* Would an operation be refused because it is open? Cheap: for the way of a packet. */
bool breaker_refuses(const struct breaker *b, nsec_t now);
/* The first moment, `now` or later, at which breaker_allow() says yes if nothing is reported until
 * then. */
nsec_t breaker_deadline(const struct breaker *b, nsec_t now);

/* A word for status: "half_open". Static memory, any thread. */
const char *breaker_state_name(enum breaker_state state);
