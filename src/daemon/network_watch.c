/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* network_watch.c - see network_watch.h */
#include "daemon/network_watch.h"

#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define NETWORK_SETTLES (200 * NSEC_PER_MSEC) /* a change comes in several messages: act once */

static void on_news(void *ctx, unsigned ready)
{
	(void)ready;
	struct network_watch *w = ctx;
	unsigned change = 0;
	for (;;) {
		size_t n;
		enum err e = sock_read(w->sock, w->buf, sizeof(w->buf), &n);
		if (e == ERR_OK)
			change |= netlink_monitor_parse(&w->monitor, span_of(w->buf, n));
		else if (e == ERR_NO_MEMORY)
			change |= NETWORK_CHANGE_LOST;
		else
			break;
	}
	if (change != 0)
		loop_timer_set(&w->settled, nsec_add(loop_now(w->loop), NETWORK_SETTLES));
}

static void on_settled(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct network_watch *w = CONTAINER_OF(timer, struct network_watch, settled);
	log_debug("the network changed", "action=%s", "ask and dial all peers");
	node_network_changed(w->node);
}

void network_watch_init(struct network_watch *w, struct loop *loop, struct node *node,
			unsigned own_index)
{
	w->node = node;
	w->loop = loop;
	w->sock = NULL;
	netlink_monitor_init(&w->monitor, own_index);
	loop_timer_init(&w->settled, loop, on_settled);
}

enum err network_watch_start(struct network_watch *w)
{
	struct iface_error why;
	int fd;
	enum err e = netlink_monitor_open(&fd, &why);
	if (e != ERR_OK)
		return e;
	e = loop_adopt_fd(w->loop, fd, &w->sock);
	if (e != ERR_OK) {
		close(fd);
		return e;
	}
	sock_watch(w->sock, SOCK_READABLE, on_news, w);
	return ERR_OK;
}

void network_watch_stop(struct network_watch *w)
{
	loop_timer_stop(&w->settled);
	w->sock = sock_close(w->sock, false);
}
