/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * netns.h - a network namespace of the test's own, and what tests ask of it
 *
 * The whole process moves into it and it ends with the process, so that no test sees or touches
 * the machine's network.
 */
#pragma once

#include <stdbool.h>

#include "vpn/network/netlink.h"
#include "vpn/packet/ip_addr.h"

/* Where this machine does not permit it: says so as TAP wants it (an empty plan; any status but 0
 * would be an error) and exits. Call first. */
void netns_enter(void);

struct ip_prefix netns_prefix(const char *text);

bool netns_has_link(struct netlink *nl, const char *name);
bool netns_has_addr(struct netlink *nl, unsigned index, const char *text);
/* A route of ours. */
bool netns_has_route(struct netlink *nl, unsigned index, const char *text);
/* Of ours, to any link. */
size_t netns_count_routes(struct netlink *nl);

/* Make a persistent TUN as an administrator would, and keep nothing of it open. `flags` in addition
 * to IFF_TUN | IFF_NO_PI; IFF_TAP instead of IFF_TUN where it is among them. */
void netns_make_persistent(const char *name, unsigned flags);
void netns_remove_persistent(const char *name, unsigned flags);
