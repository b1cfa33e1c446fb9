/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stream_manager.h - which key uses which stream
 *
 * Sticky: a key gets a stream with its first packet and keeps it. It moves only when that stream
 * breaks, or has drained; until then its packets wait, so that none overtakes another. Keys without
 * a stream whose packets wait stand in the pool's line. Owned by one shard.
 */
#pragma once

#include "vpn/dispatch/pool_stream.h"

/* For spread.c: the worker is one of the stream's keys, and no more. */
void stream_manager_link(struct pool_stream *s, struct worker *w);
void stream_manager_unlink(struct worker *w);
/* ... it stands in the pool's line if it holds something; it does not. */
void stream_manager_stand_waiting(struct worker *w);
void stream_manager_stop_waiting(struct worker *w);
/* ... it keeps the packet, at the bounds in place of its oldest. Takes it; false: it is dropped. */
bool stream_manager_keep(struct worker *w, struct packet *packet, nsec_t now);

/* A stream for this worker, which has none. false: there is none now. */
bool stream_manager_assign(struct worker *w);
/* The worker has no stream any more; what it holds waits in the pool's line. */
void stream_manager_release(struct worker *w);
/* All keys of the stream keep it, but stand still: their packets wait in the pool's line. */
void stream_manager_hold(struct pool_stream *s);
/* The stream died: its keys go to one that tells of it, or to one of the same connection. Then
 * release all. */
void stream_manager_on_death(struct pool_stream *s);
/* All keys of the stream may go elsewhere. Then serve the pool. */
void stream_manager_release_all(struct pool_stream *s);
/* Give streams to those that wait in the pool's line and are not held. */
void stream_manager_serve(struct worker_pool *pool);
/* The packet waits with its key, which has no stream to stand at. Takes it. */
void stream_manager_wait(struct worker *w, struct packet *packet, nsec_t now);
/* Drop what waited in line since before `before`; all with NSEC_NEVER. */
void stream_manager_drop_waiting(struct worker_pool *pool, nsec_t before, enum drop reason);
/* The stream broke: nobody knows when what its keys sent has arrived. Before their release. */
void stream_manager_doubt(struct pool_stream *s, nsec_t now);
/* What waits with keys that have no stream goes to where others handle it (conf.hand_over), unless
 * it could overtake what was sent before. */
void stream_manager_hand_over(struct worker_pool *pool, nsec_t now);
/* The same for one key, and all of it. */
void stream_manager_hand_over_worker(struct worker *w);
/* Drop all that waits with this key, which has no stream. */
void stream_manager_drop_worker(struct worker *w, enum drop reason);
