/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* key_hint.h - what to do about a key that cannot be used, for the command line and the log */
#pragma once

#include "base/err.h"

enum {
	KEY_HINT_MAX = 512, /* bytes with the zero; longer paths are cut */
};

/* `e` is what identity_load() said of the file. Returns buf. */
const char *key_hint(enum err e, const char *path, char buf[KEY_HINT_MAX]);
