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

static bool has(const json_t *o, const char *key)
{
	return json_is_string(json_object_get(o, key));
}

/* The address it is connected at, or why it is not. */
static void print_where(const json_t *p)
{
	if (has(p, "address"))
		puts(text(p, "address"));
	else if (has(p, "last_dial_text") && has(p, "last_dial_address"))
		printf("%s: %s\n", text(p, "last_dial_address"), text(p, "last_dial_text"));
	else if (has(p, "last_dial_text"))
		puts(text(p, "last_dial_text"));
	else if (has(p, "dialling_address"))
		printf("trying %s\n", text(p, "dialling_address"));
	else
		puts("-");
}

static void print_queue(const json_t *p)
{
	char bytes[16];
	if (number(p, "queued_packets") > 0)
		printf("%s: %.0f packets (%s) wait in its queue\n", text(p, "name"),
		       number(p, "queued_packets"), size(number(p, "queued_bytes"), bytes));
}

/* A packet from a source that is not the peer's, with what is. */
static void print_refused_source(const json_t *p)
{
	if (!has(p, "last_refused_source"))
		return;
	printf("%s: sent from %s, which is not in its allowed_ips (", text(p, "name"),
	       text(p, "last_refused_source"));
	size_t i;
	json_t *prefix;
	json_array_foreach(json_object_get(p, "allowed_ips"), i, prefix)
		printf("%s%s", i > 0 ? ", " : "", json_string_value(prefix));
	puts(")");
}

static void print_notes(const json_t *o)
{
	size_t i;
	json_t *p;
	json_array_foreach(json_object_get(o, "peers"), i, p)
	{
		print_queue(p);
		print_refused_source(p);
	}
	if (has(o, "last_unrouted_destination"))
		printf("no_route: %s was the last destination that is in no peer's allowed_ips\n",
		       text(o, "last_unrouted_destination"));
}

static void print_peer(const json_t *p)
{
	char rx[16], tx[16], rtt[24] = "-";
	if (json_is_number(json_object_get(p, "rtt_ms")))
		snprintf(rtt, sizeof(rtt), "%.2f ms", number(p, "rtt_ms"));
	const char *state = text(p, "state");
	printf("%-16s %-14s %10s %11s %11s  ", text(p, "name"), state, rtt,
	       size(number(p, "rx_bytes"), rx), size(number(p, "tx_bytes"), tx));
	print_where(p);
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
	print_notes(o);
}

int cli_status(const struct cli_args *args)
{
	struct cli_target target;
	if (!cli_target_open(args, &target))
		return CLI_FAILED;
	json_t *status = cli_ask(&target, json_pack("{s:s}", "cmd", "status"), NULL);
	cli_target_close(&target);
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
