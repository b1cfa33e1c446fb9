/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * config_read.h - the two steps from a tree to a struct config
 *
 * config_read() takes each setting by itself: its name, its type, its bounds. config_check()
 * compares settings with each other. Both add what is wrong to `faults` and go on; lists keep their
 * length, with an empty item (length 0) in the place of a bad one, so that the second step finds
 * the places of items in the tree.
 */
#pragma once

#include "vpn/config/node.h"

/* Fill a zeroed config, whose arena is set; root may be NULL (an empty file). Only ERR_NO_MEMORY
 * ends it early. */
void config_read(struct config *config, const struct node *root, struct faults *faults);

/* The relations; also takes the /p2p ends off the peers' addresses. */
void config_check(struct config *config, const struct node *root, struct faults *faults);

/* Those of the relations that say that one number must not be above another. */
void config_check_order(const struct config *config, const struct node *root,
			struct faults *faults);
