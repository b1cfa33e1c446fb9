/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ping.h - /ipfs/ping/1.0.0: 32 random bytes there and back
 *
 * Spec: libp2p ping. We echo whatever comes, in whatever pieces; a peer that sends without reading
 * is reset when STREAM_WRITE_MAX bytes wait for it.
 */
#pragma once

#include "p2p/host/conn.h"

#define PING_PROTOCOL "/ipfs/ping/1.0.0"
#define PING_TIMEOUT  (10 * NSEC_PER_SEC) /* of one round; as js */

/* Answers others: for struct protocol; needs no ctx. */
extern const struct stream_ops ping_responder_ops;

struct ping;

/* ERR_OK and the time it took; or ERR_TIMEOUT, ERR_NEGOTIATION, ERR_PROTOCOL (other bytes came
 * back), ... */
typedef void ping_done_fn(void *ctx, enum err result, nsec_t rtt);

/* One ping over its own stream. `done` is called exactly once, later, unless ping_cancel() came
 * before. */
MUST_USE enum err ping_send(struct conn *c, ping_done_fn *done, void *ctx, struct ping **ret_ping);
void ping_cancel(struct ping *p);
