/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* common.c - what several verbs do: load the configuration, ask the daemon, fail with a line */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/cli.h"
#include "crypto/key.h"
#include "daemon/control_client.h"
#include "vpn/config/config.h"

int cli_fail(const char *fmt, ...)
{
	va_list ap;
	fputs("runnel: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_FAILED;
}

struct config *cli_load_config(const char *path)
{
	struct config *config = NULL;
	struct config_errors *errors = calloc(1, sizeof(*errors));
	if (errors == NULL) {
		cli_fail("out of memory");
		return NULL;
	}
	enum err e = config_load(path, &config, errors);
	if (e == ERR_NOT_FOUND)
		fprintf(stderr,
			"%s: does not exist: runnel.yaml(5) shows how to write it, -c FILE names "
			"another\n",
			path);
	for (size_t i = 0; i < errors->len && e != ERR_NOT_FOUND; i++)
		fprintf(stderr, "%s\n", errors->items[i].text);
	if (errors->omitted > 0)
		fprintf(stderr, "%s: and %zu more\n", path, errors->omitted);
	free(errors);
	return e == ERR_OK ? config : NULL;
}

bool cli_target_open(const struct cli_args *args, struct cli_target *ret_target)
{
	*ret_target = (struct cli_target){.socket = args->socket};
	if (args->socket != NULL)
		return true;
	ret_target->config = cli_load_config(args->config);
	if (ret_target->config != NULL) {
		ret_target->socket = ret_target->config->control;
		return true;
	}
	/* A node may run all the same, with what the file said when it started. */
	if (access(args->config, F_OK) == 0)
		cli_fail("a running node is reached without its configuration with -s and its "
			 "control socket, usually -s " CLI_SOCKET_DEFAULT);
	return false;
}

void cli_target_close(struct cli_target *target)
{
	target->config = config_free(target->config);
}

static void explain(enum err e, const struct cli_target *t)
{
	if ((e == ERR_NOT_FOUND || e == ERR_REFUSED) && t->config == NULL)
		cli_fail("no runnel is running here: nobody listens on %s", t->socket);
	else if (e == ERR_NOT_FOUND || e == ERR_REFUSED)
		cli_fail("no runnel is running for %s (nobody listens on %s); start it: runnel up",
			 t->config->interface.name, t->socket);
	else if (e == ERR_PERMISSION)
		cli_fail("%s belongs to another user: run this as root or as the daemon's user",
			 t->socket);
	else
		cli_fail("no answer on %s: %s", t->socket, err_text(e));
}

/* Of an answer with "error": only a time-out may pass by itself. */
static enum err word_of(const json_t *answer)
{
	const char *word = json_string_value(json_object_get(answer, "error"));
	return word != NULL && strcmp(word, err_name(ERR_TIMEOUT)) == 0 ? ERR_TIMEOUT : ERR_SYSTEM;
}

void cli_address(const struct cli_target *target, struct json_t *request)
{
	struct identity *identity;
	char id[PEER_ID_TEXT_MAX];
	/* Who may not read the key may still ask. */
	if (target->config == NULL || identity_load(target->config->key, &identity) != ERR_OK)
		return;
	json_object_set_new(request, "node",
			    json_string(peer_id_format(identity_peer_id(identity), id)));
	identity_free(identity);
}

struct json_t *cli_ask(const struct cli_target *target, struct json_t *request, enum err *ret_why)
{
	enum err ignored;
	if (ret_why == NULL)
		ret_why = &ignored;
	*ret_why = ERR_SYSTEM;
	cli_address(target, request);
	char *text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (text == NULL) {
		cli_fail("out of memory");
		return NULL;
	}
	char *answer = NULL;
	enum err e = control_ask(target->socket, text, &answer);
	free(text);
	if (e != ERR_OK) {
		explain(e, target);
		return NULL;
	}
	json_error_t error;
	json_t *json = json_loads(answer, 0, &error);
	free(answer);
	if (json == NULL) {
		cli_fail("the daemon's answer is not JSON: %s", error.text);
	} else if (json_object_get(json, "error") != NULL) {
		cli_fail("%s", json_string_value(json_object_get(json, "message")));
		*ret_why = word_of(json);
		json_decref(json);
		json = NULL;
	}
	return json;
}
