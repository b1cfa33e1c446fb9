/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* drop.c - see drop.h */
#include "vpn/metrics/drop.h"

#include <assert.h>

static const char *const names[] = {
#define X(symbol, name, text) [symbol] = (name),
	DROP_MAP(X)
#undef X
};

static const char *const texts[] = {
#define X(symbol, name, text) [symbol] = (text),
	DROP_MAP(X)
#undef X
};

const char *drop_name(enum drop reason)
{
	assert(reason < DROP_COUNT);
	return names[reason];
}

const char *drop_text(enum drop reason)
{
	assert(reason < DROP_COUNT);
	return texts[reason];
}
