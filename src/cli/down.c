/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* down.c - runnel down: end the daemon in good order, or clean up after one that was killed */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/cli.h"
#include "daemon/control_client.h"
#include "vpn/config/config.h"
#include "vpn/network/iface.h"

/* Nobody answers: what a killed daemon left goes now. */
static int clean_up(const struct config *config, bool had_socket)
{
	size_t n = 0;
	struct iface_error why = {.text = ""};
	enum err e = iface_cleanup(config->interface.name, &n, &why);
	if (e != ERR_OK)
		return cli_fail("cannot clean up %s: %s", config->interface.name, why.text);
	if (had_socket)
		unlink(config->control);
	if (n > 0 || had_socket)
		printf("%s: was not running; removed what was left (%zu addresses and routes)\n",
		       config->interface.name, n);
	else
		printf("%s: was not running\n", config->interface.name);
	return CLI_OK;
}

static enum err ask(const struct cli_target *t, char **ret_answer)
{
	json_t *request = json_pack("{s:s}", "cmd", "stop");
	cli_address(t, request);
	char *text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	enum err e = text != NULL ? control_ask(t->socket, text, ret_answer) : ERR_NO_MEMORY;
	free(text);
	return e;
}

int cli_down(const struct cli_args *args)
{
	struct cli_target t;
	if (!cli_target_open(args, &t))
		return CLI_FAILED;
	const char *name = t.config != NULL ? t.config->interface.name : t.socket;
	char *answer = NULL;
	int code;
	enum err e = ask(&t, &answer);
	json_t *json = answer != NULL ? json_loads(answer, 0, NULL) : NULL;
	free(answer);
	const char *message = json_string_value(json_object_get(json, "message"));
	if (message != NULL)
		code = cli_fail("%s", message);
	else if (e == ERR_NOT_FOUND || e == ERR_REFUSED) {
		code = t.config != NULL ? clean_up(t.config, e == ERR_REFUSED)
					: cli_fail("nobody listens on %s", t.socket);
	} else if (e == ERR_OK || e == ERR_EOF) { /* the connection ends when the daemon has */
		printf("%s: down\n", name);
		code = CLI_OK;
	} else {
		code = cli_fail("no answer on %s: %s", t.socket, err_text(e));
	}
	json_decref(json);
	cli_target_close(&t);
	return code;
}
