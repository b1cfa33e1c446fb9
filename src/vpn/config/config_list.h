/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* config_list.h - lists of multiaddrs and of IP prefixes, item by item */
#pragma once

#include "vpn/config/reader.h"

/* A list of addresses or prefixes -> struct config_addrs or config_prefixes. */
void config_list_read(struct reader *r, const struct setting *setting, const struct node *node,
		      const struct path *path, void *member);

/* From the setting's default, "a, b". */
MUST_USE enum err config_list_default(struct reader *r, const struct setting *setting,
				      void *member);
