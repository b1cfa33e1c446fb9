/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * check_config.c - runnel check-config [FILE]: say all that is wrong with it
 *
 * Faults of the file are the loader's. What the loader cannot know is looked at here, without
 * changing anything: the key, and what this machine offers. A "note:" is no fault: it may be meant
 * so, or change by itself until the node starts.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"
#include "crypto/key.h"
#include "vpn/config/config.h"

#define CONGESTION_AVAILABLE "/proc/sys/net/ipv4/tcp_available_congestion_control"

/* One line on stderr: "FILE: ...". */
static void say(const char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(const char *path, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "%s: ", path);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* Is the key's fault only a note? */
static bool explain_key(const char *path, const char *key, enum err e)
{
	switch (e) {
	case ERR_PERMISSION:
		/* Whoever writes the file need not be the one that runs the node. */
		say(path, "note: key: %s cannot be read by this user, so it is not checked", key);
		return true;
	case ERR_NOT_FOUND:
		say(path, "key: %s does not exist; make it: runnel keygen %s", key, key);
		return false;
	case ERR_EXPOSED:
		/* It is not read, so it could be any file. */
		say(path, "key: others may use %s; if that is the key: chmod 600 %s", key, key);
		return false;
	case ERR_MALFORMED:
		say(path, "key: %s does not hold a key such as runnel keygen makes", key);
		return false;
	case ERR_UNSUPPORTED:
		say(path, "key: %s holds a key of another kind than Ed25519", key);
		return false;
	default:
		say(path, "key: %s cannot be used: %s", key, err_text(e));
		return false;
	}
}

/* Is there a key, and do the peers do without ourselves? */
static bool check_key(const char *path, const struct config *config)
{
	struct identity *identity = NULL;
	bool good = true;
	enum err e = identity_load(config->key, &identity);
	if (e != ERR_OK)
		return explain_key(path, config->key, e);
	for (size_t i = 0; i < config->peers.len; i++) {
		char id[PEER_ID_TEXT_MAX];
		const struct config_peer *peer = &config->peers.items[i];
		if (!peer_id_equal(&peer->id, identity_peer_id(identity)))
			continue;
		say(path, "peers[%zu].id: %s is this node itself (%s); list the others only", i,
		    peer_id_format(&peer->id, id), config->key);
		good = false;
	}
	identity_free(identity);
	return good;
}

static void note_peers(const char *path, const struct config *config)
{
	for (size_t i = 0; i < config->peers.len; i++) {
		const struct config_peer *peer = &config->peers.items[i];
		char id[PEER_ID_TEXT_MAX];
		if (peer->allowed_ips.len == 0)
			say(path,
			    "note: peers[%zu].allowed_ips: none, so no packets are sent to %s or "
			    "taken from it",
			    i, peer->name[0] != '\0' ? peer->name : peer_id_format(&peer->id, id));
	}
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	while (words[0] != '\0') {
		size_t n = strcspn(words, " ");
		if (n == len && memcmp(words, word, n) == 0)
			return true;
		words += n;
		words += strspn(words, " ");
	}
	return false;
}

/* The kernel loads a congestion control's module when it is asked for, so another one than those it
 * has may be meant. If none comes, sockets with that option are refused, and so every connection.
 */
static void note_congestion(const char *path, const struct config *config)
{
	char available[1024];
	FILE *f = config->tcp.congestion[0] != '\0' ? fopen(CONGESTION_AVAILABLE, "re") : NULL;
	if (f == NULL)
		return;
	const char *line = fgets(available, sizeof(available), f);
	fclose(f);
	if (line == NULL)
		return;
	available[strcspn(available, "\n")] = '\0';
	if (!has_word(available, config->tcp.congestion))
		say(path,
		    "note: tcp.congestion: this kernel has no \"%s\" yet; unless a module brings "
		    "it, "
		    "every connection fails; there are: %s",
		    config->tcp.congestion, available);
}

int cli_check_config(const struct cli_args *args)
{
	const char *path = args->operand != NULL ? args->operand : args->config;
	struct config *config = cli_load_config(path);
	if (config == NULL)
		return CLI_FAILED;
	bool good = check_key(path, config);
	note_peers(path, config);
	note_congestion(path, config);
	if (good)
		printf("%s: ok (%zu peer%s)\n", path, config->peers.len,
		       config->peers.len == 1 ? "" : "s");
	config_free(config);
	return good ? CLI_OK : CLI_FAILED;
}
