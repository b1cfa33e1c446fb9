/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* device.h - the network device that a configuration asks for, and what else it asks of the kernel
 */
#pragma once

#include "vpn/config/config.h"
#include "vpn/network/iface.h"

/* iface_up() with the configuration's name, MTU, addresses and the routes to its peers, with room
 * for *queues queues. A device that somebody made with one queue is used all the same: *queues is 1
 * then. Errors as iface_up(). */
MUST_USE enum err device_up(const struct config *config, size_t *queues, struct iface **ret_iface,
			    struct iface_error *why);

/* Has the kernel tcp.congestion? A name that it refuses would fail every connection, one by one. */
bool device_has_congestion(const struct config *config);
