/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* common.c - what several verbs do: load the configuration, ask the daemon, fail with a line */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "cli/cli.h"
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
	for (size_t i = 0; i < errors->len; i++)
		fprintf(stderr, "%s\n", errors->items[i].text);
	if (errors->omitted > 0)
		fprintf(stderr, "%s: and %zu more\n", path, errors->omitted);
	free(errors);
	return e == ERR_OK ? config : NULL;
}

static void explain(enum err e, const struct config *config)
{
	if (e == ERR_NOT_FOUND || e == ERR_REFUSED)
		cli_fail("no runnel is running for %s (nobody listens on %s); start it: runnel up",
			 config->interface.name, config->control);
	else if (e == ERR_PERMISSION)
		cli_fail("%s belongs to another user: run this as root or as the daemon's user",
			 config->control);
	else
		cli_fail("no answer on %s: %s", config->control, err_text(e));
}

struct json_t *cli_ask(const struct config *config, struct json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (text == NULL) {
		cli_fail("out of memory");
		return NULL;
	}
	char *answer = NULL;
	enum err e = control_ask(config->control, text, &answer);
	free(text);
	if (e != ERR_OK) {
		explain(e, config);
		return NULL;
	}
	json_error_t error;
	json_t *json = json_loads(answer, 0, &error);
	free(answer);
	if (json == NULL) {
		cli_fail("the daemon's answer is not JSON: %s", error.text);
	} else if (json_object_get(json, "error") != NULL) {
		cli_fail("%s", json_string_value(json_object_get(json, "message")));
		json_decref(json);
		json = NULL;
	}
	return json;
}
