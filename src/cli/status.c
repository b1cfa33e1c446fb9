/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* status.c - runnel status [--json]: is all well, and if not, what is wrong */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/cli.h"
#include "vpn/config/config.h"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s != NULL && s[0] != '\0' ? s : "-";
}

/* 1.5 MiB, in six characters or so. */
static const char *size(double bytes, char buf[16])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t u = 0;
	while (bytes >= 1024 && u + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, 16, u == 0 ? "%.0f %s" : "%.1f %s", bytes, units[u]);
	return buf;
}

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static void print_peer(const json_t *p)
{
	char rx[16], tx[16], rtt[24] = "-";
	if (json_is_number(json_object_get(p, "rtt_ms")))
		snprintf(rtt, sizeof(rtt), "%.2f ms", number(p, "rtt_ms"));
	const char *state = text(p, "state");
	const char *where = text(p, "address");
	if (strcmp(where, "-") == 0)
		where = text(p, "last_dial_error");
	printf("%-16s %-14s %10s %11s %11s  %s\n", text(p, "name"), state, rtt,
	       size(number(p, "rx_bytes"), rx), size(number(p, "tx_bytes"), tx), where);
}

static void print_drops(const json_t *drops)
{
	const char *reason;
	json_t *n;
	bool any = false;
	json_object_foreach((json_t *)(uintptr_t)drops, reason, n)
	{
		if (json_integer_value(n) == 0)
			continue;
		printf("%s %s=%lld", any ? "" : "\ndropped:", reason,
		       (long long)json_integer_value(n));
		any = true;
	}
	if (any)
		putchar('\n');
}

static void print_status(const json_t *o)
{
	const json_t *peers = json_object_get(o, "peers");
	size_t n = json_array_size(peers), connected = 0;
	for (size_t i = 0; i < n; i++)
		connected += json_is_true(json_object_get(json_array_get(peers, i), "connected"));
	printf("%s: %zu of %zu peers connected, up %.0f s, Peer ID %s\n", text(o, "interface"),
	       connected, n, number(o, "uptime_s"), text(o, "peer_id"));
	if (n > 0)
		printf("\n%-16s %-14s %10s %11s %11s  %s\n", "PEER", "STATE", "RTT", "RECEIVED",
		       "SENT", "ADDRESS");
	for (size_t i = 0; i < n; i++)
		print_peer(json_array_get(peers, i));
	print_drops(json_object_get(o, "drops"));
}

int cli_status(const struct cli_args *args)
{
	struct config *config = cli_load_config(args->config);
	if (config == NULL)
		return CLI_FAILED;
	json_t *status = cli_ask(config, json_pack("{s:s}", "cmd", "status"));
	config_free(config);
	if (status == NULL)
		return CLI_FAILED;
	if (args->json) {
		json_dumpf(status, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_status(status);
	}
	json_decref(status);
	return CLI_OK;
}
