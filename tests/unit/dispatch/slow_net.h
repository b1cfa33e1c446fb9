/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * slow_net.h - a stream service whose bytes are under way for a while, and may come late
 *
 * Each peer has several connections, of which one is the best: new streams go there. A connection
 * delivers in order, after its own delay; it can stand still, and then go on. When it dies for us,
 * what is under way may still be read at the far end, later. Different connections know nothing of
 * each other: what is in order across them is the dispatcher's doing.
 */
#pragma once

#include "dispatch_kit.h"

struct slow_net;

struct stream_service slow_net_service(struct kit *k, void *ret_net);
/* All links are gone. */
void slow_net_free(struct slow_net *n);
/* Another connection of the peer becomes the best; streams on the others are told to retire. */
void slow_net_switch(struct slow_net *n, size_t peer);
/* Nothing moves on one of the peer's connections until then; it may be called suspect. */
void slow_net_stall(struct slow_net *n, size_t peer, nsec_t duration, bool is_suspect);
/* The best one, which is not the best any more. */
void slow_net_leave(struct slow_net *n, size_t peer, nsec_t stall);
/* One of the peer's connections dies for us; what was under way on it is lost, or arrives. */
void slow_net_kill(struct slow_net *n, size_t peer, bool is_lost);
/* The far end resets one of the peer's streams. */
void slow_net_reset_one(struct slow_net *n, size_t peer);
/* The far end says nothing, nor ends its streams. */
void slow_net_silence(struct slow_net *n, size_t peer, bool is_silent);
/* Streams of which the far end threw late bytes away, as it was told. */
unsigned slow_net_superseded(const struct slow_net *n);
