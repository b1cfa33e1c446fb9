/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * shards.h - the threads of a node's further shards: a loop, a TUN queue and a thread each
 *
 *     shards_open()    loops and queues; nothing runs      before node_new(), which is told of them
 *     shards_run()     threads                             after node_new()
 *     shards_join()    threads have ended                  after the node's on_closed
 *     shards_close()   loops                               after node_free()
 *
 * Each takes any height that the ones before reached. The threads take no signals. Owned by the
 * thread that runs the first shard.
 */
#pragma once

#include <pthread.h>

#include "vpn/config/config.h"
#include "vpn/network/iface.h"
#include "vpn/node/node.h"

enum {
	SHARDS_AUTO_MAX = 8, /* of `shards: 0`: more need more than one NIC queue to pay */
};

struct shards {
	struct node_shard further[NODE_SHARDS_MAX - 1]; /* for struct node_conf */
	pthread_t threads[NODE_SHARDS_MAX - 1];
	size_t n, n_running;
};

/* How many shards the configuration asks for, the first included: `shards`, or the CPUs that this
 * process may use. */
size_t shards_wanted(const struct config *config);

/* A loop and a queue of the device for each but the first of `count`. Errors of loop_uv_new(),
 * iface_open_queue(), loop_adopt_fd(). */
MUST_USE enum err shards_open(struct shards *s, size_t count, struct iface *iface,
			      struct iface_error *why);
/* ERR_AGAIN (no thread can be made now), ERR_NO_MEMORY: those that run already are joined. */
MUST_USE enum err shards_run(struct shards *s);
/* Stop the loops, wait for the threads, run what mail is left on `first` and on theirs. */
void shards_join(struct shards *s, struct loop *first);
/* Also queues that no node took. */
void shards_close(struct shards *s);
