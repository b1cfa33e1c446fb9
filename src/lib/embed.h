/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * embed.h - a node on a thread of its own
 *
 * The thread climbs a ladder as the daemon does: loop, device, node, listeners, mailbox; each step
 * that fails undoes those before it. Then its loop turns until it is asked to stop, and the ladder
 * is climbed down. Other threads reach it by the mailbox and, for packets, by the port.
 *
 *     state      thread   leaves when
 *     NEW        no       runnel_node_start()
 *     STARTING   yes      it listens: RUNNING; it cannot: all is undone, NEW
 *     RUNNING    yes      it was asked to stop, and all connections are closed or cut: ENDED
 *     ENDED      gone, or about to return; never leaves
 *
 * The mailbox is open while RUNNING and at no other time but the moments just before and after.
 */
#pragma once

#include <stdatomic.h>

#include <runnel/node.h>

#include "crypto/key.h"
#include "daemon/network_watch.h"
#include "daemon/shards.h"
#include "lib/mailbox.h"
#include "lib/port.h"
#include "vpn/config/config.h"
#include "vpn/network/iface.h"
#include "vpn/node/node.h"

/* For connections of a node that nobody gave time to, so that their ends hear of it. */
#define EMBED_GRACE NSEC_PER_SEC

enum embed_state {
	EMBED_NEW,
	EMBED_STARTING,
	EMBED_RUNNING,
	EMBED_ENDED,
};

enum {
	EMBED_WHY_LEN = MULTIADDR_TEXT_MAX + 512, /* bytes of the longest sentence, with its zero */
};

struct runnel_node {
	/* Written by runnel_node_new(), then only read. */
	struct runnel_node_conf conf; /* without the configuration's path and text */
	struct config *config;
	struct identity *own_identity; /* NULL: the caller's is used */
	const struct identity *identity;
	struct mailbox mailbox;
	struct port port; /* of RUNNEL_NO_TUN */

	/* Written under the mutex; `state` is read without it where a packet is sent. */
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* state */
	_Atomic enum embed_state state;
	enum err start_err; /* of the last start, where it is NEW again; `why` in words */
	char why[EMBED_WHY_LEN];
	bool was_cut; /* connections did not close in time */

	/* Of whoever calls start and free. */
	pthread_t thread;
	bool has_thread; /* to be joined */

	/* Of the node's thread. */
	struct loop *loop;
	struct iface *iface;
	struct shards shards; /* beside the first: with a device of our own only */
	struct sock *tun;     /* until the node has it */
	struct node *node;
	struct network_watch network;
	bool has_network_watch; /* it is initialised */
	struct loop_timer give_up;
	bool is_stopping;
};

/* The thread: its argument is the node, in STARTING. */
void *embed_run(void *node);
/* The state changes, and those that wait for that hear of it. Any thread. */
void embed_become(struct runnel_node *n, enum embed_state state, enum err start_err);
/* Is this the node's own thread? */
bool embed_is_here(const struct runnel_node *n);
/* Close all; the thread ends when that is done, or `timeout` from now. Asking again can only make
 * it sooner. On the node's thread. */
void embed_close(struct runnel_node *n, nsec_t timeout);
