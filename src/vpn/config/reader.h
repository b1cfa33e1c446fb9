/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reader.h - a walk over the tree that knows where it is
 *
 * What the steps from tree to values share: where values are kept, the path for messages, and the
 * checks that come before a type's own.
 */
#pragma once

#include "vpn/config/node.h"
#include "vpn/config/settings.h"

enum {
	PATH_TEXT_MAX = 128,
	READER_WHAT_MAX = 384, /* bytes of a message without its place */
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
void reader_fault(struct reader *r, const struct node *node, const struct path *path, enum err err,
		  const char *what);

/* "PATH: found ...; expected ..." */
void reader_unexpected(struct reader *r, const struct node *node, const struct path *path,
		       const char *expected);

/* Is a scalar free of control characters? If not that is a fault. */
bool reader_is_clean(struct reader *r, const struct node *node, const struct path *path);

/* Is it a list (or nothing, which is an empty one) of min to max items? If not that is a fault. */
bool reader_is_list(struct reader *r, const struct setting *setting, const struct node *node,
		    const struct path *path);
