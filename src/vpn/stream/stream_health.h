/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stream_health.h - does what we put into a packet stream arrive?
 *
 * A connection can be well while one of its streams is not: nobody reads it, or its window never
 * opens again. A stream of /runnel/packet/1.0.0 is asked, with probes; one of /vpn/1.0.0 has none
 * and is judged by whether the connection takes what waits.
 *
 *     state    by probes: leaves when                  by progress: leaves when
 *     QUIET    interval passed since the last probe    output waits -> WAITING
 *              went, or it became suspect: probe
 *              -> WAITING
 *     WAITING  the last probe is answered -> QUIET     none waits any more -> QUIET
 *              timeout passed: a failure, and the      timeout passed without progress:
 *              next probe at once                      a failure, and a timeout more
 *              `failures` in a row -> SICK             `failures` in a row -> SICK
 *     SICK     never: the stream is to be replaced
 *
 * What always holds:
 * - A dead stream is known `failures` timeouts after the first question.
 * - A row of failures ends by an answer to any of its probes, by progress, and by nothing else.
 *   Output that stopped waiting because it was dropped is no progress.
 * - While the connection is suspect (TCP says that it does not answer), one failure is enough.
 * - Each step counts one failure at most: a step that comes late asks again before it judges.
 * - Ids of probes are unique within the stream. What the peer echoes is compared, not believed: the
 *   time of a probe is ours.
 *
 * The first probe goes at once, so that the round-trip time is known early: begin when the
 * peer said that it answers probes.
 *
 * Pure. Owned by its stream.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/time.h"

enum {
	STREAM_HEALTH_FAILURES_MAX = 16, /* in a row; as many probes are timed, 8 bytes each */
};

struct stream_health_conf {
	nsec_t interval;   /* between probes while all is well */
	nsec_t timeout;    /* without an answer, or progress, it is a failure */
	uint32_t failures; /* in a row: sick. 1..STREAM_HEALTH_FAILURES_MAX */
};

#define STREAM_HEALTH_CONF_DEFAULT             \
	((struct stream_health_conf){          \
		.interval = 30 * NSEC_PER_SEC, \
		.timeout = 5 * NSEC_PER_SEC,   \
		.failures = 3,                 \
	})

enum stream_health_verdict {
	STREAM_HEALTH_OK,         /* nothing to do before stream_health_deadline() */
	STREAM_HEALTH_SEND_PROBE, /* send a probe with the id that came with the verdict */
	STREAM_HEALTH_SICK,       /* replace the stream */
};

enum stream_health_by {
	STREAM_HEALTH_BY_PROBES,   /* /runnel/packet/1.0.0, and the peer answers probes */
	STREAM_HEALTH_BY_PROGRESS, /* all others */
};

enum stream_health_state {
	STREAM_HEALTH_QUIET,
	STREAM_HEALTH_WAITING,
	STREAM_HEALTH_IS_SICK,
};

struct stream_health {
	struct stream_health_conf conf;
	enum stream_health_by by;
	enum stream_health_state state;
	bool is_suspect;
	uint32_t failures; /* in a row */
	nsec_t since;      /* WAITING: the timeout runs from then on */

	/* By probes. */
	nsec_t probe_at;   /* QUIET: the next one is due */
	uint64_t sent;     /* id of the last probe; 0: none yet */
	uint64_t answered; /* id of the latest that was answered; 0: none yet */
	nsec_t sent_at[STREAM_HEALTH_FAILURES_MAX]; /* of the probe `id`, at id % their number */
	nsec_t rtt, rtt_smoothed, rtt_min; /* round-trip times; NSEC_NEVER before the first */

	/* By progress. */
	nsec_t waited; /* QUIET: how long output had waited when it ceased to, without progress */
};

/* The conf is copied. */
void stream_health_init(struct stream_health *h, const struct stream_health_conf *conf,
			enum stream_health_by by, nsec_t now);

/* What to do now. Call when stream_health_deadline() is due, or at any time. *ret_id is written
 * with STREAM_HEALTH_SEND_PROBE only; the probe counts as sent then. */
MUST_USE enum stream_health_verdict stream_health_step(struct stream_health *h, nsec_t now,
						       uint64_t *ret_id);
/* The next moment at which a step has something to do; in the past: now. */
nsec_t stream_health_deadline(const struct stream_health *h);

/* An answer came. true: it is a sign of life; false: its id is unknown, or as old as one that was
 * answered. */
bool stream_health_on_answer(struct stream_health *h, uint64_t id, nsec_t now);

/* The connection took bytes of this stream; nothing where probes decide: our own socket taking
 * them says nothing about the peer. */
void stream_health_progress(struct stream_health *h, nsec_t now);
/* There is, or is no, output that waits for the connection. Telling it twice is as good as once. */
void stream_health_waiting(struct stream_health *h, nsec_t now, bool is_waiting);

/* The connection ceased to answer, or answers again. */
void stream_health_suspect(struct stream_health *h, bool is_suspect);
