/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* control.c - the server's side of control.h */
#include "daemon/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>
#include <utlist.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/status.h"
#include "p2p/protocol/ping.h"

#define ACCEPT_PAUSE NSEC_PER_SEC /* out of descriptors: try again after so long */

struct client {
	struct client *prev, *next;
	struct control *control;
	struct sock *sock;
	struct loop_timer deadline;
	struct ping *ping; /* its answer is waited for; NULL: none */
	size_t request_len;
	char *answer; /* NULL: not yet */
	size_t answer_len, answer_sent;
	bool is_last_words; /* stop: closes when the daemon ends */
	char request[CONTROL_REQUEST_LEN_MAX];
};

struct control {
	struct loop *loop;
	struct node *node;
	void (*stop)(void *ctx);
	void *ctx;
	int fd; /* the listener's, owned by `sock` */
	struct sock *sock;
	struct client *clients;
	size_t n_clients;
	struct loop_timer pause; /* out of descriptors */
	struct sockaddr_un at;
};

/* --- a conversation ------------------------------------------------------------------ */

static void client_free(struct client *c)
{
	if (c->ping != NULL)
		ping_cancel(c->ping);
	loop_timer_stop(&c->deadline);
	sock_close(c->sock, false);
	DL_DELETE(c->control->clients, c);
	c->control->n_clients--;
	free(c->answer);
	free(c);
}

static void on_ready(void *ctx, unsigned ready);

static void send_answer(struct client *c)
{
	while (c->answer_sent < c->answer_len) {
		struct iovec iov = {.iov_base = c->answer + c->answer_sent,
				    .iov_len = c->answer_len - c->answer_sent};
		size_t n;
		enum err e = sock_writev(c->sock, &iov, 1, &n);
		if (e == ERR_AGAIN) {
			sock_watch(c->sock, SOCK_WRITABLE, on_ready, c);
			return;
		}
		if (e != ERR_OK)
			break;
		c->answer_sent += n;
	}
	client_free(c);
}

/* Takes the reference to `json`. */
static void answer(struct client *c, json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	size_t len = text != NULL ? strlen(text) : 0;
	c->answer = malloc(len + 1);
	if (text == NULL || c->answer == NULL) {
		free(text);
		client_free(c);
		return;
	}
	memcpy(c->answer, text, len);
	c->answer[len] = '\n';
	c->answer_len = len + 1;
	free(text);
	send_answer(c);
}

static void refuse(struct client *c, enum err e, const char *message)
{
	answer(c, json_pack("{s:s, s:s}", "error", err_name(e), "message", message));
}

static void on_pong(void *ctx, enum err result, nsec_t rtt)
{
	struct client *c = ctx;
	c->ping = NULL;
	if (result == ERR_OK)
		answer(c, json_pack("{s:I}", "rtt_us", (json_int_t)(rtt / NSEC_PER_USEC)));
	else
		refuse(c, result, err_text(result));
}

static void ping(struct client *c, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "peer"));
	size_t index = name != NULL ? node_find_peer(c->control->node, name) : SIZE_MAX;
	if (index == SIZE_MAX) {
		refuse(c, ERR_NOT_FOUND,
		       "no peer of this name or Peer ID in the configuration: "
		       "runnel status lists them");
		return;
	}
	enum err e = node_ping(c->control->node, index, on_pong, c, &c->ping);
	if (e == ERR_UNREACHABLE)
		refuse(c, e, "the peer is not connected: runnel status says why");
	else if (e != ERR_OK)
		refuse(c, e, err_text(e));
}

/* Nodes in several network namespaces share /run: is it this one that is meant? */
static bool is_meant(const struct client *c, const json_t *request)
{
	char id[PEER_ID_TEXT_MAX];
	const char *node = json_string_value(json_object_get(request, "node"));
	return node == NULL ||
	       strcmp(node,
		      peer_id_format(identity_peer_id(node_identity(c->control->node)), id)) == 0;
}

static void obey(struct client *c)
{
	json_error_t error;
	json_t *request = json_loadb(c->request, c->request_len, JSON_REJECT_DUPLICATES, &error);
	const char *cmd = json_string_value(json_object_get(request, "cmd"));
	if (cmd == NULL) {
		refuse(c, ERR_MALFORMED, "a request is an object with a member \"cmd\"");
	} else if (!is_meant(c, request)) {
		refuse(c, ERR_WRONG_PEER,
		       "the node that answers has another key than this configuration: give each "
		       "node its own interface.name or control; -s SOCKET reaches it all the same");
	} else if (strcmp(cmd, "status") == 0) {
		answer(c, status_json(c->control->node));
	} else if (strcmp(cmd, "ping") == 0) {
		ping(c, request);
	} else if (strcmp(cmd, "stop") == 0) {
		c->is_last_words = true;
		loop_timer_stop(&c->deadline);
		c->control->stop(c->control->ctx);
	} else {
		refuse(c, ERR_UNSUPPORTED, "no such command");
	}
	json_decref(request);
}

static void read_request(struct client *c)
{
	size_t n;
	enum err e = sock_read(c->sock, c->request + c->request_len,
			       sizeof(c->request) - c->request_len, &n);
	if (e == ERR_AGAIN)
		return;
	if (e != ERR_OK || c->is_last_words) {
		client_free(c);
		return;
	}
	c->request_len += n;
	const char *end = memchr(c->request, '\n', c->request_len);
	if (end != NULL) {
		c->request_len = (size_t)(end - c->request); /* what follows is not asked */
		sock_watch(c->sock, 0, NULL, NULL);
		obey(c);
	} else if (c->request_len == sizeof(c->request)) {
		refuse(c, ERR_TOO_LONG, "a request has at most 4096 bytes");
	}
}

static void on_ready(void *ctx, unsigned ready)
{
	struct client *c = ctx;
	if (ready & SOCK_WRITABLE)
		send_answer(c);
	else
		read_request(c);
}

static void on_deadline(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	client_free(CONTAINER_OF(timer, struct client, deadline));
}

/* --- the door ------------------------------------------------------------------------ */

static bool may_speak(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return false;
	return who.uid == 0 || who.uid == geteuid();
}

static void admit(struct control *ctl, int fd)
{
	struct client *c = NULL;
	if (may_speak(fd) && ctl->n_clients < CONTROL_CLIENTS_MAX)
		c = calloc(1, sizeof(*c));
	if (c == NULL || loop_adopt_fd(ctl->loop, fd, &c->sock) != ERR_OK) {
		free(c);
		close(fd);
		return;
	}
	c->control = ctl;
	DL_APPEND(ctl->clients, c);
	ctl->n_clients++;
	loop_timer_init(&c->deadline, ctl->loop, on_deadline);
	loop_timer_set(&c->deadline, nsec_add(loop_now(ctl->loop), CONTROL_TIMEOUT));
	sock_watch(c->sock, SOCK_READABLE, on_ready, c);
}

static void on_knock(void *ctx, unsigned ready)
{
	(void)ready;
	struct control *ctl = ctx;
	int fd = accept4(ctl->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		admit(ctl, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* The listener stays readable: without a pause we would spin. */
		sock_watch(ctl->sock, 0, NULL, NULL);
		loop_timer_set(&ctl->pause, nsec_add(loop_now(ctl->loop), ACCEPT_PAUSE));
	}
}

static void on_pause(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct control *ctl = CONTAINER_OF(timer, struct control, pause);
	sock_watch(ctl->sock, SOCK_READABLE, on_knock, ctl);
}

/* Does a daemon listen there? */
static bool is_answered(const struct sockaddr_un *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool answered = connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0;
	close(fd);
	return answered;
}

static enum err make_directory(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	snprintf(dir, sizeof(dir), "%s", path);
	char *slash = strrchr(dir, '/');
	if (slash == NULL || slash == dir)
		return ERR_OK;
	*slash = '\0';
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_from_errno(errno);
	return ERR_OK;
}

static enum err open_listener(struct sockaddr_un *at, int *ret_fd)
{
	enum err e = make_directory(at->sun_path);
	if (e != ERR_OK)
		return e;
	if (is_answered(at))
		return ERR_BUSY;
	/* Nobody answers: a file that is left is a killed predecessor's. Anything but a socket is
	 * not ours. */
	struct stat st;
	if (lstat(at->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(at->sun_path);

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(errno);
	mode_t mask = umask(0177);
	int bound = bind(fd, (const struct sockaddr *)at, sizeof(*at));
	int errnum = errno;
	umask(mask);
	if (bound < 0 || listen(fd, CONTROL_CLIENTS_MAX) < 0) {
		e = err_from_errno(bound < 0 ? errnum : errno);
		close(fd);
		return e;
	}
	*ret_fd = fd;
	return ERR_OK;
}

enum err control_new(struct loop *loop, const char *path, struct node *node,
		     void (*stop)(void *ctx), void *ctx, struct control **ret_control)
{
	struct control *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return ERR_NO_MEMORY;
	c->loop = loop;
	c->node = node;
	c->stop = stop;
	c->ctx = ctx;
	c->at.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(c->at.sun_path)) {
		free(c);
		return ERR_TOO_LONG;
	}
	memcpy(c->at.sun_path, path, strlen(path));
	enum err e = open_listener(&c->at, &c->fd);
	if (e == ERR_OK) {
		e = loop_adopt_fd(loop, c->fd, &c->sock);
		if (e != ERR_OK) {
			close(c->fd);
			unlink(path);
		}
	}
	if (e != ERR_OK) {
		free(c);
		return e;
	}
	loop_timer_init(&c->pause, loop, on_pause);
	sock_watch(c->sock, SOCK_READABLE, on_knock, c);
	*ret_control = c;
	return ERR_OK;
}

struct control *control_free(struct control *c)
{
	if (c == NULL)
		return NULL;
	struct client *client, *tmp;
	DL_FOREACH_SAFE (c->clients, client, tmp)
		client_free(client);
	loop_timer_stop(&c->pause);
	sock_close(c->sock, false);
	unlink(c->at.sun_path);
	free(c);
	return NULL;
}
