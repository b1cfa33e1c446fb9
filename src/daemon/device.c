/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* device.c - see device.h */
#include "daemon/device.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Routes for all that the peers own. */
static struct ip_prefix *collect_routes(const struct config *config, size_t *ret_n)
{
	size_t n = 0;
	for (size_t i = 0; config->interface.routes && i < config->peers.len; i++)
		n += config->peers.items[i].allowed_ips.len;
	struct ip_prefix *routes = calloc(n > 0 ? n : 1, sizeof(*routes));
	*ret_n = 0;
	for (size_t i = 0; routes != NULL && n > 0 && i < config->peers.len; i++) {
		const struct config_prefixes *own = &config->peers.items[i].allowed_ips;
		for (size_t j = 0; j < own->len; j++)
			routes[(*ret_n)++] = own->items[j];
	}
	return routes;
}

enum err device_up(const struct config *config, size_t *queues, struct iface **ret_iface,
		   struct iface_error *why)
{
	size_t n_routes;
	struct ip_prefix *routes = collect_routes(config, &n_routes);
	if (routes == NULL)
		return iface_error_set(why, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
	struct iface_conf conf = {
		.name = config->interface.name,
		.mtu = config->interface.mtu,
		.addresses = config->interface.addresses.items,
		.n_addresses = config->interface.addresses.len,
		.routes = routes,
		.n_routes = n_routes,
		.multi_queue = *queues > 1,
	};
	enum err e = iface_up(&conf, ret_iface, why);
	/* A device that is there already may be of the other kind: then we have one queue of it. */
	if (e == ERR_DUPLICATE) {
		struct iface_error second = {.text = ""};
		conf.multi_queue = !conf.multi_queue;
		if (iface_up(&conf, ret_iface, &second) == ERR_OK) {
			*queues = 1;
			e = ERR_OK;
		}
	}
	free(routes);
	return e;
}

bool device_has_congestion(const struct config *config)
{
	const char *name = config->tcp.congestion;
	if (name[0] == '\0')
		return true;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return true; /* not the congestion control's fault */
	bool is_known =
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
	close(fd);
	return is_known;
}
