/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* identity.h - the key behind a public identity: see runnel/node.h */
#pragma once

#include <runnel/node.h>

#include "crypto/key.h"

struct runnel_identity {
	struct identity *key;
};
