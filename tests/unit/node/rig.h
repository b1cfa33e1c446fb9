/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rig.h - two nodes of several shards, each shard on a thread of its own, and traffic between them
 *
 * Alice (10.7.0.1) listens, Bob (10.7.0.2) dials her through a proxy (proxy.h). Pairs of sockets
 * stand for the queues of the TUNs: a device needs root. Each side has a thread that writes packets
 * of RIG_FLOWS flows into the other's direction, a flow always into the same queue, and one that
 * reads what comes out of all queues.
 *
 * What the reader holds each flow to: no packet twice, none that was written to a queue before one
 * of a lower number. Queues are read one after the other, so it goes by when the kernel took a
 * packet, and not by when it was read.
 *
 * All functions are the main thread's, and fail the test.
 */
#pragma once

#include "support/sim_kit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/shards.h"
#include "proxy.h"

enum {
	RIG_SHARDS_MAX = 8,
	RIG_FLOWS = 24,
	RIG_NUMBERS = 1 << 16, /* packets of a flow: then it is silent */
	RIG_PATIENCE_SEC = 60, /* for what no machine needs so long for */
};

struct rig_side {
	const char *name;
	size_t index; /* 0: Alice */
	struct identity *identity;
	struct config *config;
	struct loop *loop; /* of the first shard */
	struct shards shards;
	struct node *node;
	size_t n_shards;
	pthread_t thread, writer, reader;
	int queues[RIG_SHARDS_MAX]; /* our ends */
	atomic_bool is_writing, is_reading;

	_Atomic uint64_t sent;         /* into our queues */
	_Atomic uint64_t budget;       /* at so many, about, the writer waits for more */
	_Atomic uint64_t received;     /* out of them */
	uint64_t seed;                 /* the writer's */
	uint32_t numbers[RIG_FLOWS];   /* the writer's: the last one of each flow */
	uint64_t *arrivals[RIG_FLOWS]; /* the reader's: ns, when each number came; 0: not yet */
	struct metrics metrics;        /* after rig_stop() */
};

struct rig {
	struct rig_side sides[2];
	struct proxy *proxy;
};

/* Both run and are connected. */
struct rig *rig_new(size_t n_alice, size_t n_bob);
/* Stops what still runs, checks the order of all packets, frees. */
void rig_free(struct rig *rig);

void rig_write(struct rig *rig);
/* Writers end; what they wrote is on its way. */
void rig_pause(struct rig *rig);
/* ... and nothing moves any more. */
void rig_settle(struct rig *rig);
/* Close the node, join its threads; `metrics` are its last. Once is enough. */
void rig_stop(struct rig_side *side);

/* On the thread of the node's first shard; returns when it ran. */
void rig_call(struct rig_side *side, void (*run)(struct rig_side *side, void *ctx), void *ctx);
size_t rig_lanes(struct rig_side *side);
bool rig_is_connected(struct rig_side *side);
struct metrics rig_metrics(const struct rig_side *side);

/* Until it holds; fails after RIG_PATIENCE_SEC. */
#define rig_until(condition)                                        \
	for (unsigned rig_waited_ = 0; !(condition); rig_waited_++) \
	rig_wait(rig_waited_, #condition, __FILE__, __LINE__)
void rig_wait(unsigned waited, const char *what, const char *file, int line);
