/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fuzz_netlink_monitor.c - messages of rtnetlink, as the monitor reads them */
#include <assert.h>
#include <stdlib.h>

#include "vpn/network/netlink_monitor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum {
		ALL = NETWORK_CHANGE_HOPEFUL | NETWORK_CHANGE_LINK_DOWN | NETWORK_CHANGE_ADDR_GONE |
		      NETWORK_CHANGE_ROUTE_GONE,
	};
	static struct netlink_monitor mon;
	if (size == 0 || size > NETLINK_MONITOR_BUF_LEN)
		return 0;
	netlink_monitor_init(&mon, data[0]);
	/* Of exactly this size, and aligned. */
	uint8_t *copy = malloc(size);
	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	for (unsigned twice = 0; twice < 2; twice++) {
		unsigned change = netlink_monitor_parse(&mon, span_of(copy, size));
		assert((change & ~(unsigned)ALL) == 0);
	}
	free(copy);
	return 0;
}
