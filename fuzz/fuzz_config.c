/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A configuration file: refused with messages, or complete enough to make the peers' table of. */
#include <stdint.h>
#include <stdlib.h>

#include "vpn/discovery/static_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct config_errors errors;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_messages(void)
{
	for (size_t i = 0; i < errors.len; i++) {
		const struct config_error *e = &errors.items[i];
		require(memchr(e->text, '\0', sizeof(e->text)) != NULL);
		for (const char *c = e->text; *c != '\0'; c++)
			require(*c >= 0x20 && *c < 0x7f);
		if (i > 0)
			require(errors.items[i - 1].line <= e->line);
	}
}

static void check_config(const struct config *config)
{
	struct static_table *table = NULL;
	require(config->interface.addresses.len > 0);
	require(config->key[0] == '/' && config->control[0] == '/');
	require(static_table_new(config, &table) == ERR_OK);
	for (uint32_t i = 0; i < config->peers.len; i++) {
		const struct config_peer *peer = &config->peers.items[i];
		require(static_table_find_id(table, &peer->id) == i);
		for (size_t j = 0; j < peer->addresses.len; j++) {
			struct multiaddr_tcp tcp;
			require(multiaddr_as_tcp(&peer->addresses.items[j], &tcp) == ERR_OK);
			require(tcp.peer.len == 0 && tcp.port != 0);
		}
		for (size_t j = 0; j < peer->allowed_ips.len; j++)
			require(ip_prefix_is_network(&peer->allowed_ips.items[j]));
	}
	static_table_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config *config = NULL;
	enum err e = config_parse(span_of(data, len), "f", &config, &errors);
	require((e == ERR_OK) == (config != NULL));
	require((e == ERR_OK) == (errors.len == 0));
	check_messages();
	if (config != NULL)
		check_config(config);
	config_free(config);
	return 0;
}
