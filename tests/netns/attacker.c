/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * attacker.c - a peer that is known and means harm: our own Noise, and behind it whatever the test
 * says
 *
 *     attacker KEY IP PORT pipe                  plaintext of the secured connection: what comes on
 *                                                stdin is sealed and sent, what arrives is opened
 *                                                and written to stdout. Who does not read stdout
 *                                                stops reading the connection.
 *     attacker KEY IP PORT churn STAGE N IP1 K   make and drop N connections, from K addresses that
 *                                                count up from IP1; STAGE is tcp, select, noise or
 *                                                open. Refused ones do not count.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/util.h"
#include "loop/loop.h"
#include "p2p/secure/noise.h"
#include "p2p/select/mss.h"

enum {
	BUF_LEN = 70000
};

struct link {
	int fd;
	struct secure *secure;
	pthread_mutex_t lock; /* of `secure` */
	uint8_t in[BUF_LEN];
	size_t in_len;
};

static void die(const char *what)
{
	fprintf(stderr, "attacker: %s\n", what);
	exit(2);
}

static bool write_all(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool read_more(struct link *l)
{
	ssize_t n = read(l->fd, l->in + l->in_len, sizeof(l->in) - l->in_len);
	if (n <= 0)
		return false;
	l->in_len += (size_t)n;
	return true;
}

/* What a step left of the input stays. */
static void keep(struct link *l, struct span rest)
{
	memmove(l->in, rest.p, rest.len);
	l->in_len = rest.len;
}

static bool dial(struct link *l, const char *ip, const char *port, const struct in_addr *from)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	if (inet_pton(AF_INET, ip, &to.sin_addr) != 1)
		die("not an address");
	l->fd = socket(AF_INET, SOCK_STREAM, 0);
	l->in_len = 0;
	struct timeval patience = {.tv_sec = 30};
	setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (from != NULL) {
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = *from};
		if (bind(l->fd, (struct sockaddr *)&at, sizeof(at)) != 0)
			die("no such source address");
	}
	return connect(l->fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

/* --- plaintext ------------------------------------------------------------------------------ */

static bool send_plain(struct link *l, const uint8_t *p, size_t len)
{
	const struct secure_ops *ops = l->secure->ops;
	static uint8_t record[BUF_LEN]; /* one sender */
	memcpy(record + ops->head_len, p, len);
	size_t n;
	pthread_mutex_lock(&l->lock);
	enum err e = ops->seal(l->secure, record, len, &n);
	pthread_mutex_unlock(&l->lock);
	return e == ERR_OK && write_all(l->fd, record, n);
}

/* The next record; its plaintext lies in l->in until drop_record(). */
static bool receive_plain(struct link *l, struct span *plain, size_t *used)
{
	for (;;) {
		pthread_mutex_lock(&l->lock);
		enum err e = l->secure->ops->open(l->secure, l->in, l->in_len, used, plain);
		pthread_mutex_unlock(&l->lock);
		if (e == ERR_OK)
			return true;
		if (e != ERR_AGAIN || !read_more(l))
			return false;
	}
}

static void drop_record(struct link *l, size_t used)
{
	keep(l, span_of(l->in + used, l->in_len - used));
}

/* --- steps ---------------------------------------------------------------------------------- */

static bool select_noise(struct link *l)
{
	static const char *const names[] = {"/noise"};
	struct mss mss;
	mss_init_initiator(&mss, names, 1);
	uint8_t bytes[MSS_OUT_LEN_MAX];
	for (;;) {
		struct wbuf out = wbuf_of(bytes, sizeof(bytes));
		if (mss_take(&mss, &out) != ERR_OK || !write_all(l->fd, out.p, out.len))
			return false;
		struct span in = span_of(l->in, l->in_len);
		enum err e = mss_feed(&mss, &in);
		keep(l, in);
		if (e == ERR_OK)
			return true;
		if (e != ERR_AGAIN || !read_more(l))
			return false;
	}
}

static bool shake_hands(struct link *l, const struct identity *identity)
{
	struct noise_conf conf = {
		.role = SECURE_INITIATOR, .identity = identity, .muxer = "/yamux/1.0.0"};
	if (getrandom(conf.static_secret, 32, 0) != 32 ||
	    getrandom(conf.ephemeral_secret, 32, 0) != 32 || noise_new(&conf, &l->secure) != ERR_OK)
		die("no Noise");
	for (;;) {
		uint8_t bytes[8192];
		struct wbuf out = wbuf_of(bytes, sizeof(bytes));
		if (l->secure->ops->take(l->secure, &out) != ERR_OK ||
		    !write_all(l->fd, out.p, out.len))
			return false;
		if (l->secure->is_done)
			return true;
		if (!read_more(l))
			return false;
		struct span in = span_of(l->in, l->in_len);
		enum err e = l->secure->ops->feed(l->secure, &in);
		keep(l, in);
		if (e != ERR_OK && e != ERR_AGAIN)
			return false;
	}
}

/* With runnel the muxer always comes early. */
static bool is_open(const struct link *l)
{
	return l->secure->is_muxer_agreed;
}

static void hang_up(struct link *l)
{
	l->secure = secure_free(l->secure);
	close(l->fd);
}

/* --- pipe ----------------------------------------------------------------------------------- */

static void *copy_in(void *arg)
{
	struct link *l = arg;
	struct span plain;
	size_t used;
	while (receive_plain(l, &plain, &used)) {
		if (!write_all(STDOUT_FILENO, plain.p, plain.len))
			break;
		drop_record(l, used);
	}
	exit(0); /* closed by the other end */
}

static void run_pipe(struct link *l)
{
	struct timeval for_ever = {.tv_sec = 0};
	setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever));
	pthread_t thread;
	if (pthread_create(&thread, NULL, copy_in, l) != 0)
		die("no thread");
	static uint8_t bytes[NOISE_PLAIN_LEN_MAX];
	ssize_t n;
	while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0) {
		if (!send_plain(l, bytes, (size_t)n))
			exit(0); /* closed by the other end */
	}
	exit(3); /* the test has enough */
}

/* --- churn ---------------------------------------------------------------------------------- */

static bool reach(struct link *l, const struct identity *identity, const char *stage)
{
	if (strcmp(stage, "tcp") == 0)
		return true;
	if (!select_noise(l))
		return false;
	if (strcmp(stage, "select") == 0)
		return true;
	if (!shake_hands(l, identity))
		return false;
	if (strcmp(stage, "noise") == 0)
		return true;
	/* Open at the other end, too: its first ping is here. */
	struct span plain;
	size_t used;
	return receive_plain(l, &plain, &used);
}

static int churn(struct link *l, const struct identity *identity, char **argv)
{
	const char *stage = argv[5];
	int wanted = atoi(argv[6]), n_from = atoi(argv[8]);
	struct in_addr first;
	if (inet_pton(AF_INET, argv[7], &first) != 1 || n_from < 1)
		die("not an address");
	int made = 0, refused = 0;
	for (int i = 0; made < wanted && refused < 100 * wanted; i++) {
		struct in_addr from = {htonl(ntohl(first.s_addr) + (uint32_t)(i % n_from))};
		if (dial(l, argv[2], argv[3], &from) && reach(l, identity, stage)) {
			made++;
		} else {
			refused++;
			usleep(2000); /* it has enough of us for now */
		}
		hang_up(l);
	}
	printf("%d made %d refused\n", made, refused);
	return made == wanted ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct link l = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct identity *identity;
	bool is_pipe = argc == 5 && strcmp(argv[4], "pipe") == 0;
	bool is_churn = argc == 9 && strcmp(argv[4], "churn") == 0;
	if (!is_pipe && !is_churn)
		die("see attacker.c for the arguments");
	if (identity_load(argv[1], &identity) != ERR_OK)
		die("no key");
	signal(SIGPIPE, SIG_IGN);
	if (is_churn) {
		int status = churn(&l, identity, argv);
		identity_free(identity);
		return status;
	}
	if (!dial(&l, argv[2], argv[3], NULL) || !select_noise(&l) || !shake_hands(&l, identity))
		die("not let in");
	if (!is_open(&l))
		die("no early muxer");
	run_pipe(&l);
}
