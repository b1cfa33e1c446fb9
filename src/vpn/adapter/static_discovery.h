/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* static_discovery.h - peer discovery by the table that the configuration names */
#pragma once

#include "vpn/api/peer_discovery.h"
#include "vpn/discovery/static_table.h"

/* The table is immutable, so any thread may ask. It is lent for as long as the discovery is used.
 */
struct peer_discovery static_discovery(struct static_table *table);
