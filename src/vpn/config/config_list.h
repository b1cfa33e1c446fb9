/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* config_list.h - inside of config_read: lists of addresses, and what both files report with */
#pragma once

#include "vpn/config/node.h"
#include "vpn/config/settings.h"

enum {
	PATH_TEXT_MAX = 128,
	READ_WHAT_MAX = 384, /* bytes of a message without its place */
};

struct reader {
	struct faults *faults;
	struct arena *arena;
};

/* Where the reader is, from the inside out: "peers[3].addresses[0]". */
struct path {
	const struct path *up;
	const char *name; /* NULL: an item of a list */
	size_t index;
};

/* "PATH: WHAT" at the node's place; node may be NULL. */
void read_fault(struct reader *r, const struct node *node, const struct path *path, enum err err,
		const char *what);

/* "PATH: found ...; expected ..." */
void read_unexpected(struct reader *r, const struct node *node, const struct path *path,
		     const char *expected);

/* Is a scalar free of control characters? If not that is a fault. */
bool read_is_clean(struct reader *r, const struct node *node, const struct path *path);

/* Is it a list (or nothing, which is an empty one) of min to max items? If not that is a fault. */
bool read_is_list(struct reader *r, const struct setting *setting, const struct node *node,
		  const struct path *path);

/* A list of addresses or prefixes -> struct config_addrs or config_prefixes. */
void read_list(struct reader *r, const struct setting *setting, const struct node *node,
	       const struct path *path, void *member);

/* From the setting's default, "a, b". */
MUST_USE enum err read_list_default(struct reader *r, const struct setting *setting, void *member);
