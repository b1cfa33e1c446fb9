/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* daemon.c - see daemon.h */
#include "daemon/daemon.h"

#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/device.h"
#include "daemon/key_hint.h"
#include "daemon/network_watch.h"
#include "daemon/shards.h"
#include "loop/loop_uv.h"
#include "vpn/network/iface.h"
#include "vpn/node/node.h"

#define STOP_TIMEOUT (5 * NSEC_PER_SEC) /* for connections to close; then we go all the same */

/* Owned by main(). */
struct daemon {
	const char *config_path;
	struct config *config;
	struct identity *identity;
	struct loop *loop;
	struct iface *iface;
	struct sock *tun; /* until the node has it */
	struct shards shards;
	struct node *node;
	struct control *control;
	struct sock *signals;
	struct network_watch network;
	bool has_network_watch; /* it is initialised */
	struct loop_timer give_up;
	bool is_stopping;
};

/* --- events -------------------------------------------------------------------------- */

static void stop(void *ctx)
{
	struct daemon *d = ctx;
	if (d->is_stopping)
		return;
	d->is_stopping = true;
	loop_timer_set(&d->give_up, nsec_add(loop_now(d->loop), STOP_TIMEOUT));
	node_close(d->node);
}

static void on_node_closed(void *ctx)
{
	struct daemon *d = ctx;
	loop_stop(d->loop);
}

static void on_give_up(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	log_warn("connections did not close in time", NULL);
	loop_stop(CONTAINER_OF(timer, struct daemon, give_up)->loop);
}

static void on_signal(void *ctx, unsigned ready)
{
	(void)ready;
	struct daemon *d = ctx;
	struct signalfd_siginfo info;
	size_t n;
	while (sock_read(d->signals, &info, sizeof(info), &n) == ERR_OK && n == sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			log_warn("SIGHUP: reload is not supported; restart instead", NULL);
			continue;
		}
		log_info("stopping", "signal=%s", strsignal((int)info.ssi_signo));
		stop(d);
	}
}

/* --- the ladder up ------------------------------------------------------------------- */

static bool load(struct daemon *d)
{
	struct config_errors *errors = calloc(1, sizeof(*errors));
	if (errors == NULL) {
		log_error("out of memory", NULL);
		return false;
	}
	enum err e = config_load(d->config_path, &d->config, errors);
	if (e == ERR_NOT_FOUND)
		fprintf(stderr,
			"%s: does not exist: runnel.yaml(5) shows how to write it, -c FILE names "
			"another\n",
			d->config_path);
	for (size_t i = 0; i < errors->len && e != ERR_NOT_FOUND; i++)
		fprintf(stderr, "%s\n", errors->items[i].text);
	free(errors);
	if (e != ERR_OK)
		return false;
	log_set_level(d->config->log_level);

	e = identity_load(d->config->key, &d->identity);
	if (e == ERR_OK)
		return true;
	char hint[KEY_HINT_MAX];
	log_error("cannot use the key", "file=%s why=\"%s\" hint=\"%s\"", d->config->key,
		  err_text(e), key_hint(e, d->config->key, hint));
	return false;
}

static bool check_congestion(const struct daemon *d)
{
	if (device_has_congestion(d->config))
		return true;
	log_error("cannot use tcp.congestion",
		  "name=%s hint=\"see /proc/sys/net/ipv4/tcp_available_congestion_control\"",
		  d->config->tcp.congestion);
	return false;
}

static bool open_signals(struct daemon *d)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	/* Before threads start: they inherit the mask. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0 || loop_adopt_fd(d->loop, fd, &d->signals) != ERR_OK) {
		if (fd >= 0)
			close(fd);
		log_error("cannot receive signals", NULL);
		return false;
	}
	sock_watch(d->signals, SOCK_READABLE, on_signal, d);
	return true;
}

static const char *device_hint(enum err e)
{
	if (e == ERR_PERMISSION)
		return " hint=\"run as root\"";
	if (e == ERR_BUSY)
		return " hint=\"each node on a machine needs its own interface.name, and listen\"";
	return "";
}

static bool open_device(struct daemon *d)
{
	bool was_there = if_nametoindex(d->config->interface.name) != 0;
	struct iface_error why = {.text = ""};
	size_t queues = shards_wanted(d->config), wanted = queues;
	enum err e = device_up(d->config, &queues, &d->iface, &why);
	if (e != ERR_OK) {
		log_error("cannot set up the network device", "why=\"%s\"%s", why.text,
			  device_hint(e));
		return false;
	}
	if (was_there)
		log_info("the network device was there already: it is used, and stays", "device=%s",
			 d->config->interface.name);
	if (queues < wanted)
		log_info("the network device has one queue: one shard", "wanted=%zu", wanted);
	if (queues > 1 && !iface_is_steered(d->iface))
		log_warn("packets are not spread over the shards: the kernel takes no program for "
			 "it",
			 "hint=\"CAP_BPF, or shards: 1\"");
	e = shards_open(&d->shards, queues, d->iface, &why);
	if (e != ERR_OK) {
		log_error("cannot open the queues of the network device", "why=\"%s\"", why.text);
		return false;
	}
	int fd = iface_steal_fd(d->iface);
	e = loop_adopt_fd(d->loop, fd, &d->tun);
	if (e != ERR_OK) {
		close(fd);
		log_error("cannot watch the network device", "why=\"%s\"", err_text(e));
		return false;
	}
	return true;
}

static void open_network_watch(struct daemon *d)
{
	network_watch_init(&d->network, d->loop, d->node, iface_index(d->iface));
	d->has_network_watch = true;
	enum err e = network_watch_start(&d->network);
	if (e != ERR_OK)
		log_warn("changes of the network are not seen", "why=\"%s\"", err_text(e));
}

static bool open_node(struct daemon *d)
{
	const struct node_conf conf = {
		.loop = d->loop,
		.further = d->shards.further,
		.n_further = d->shards.n,
		.config = d->config,
		.identity = d->identity,
		.tun = d->tun,
		.agent = "runnel/" RUNNEL_VERSION,
		.on_closed = on_node_closed,
		.ctx = d,
	};
	enum err e = node_new(&conf, &d->node);
	if (e != ERR_OK) {
		log_error("cannot start", "why=\"%s\"%s", err_text(e),
			  e == ERR_SELF ? " hint=\"peers: lists this node's own id\"" : "");
		return false;
	}
	d->tun = NULL;
	for (size_t i = 0; i < d->shards.n; i++)
		d->shards.further[i].tun = NULL;
	e = shards_run(&d->shards);
	if (e == ERR_OK)
		return true;
	log_error("cannot start a thread", "why=\"%s\"", err_text(e));
	d->node = node_free(d->node); /* nothing of it has begun */
	return false;
}

static bool open_control(struct daemon *d)
{
	enum err e = control_new(d->loop, d->config->control, d->node, stop, d, &d->control);
	if (e == ERR_OK)
		return true;
	log_error("cannot open the control socket", "path=%s why=\"%s\"", d->config->control,
		  e == ERR_BUSY
			  ? "another runnel is running and listens there: end it, or give this one "
			    "its own interface.name or control"
			  : err_text(e));
	return false;
}

static const char *listen_hint(enum err e)
{
	if (e == ERR_ADDRESS_IN_USE)
		return " hint=\"another program listens there (ss -ltnp shows which): end it, or "
		       "choose another port in listen\"";
	if (e == ERR_NO_ADDRESS)
		return " hint=\"put one that ip addr shows into listen, or 0.0.0.0 for all\"";
	if (e == ERR_PERMISSION)
		return " hint=\"run as root, or choose a port above 1023 in listen\"";
	return "";
}

static bool start_node(struct daemon *d)
{
	size_t bad = 0;
	enum err e = node_start(d->node, &bad);
	if (e == ERR_OK)
		return true;
	char text[MULTIADDR_TEXT_MAX] = "";
	if (bad < d->config->listen.len)
		multiaddr_format(&d->config->listen.items[bad], text);
	log_error("cannot listen", "addr=%s why=\"%s\"%s", text,
		  e == ERR_NO_ADDRESS ? "not an address of this machine" : err_text(e),
		  listen_hint(e));
	return false;
}

/* All addresses, with commas between them. */
static void format_listen(const struct node *node, char *buf, size_t cap)
{
	struct multiaddr addrs[16];
	size_t n = node_listen_addrs(node, addrs, ARRAY_LEN(addrs)), len = 0;
	snprintf(buf, cap, "-");
	for (size_t i = 0; i < n && len < cap; i++) {
		char text[MULTIADDR_TEXT_MAX];
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", i > 0 ? "," : "",
					multiaddr_format(&addrs[i], text));
	}
}

static void announce(const struct daemon *d)
{
	char id[PEER_ID_TEXT_MAX];
	char text[512] = "";
	format_listen(d->node, text, sizeof(text));
	log_info("up", "version=%s peer_id=%s device=%s listen=%s peers=%zu shards=%zu",
		 RUNNEL_VERSION, peer_id_format(identity_peer_id(d->identity), id),
		 iface_name(d->iface), text, node_peer_count(d->node), 1 + d->shards.n);
}

static bool climb(struct daemon *d)
{
	if (!load(d))
		return false;
	enum err e = loop_uv_new(&d->loop);
	if (e != ERR_OK) {
		log_error("no event loop", "why=\"%s\"", err_text(e));
		return false;
	}
	loop_timer_init(&d->give_up, d->loop, on_give_up);
	if (!check_congestion(d) || !open_signals(d) || !open_device(d) || !open_node(d) ||
	    !open_control(d) || !start_node(d))
		return false;
	open_network_watch(d);
	announce(d);
	return true;
}

/* --- the ladder down: takes any height ----------------------------------------------- */

static void descend(struct daemon *d)
{
	if (d->loop != NULL)
		loop_timer_stop(&d->give_up);
	d->control = control_free(d->control);
	if (d->has_network_watch)
		network_watch_stop(&d->network);
	d->signals = sock_close(d->signals, false);
	shards_join(&d->shards, d->loop);
	d->node = node_free(d->node);
	shards_close(&d->shards);
	d->tun = sock_close(d->tun, false);
	d->iface = iface_down(d->iface);
	d->loop = loop_free(d->loop);
	d->identity = identity_free(d->identity);
	d->config = config_free(d->config);
}

int daemon_run(const char *config_path)
{
	struct daemon d = {.config_path = config_path};
	int code = EXIT_FAILURE;
	if (climb(&d)) {
		enum err e = loop_run(d.loop);
		if (e == ERR_OK)
			code = EXIT_SUCCESS;
		else
			log_error("the event loop failed", "why=\"%s\"", err_text(e));
	} else if (d.node != NULL) {
		/* Connections may be on their way: close them in the loop's own time. */
		stop(&d);
		if (loop_run(d.loop) != ERR_OK)
			log_error("the event loop failed", NULL);
	}
	descend(&d);
	if (code == EXIT_SUCCESS)
		log_info("down", NULL);
	return code;
}
