/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* status.h - what a node says of itself, as JSON: runnel(8) explains its words */
#pragma once

#include <jansson.h>

#include "vpn/node/node.h"

/* NULL: out of memory. The caller has the reference. */
json_t *status_json(const struct node *node);
