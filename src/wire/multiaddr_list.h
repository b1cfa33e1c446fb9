/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* multiaddr_list.h - the addresses that one peer says it has: bounded, with what was left out
 * counted
 */
#pragma once

#include "wire/multiaddr.h"

struct multiaddr_list {
	size_t len;
	size_t skipped; /* not parsable, or beyond the bound */
	struct multiaddr at[IDENTIFY_ADDRS_MAX];
};

/* An address that we cannot read costs its sender this address, not the message. */
static inline void multiaddr_list_add_bytes(struct multiaddr_list *list, struct span bytes)
{
	if (list->len < IDENTIFY_ADDRS_MAX &&
	    multiaddr_from_bytes(bytes, &list->at[list->len]) == ERR_OK)
		list->len++;
	else
		list->skipped++;
}
