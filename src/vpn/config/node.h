/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * node.h - YAML text as a tree with places
 *
 * The part of YAML that a configuration needs: one document of maps, lists and scalars. Anchors,
 * aliases, tags and further documents are refused, so a tree is never larger than its text
 * suggests.
 */
#pragma once

#include "vpn/config/arena.h"
#include "vpn/config/faults.h"

enum node_kind {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP,
};

struct node {
	enum node_kind kind;
	struct mark mark;
	struct span text; /* of a scalar; a zero stands behind it */
	bool plain;       /* scalar without quotes */
	size_t len;       /* children: items of a list, pairs of a map */
	struct node *first;
	struct node *next; /* sibling */
	struct node *key;  /* the scalar that names this child of a map */
};

/* The document's root, or NULL for a text without one. ERR_MALFORMED, ERR_NO_MEMORY: the fault is
 * added. */
MUST_USE enum err node_parse(struct span text, struct arena *arena, struct faults *faults,
			     struct node **ret_root);

/* The first child of a map with that key; NULL if there is none, if map is NULL or not a map. */
const struct node *node_get(const struct node *map, const char *key);

/* True for "key:" with nothing behind it. */
bool node_is_empty(const struct node *node);
