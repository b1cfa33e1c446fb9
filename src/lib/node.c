/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* node.c - the calls of runnel/node.h on a node; what its thread does is in embed.c */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/util.h"
#include "daemon/device.h"
#include "daemon/key_hint.h"
#include "daemon/status.h"
#include "lib/embed.h"
#include "lib/err.h"
#include "lib/identity.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "lib/values.h"

enum {
	LISTEN_ADDRS_MAX = 64, /* as many as a configuration may list */
};

/* --- what is wrong, in words --------------------------------------------------------- */

/* The caller's buffer; `at` never passes its end. */
struct say {
	char *buf;
	size_t cap, at;
};

static struct say say_into(char *buf, size_t cap)
{
	if (cap > 0)
		buf[0] = '\0';
	return (struct say){.buf = buf, .cap = cap};
}

static void say_line(struct say *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One more line; none ends in a newline. */
static void say_line(struct say *s, const char *fmt, ...)
{
	if (s->cap == 0)
		return;
	if (s->at > 0 && s->at + 1 < s->cap)
		s->buf[s->at++] = '\n';
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(s->buf + s->at, s->cap - s->at, fmt, ap);
	va_end(ap);
	s->at = MIN(s->at + (size_t)MAX(n, 0), s->cap - 1);
}

/* --- new ----------------------------------------------------------------------------- */

static enum err read_config(const struct runnel_node_conf *conf, struct config **ret_config,
			    struct say *say)
{
	struct config_errors *errors = calloc(1, sizeof(*errors));
	if (errors == NULL)
		return ERR_NO_MEMORY;
	enum err e = conf->config_path != NULL ? config_load(conf->config_path, ret_config, errors)
					       : config_parse(span_str(conf->config_text),
							      "config_text", ret_config, errors);
	if (e != ERR_OK) {
		for (size_t i = 0; i < errors->len; i++)
			say_line(say, "%s", errors->items[i].text);
		if (errors->omitted > 0)
			say_line(say, "and %zu more", errors->omitted);
		/* What has a place is a fault of the text, whichever came first. */
		if (errors->len > 0 && errors->items[errors->len - 1].line > 0)
			e = ERR_MALFORMED;
	}
	free(errors);
	return e;
}

static enum err load_identity(struct runnel_node *n, struct say *say)
{
	if (n->conf.identity != NULL) {
		n->identity = n->conf.identity->key;
		return ERR_OK;
	}
	struct identity *key;
	enum err e = identity_load(n->config->key, &key);
	if (e != ERR_OK) {
		char hint[KEY_HINT_MAX];
		say_line(say, "cannot use the key %s: %s (%s)", n->config->key, err_text(e),
			 key_hint(e, n->config->key, hint));
		return e;
	}
	n->own_identity = key;
	n->identity = key;
	return ERR_OK;
}

static enum err check(const struct runnel_node *n, struct say *say)
{
	const struct config *config = n->config;
	for (size_t i = 0; i < config->peers.len; i++) {
		if (peer_id_equal(&config->peers.items[i].id, identity_peer_id(n->identity))) {
			say_line(say, "peers: lists this node's own id");
			return ERR_SELF;
		}
	}
	if (!device_has_congestion(config)) {
		say_line(say, "tcp.congestion: the kernel does not have '%s'",
			 config->tcp.congestion);
		return ERR_UNSUPPORTED;
	}
	return ERR_OK;
}

static enum err make(struct runnel_node *n, const struct runnel_node_conf *conf, struct say *say)
{
	if ((conf->config_path == NULL) == (conf->config_text == NULL)) {
		say_line(say, "conf: one of config_path and config_text is needed, not both");
		return ERR_MALFORMED;
	}
	if ((unsigned)conf->tun > RUNNEL_NO_TUN) {
		say_line(say, "conf: tun is none of enum runnel_tun");
		return ERR_MALFORMED;
	}
	enum err e = read_config(conf, &n->config, say);
	if (e == ERR_OK)
		e = load_identity(n, say);
	if (e == ERR_OK)
		e = check(n, say);
	if (e == ERR_OK && conf->tun == RUNNEL_NO_TUN)
		e = port_make(&n->port);
	return e;
}

enum runnel_err runnel_node_new(const struct runnel_node_conf *conf, struct runnel_node **ret_node,
				char *errbuf, size_t errbuf_len)
{
	lib_log_init();
	struct say say = say_into(errbuf, errbuf_len);
	struct runnel_node *n = calloc(1, sizeof(*n));
	if (n == NULL) {
		say_line(&say, "%s", err_text(ERR_NO_MEMORY));
		return RUNNEL_ERR_NO_MEMORY;
	}
	n->conf = *conf;
	n->conf.config_path = n->conf.config_text = NULL;
	pthread_mutex_init(&n->mutex, NULL);
	pthread_cond_init(&n->changed, NULL);
	mailbox_init(&n->mailbox);
	port_init(&n->port, conf->on_packet, conf->ctx);
	enum err e = make(n, conf, &say);
	if (e != ERR_OK) {
		if (say.at == 0)
			say_line(&say, "%s", err_text(e));
		runnel_node_free(n);
		return lib_err(e);
	}
	*ret_node = n;
	return RUNNEL_ERR_OK;
}

/* --- start, stop, free --------------------------------------------------------------- */

static void join(struct runnel_node *n)
{
	if (n->has_thread)
		pthread_join(n->thread, NULL);
	n->has_thread = false;
}

/* Returns the state that follows. */
static enum embed_state wait_while(struct runnel_node *n, enum embed_state state)
{
	pthread_mutex_lock(&n->mutex);
	while (n->state == state)
		pthread_cond_wait(&n->changed, &n->mutex);
	enum embed_state next = n->state;
	pthread_mutex_unlock(&n->mutex);
	return next;
}

enum runnel_err runnel_node_start(struct runnel_node *node, char *errbuf, size_t errbuf_len)
{
	struct say say = say_into(errbuf, errbuf_len);
	if (embed_is_here(node) || node->state != EMBED_NEW) {
		say_line(&say, "a node starts once");
		return RUNNEL_ERR_BAD_STATE;
	}
	node->state = EMBED_STARTING;
	int errnum = lib_thread_create(&node->thread, embed_run, node);
	if (errnum != 0) {
		say_line(&say, "cannot make a thread");
		embed_become(node, EMBED_NEW, err_from_errno(errnum));
		return lib_err(node->start_err);
	}
	node->has_thread = true;
	if (wait_while(node, EMBED_STARTING) != EMBED_NEW)
		return RUNNEL_ERR_OK;
	join(node);
	say_line(&say, "%s", node->why);
	return lib_err(node->start_err);
}

struct stop_request {
	struct mailbox_request base;
	struct runnel_node *node;
	nsec_t timeout;
};

static void run_stop(struct mailbox_request *base)
{
	struct stop_request *r = CONTAINER_OF(base, struct stop_request, base);
	embed_close(r->node, r->timeout);
}

enum runnel_err runnel_node_stop(struct runnel_node *node, runnel_nsec timeout)
{
	if (embed_is_here(node))
		return RUNNEL_ERR_BAD_STATE;
	if (wait_while(node, EMBED_STARTING) != EMBED_RUNNING)
		return RUNNEL_ERR_OK;
	struct stop_request r = {.base.run = run_stop, .node = node, .timeout = timeout};
	enum err e = mailbox_ask(&node->mailbox, &r.base);
	(void)e; /* closed: somebody else has stopped it */
	wait_while(node, EMBED_RUNNING);
	return node->was_cut ? RUNNEL_ERR_TIMEOUT : RUNNEL_ERR_OK;
}

struct runnel_node *runnel_node_free(struct runnel_node *node)
{
	if (node == NULL)
		return NULL;
	assert(!embed_is_here(node));
	runnel_node_stop(node, EMBED_GRACE);
	join(node);
	port_deinit(&node->port);
	mailbox_deinit(&node->mailbox);
	pthread_cond_destroy(&node->changed);
	pthread_mutex_destroy(&node->mutex);
	identity_free(node->own_identity);
	config_free(node->config);
	free(node);
	return NULL;
}

/* --- at work ------------------------------------------------------------------------- */

enum runnel_err runnel_node_send(struct runnel_node *node, const void *packet, size_t len)
{
	if (node->conf.tun != RUNNEL_NO_TUN)
		return RUNNEL_ERR_UNSUPPORTED;
	if (len == 0)
		return RUNNEL_ERR_MALFORMED;
	if (len > node->config->interface.mtu)
		return RUNNEL_ERR_TOO_LONG;
	if (node->state != EMBED_RUNNING)
		return RUNNEL_ERR_CLOSED;
	return lib_err(port_send(&node->port, packet, len));
}

void runnel_node_peer_id(const struct runnel_node *node, struct runnel_peer_id *ret_id)
{
	values_put_peer_id(identity_peer_id(node->identity), ret_id);
}

/* Here and now where this is the node's thread, else by its mailbox. */
static enum err run_there(struct runnel_node *node, struct mailbox_request *request)
{
	if (!embed_is_here(node))
		return mailbox_ask(&node->mailbox, request);
	request->run(request);
	return ERR_OK;
}

struct status_request {
	struct mailbox_request base;
	struct runnel_node *node;
	char *text; /* NULL: out of memory */
};

/* From malloc(), whatever allocator jansson was given. */
static char *dump(const json_t *json)
{
	size_t len = json != NULL ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
	char *text = len > 0 ? malloc(len + 1) : NULL;
	if (text != NULL && json_dumpb(json, text, len, JSON_COMPACT) == len)
		text[len] = '\0';
	return text;
}

static void run_status(struct mailbox_request *base)
{
	struct status_request *r = CONTAINER_OF(base, struct status_request, base);
	json_t *json = status_json(r->node->node);
	r->text = dump(json);
	json_decref(json);
}

enum runnel_err runnel_node_status_json(struct runnel_node *node, char **ret_text)
{
	struct status_request r = {.base.run = run_status, .node = node};
	enum err e = run_there(node, &r.base);
	if (e == ERR_OK && r.text == NULL)
		e = ERR_NO_MEMORY;
	if (e == ERR_OK)
		*ret_text = r.text;
	return lib_err(e);
}

struct listen_request {
	struct mailbox_request base;
	struct runnel_node *node;
	struct multiaddr *addrs;
	size_t n;
};

static void run_listen(struct mailbox_request *base)
{
	struct listen_request *r = CONTAINER_OF(base, struct listen_request, base);
	r->n = node_listen_addrs(r->node->node, r->addrs, LISTEN_ADDRS_MAX);
}

enum runnel_err runnel_node_listen_addrs(struct runnel_node *node, struct runnel_addr *ret_addrs,
					 size_t cap, size_t *ret_n)
{
	struct multiaddr *addrs = calloc(LISTEN_ADDRS_MAX, sizeof(*addrs));
	if (addrs == NULL)
		return RUNNEL_ERR_NO_MEMORY;
	struct listen_request r = {.base.run = run_listen, .node = node, .addrs = addrs};
	enum err e = run_there(node, &r.base);
	if (e == ERR_OK) {
		char text[MULTIADDR_TEXT_MAX];
		*ret_n = MIN(cap, r.n);
		for (size_t i = 0; i < *ret_n; i++)
			snprintf(ret_addrs[i].multiaddr, sizeof(ret_addrs[i].multiaddr), "%s",
				 multiaddr_format(&addrs[i], text));
	}
	free(addrs);
	return lib_err(e);
}
