/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* embed.c - what a node's thread does; see embed.h */
#include "lib/embed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/device.h"
#include "daemon/shards.h"
#include "lib/values.h"
#include "loop/loop_uv.h"

/* The node whose thread this is; NULL on others. */
static _Thread_local const struct runnel_node *here;

bool embed_is_here(const struct runnel_node *n)
{
	return here == n;
}

/* --- events -------------------------------------------------------------------------- */

static void on_closed(void *ctx)
{
	struct runnel_node *n = ctx;
	loop_stop(n->loop);
}

static void on_give_up(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct runnel_node *n = CONTAINER_OF(timer, struct runnel_node, give_up);
	log_warn("connections did not close in time", NULL);
	n->was_cut = true;
	loop_stop(n->loop);
}

static void on_peer(void *ctx, const struct peer_id *id, bool is_connected)
{
	struct runnel_node *n = ctx;
	struct runnel_peer_id public_id;
	if (n->conf.on_peer == NULL)
		return;
	values_put_peer_id(id, &public_id);
	n->conf.on_peer(n->conf.ctx, &public_id, is_connected);
}

void embed_close(struct runnel_node *n, nsec_t timeout)
{
	nsec_t at = nsec_add(loop_now(n->loop), timeout);
	loop_timer_set(&n->give_up, nsec_min(at, n->give_up.at));
	if (n->is_stopping)
		return;
	n->is_stopping = true;
	node_close(n->node);
}

/* --- the ladder up ------------------------------------------------------------------- */

static enum err fail(struct runnel_node *n, enum err e, const char *what)
{
	snprintf(n->why, sizeof(n->why), "%s: %s", what, err_text(e));
	return e;
}

/* Takes fd. */
static enum err adopt_tun(struct runnel_node *n, int fd)
{
	enum err e = loop_adopt_fd(n->loop, fd, &n->tun);
	if (e == ERR_OK)
		return e;
	close(fd);
	return fail(n, e, "cannot watch the network device");
}

static enum err make_device(struct runnel_node *n)
{
	struct iface_error why = {.text = ""};
	size_t queues = shards_wanted(n->config);
	enum err e = device_up(n->config, &queues, &n->iface, &why);
	if (e == ERR_OK)
		e = shards_open(&n->shards, queues, n->iface, &why);
	if (e != ERR_OK) {
		snprintf(n->why, sizeof(n->why), "cannot set up the network device: %s", why.text);
		return e;
	}
	return adopt_tun(n, iface_steal_fd(n->iface));
}

static enum err use_device(struct runnel_node *n)
{
	int fd = fcntl(n->conf.tun_fd, F_DUPFD_CLOEXEC, 0);
	int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		enum err e = err_from_errno(errno);
		if (fd >= 0)
			close(fd);
		return fail(n, e, "cannot use tun_fd");
	}
	return adopt_tun(n, fd);
}

static enum err open_tun(struct runnel_node *n)
{
	if (n->conf.tun == RUNNEL_TUN)
		return make_device(n);
	if (n->conf.tun == RUNNEL_TUN_FD)
		return use_device(n);
	enum err e = port_open(&n->port, n->loop, &n->tun);
	return e == ERR_OK ? e : fail(n, e, "cannot open the packets' sockets");
}

static enum err open_node(struct runnel_node *n)
{
	const struct node_conf conf = {
		.loop = n->loop,
		.further = n->shards.further,
		.n_further = n->shards.n,
		.config = n->config,
		.identity = n->identity,
		.tun = n->tun,
		.agent = "runnel/" RUNNEL_VERSION,
		.on_closed = on_closed,
		.on_peer = on_peer,
		.ctx = n,
	};
	enum err e = node_new(&conf, &n->node);
	if (e != ERR_OK)
		return fail(n, e, "cannot make the node");
	n->tun = NULL;
	for (size_t i = 0; i < n->shards.n; i++)
		n->shards.further[i].tun = NULL;
	e = shards_run(&n->shards);
	if (e == ERR_OK)
		return e;
	n->node = node_free(n->node); /* nothing of it has begun */
	return fail(n, e, "cannot start a thread");
}

static enum err start_node(struct runnel_node *n)
{
	size_t bad = 0;
	enum err e = node_start(n->node, &bad);
	if (e == ERR_OK)
		return e;
	char addr[MULTIADDR_TEXT_MAX] = "", what[MULTIADDR_TEXT_MAX + 32];
	if (bad < n->config->listen.len)
		multiaddr_format(&n->config->listen.items[bad], addr);
	snprintf(what, sizeof(what), "cannot listen on %s", addr);
	return fail(n, e, addr[0] != '\0' ? what : "cannot start the node");
}

static void open_network_watch(struct runnel_node *n)
{
	network_watch_init(&n->network, n->loop, n->node,
			   n->iface != NULL ? iface_index(n->iface) : 0);
	n->has_network_watch = true;
	enum err e = network_watch_start(&n->network);
	if (e != ERR_OK)
		log_warn("changes of the network are not seen", "why=\"%s\"", err_text(e));
}

static enum err climb(struct runnel_node *n)
{
	enum err e = loop_uv_new(&n->loop);
	if (e != ERR_OK)
		return fail(n, e, "no event loop");
	loop_timer_init(&n->give_up, n->loop, on_give_up);
	e = open_tun(n);
	if (e == ERR_OK)
		e = open_node(n);
	if (e == ERR_OK)
		e = start_node(n);
	if (e != ERR_OK)
		return e;
	open_network_watch(n);
	e = mailbox_open(&n->mailbox, n->loop);
	return e == ERR_OK ? e : fail(n, e, "no mailbox");
}

/* --- the ladder down: takes any height ----------------------------------------------- */

static void descend(struct runnel_node *n)
{
	mailbox_close(&n->mailbox);
	if (n->has_network_watch)
		network_watch_stop(&n->network);
	n->has_network_watch = false;
	if (n->loop != NULL)
		loop_timer_stop(&n->give_up);
	shards_join(&n->shards, n->loop);
	n->node = node_free(n->node);
	shards_close(&n->shards);
	n->tun = sock_close(n->tun, false);
	port_close(&n->port);
	n->iface = iface_down(n->iface);
	n->loop = loop_free(n->loop);
	n->is_stopping = false;
}

void embed_become(struct runnel_node *n, enum embed_state state, enum err start_err)
{
	pthread_mutex_lock(&n->mutex);
	n->start_err = start_err;
	n->state = state;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->mutex);
}

void *embed_run(void *arg)
{
	struct runnel_node *n = arg;
	here = n;
	n->was_cut = false;
	enum err e = climb(n);
	if (e == ERR_OK)
		embed_become(n, EMBED_RUNNING, ERR_OK);
	else if (n->node != NULL)
		embed_close(n, EMBED_GRACE); /* connections may be on their way */
	if (n->node != NULL) {
		enum err run_err = loop_run(n->loop);
		if (run_err != ERR_OK)
			log_error("the event loop failed", "why=\"%s\"", err_text(run_err));
	}
	descend(n);
	embed_become(n, e == ERR_OK ? EMBED_ENDED : EMBED_NEW, e);
	return NULL;
}
