/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* err.c - see err.h */
#include "lib/err.h"

#include <assert.h>

#include "base/util.h"

static const enum runnel_err public_of[] = {
#define X(symbol, word, text) [symbol] = RUNNEL_##symbol,
	ERR_MAP(X)
#undef X
};

/* Back, for the tables of base/err.c. */
static const enum err ours_of[] = {
#define X(symbol, word, text) [RUNNEL_##symbol] = symbol,
	ERR_MAP(X)
#undef X
};

static_assert(RUNNEL_ERR_OK == 0 && ERR_OK == 0, "a table's gap reads as no error");
static_assert(ARRAY_LEN(public_of) == ERR_COUNT && ARRAY_LEN(ours_of) == ERR_COUNT,
	      "as many on either side, so there are no gaps");

enum runnel_err lib_err(enum err e)
{
	assert((unsigned)e < ERR_COUNT);
	return public_of[e];
}

enum err lib_err_back(enum runnel_err err)
{
	return (unsigned)err < ARRAY_LEN(ours_of) ? ours_of[err] : ERR_SYSTEM;
}

const char *runnel_err_name(enum runnel_err err)
{
	return err_name((unsigned)err < ARRAY_LEN(ours_of) ? ours_of[err] : ERR_COUNT);
}

const char *runnel_err_text(enum runnel_err err)
{
	return err_text((unsigned)err < ARRAY_LEN(ours_of) ? ours_of[err] : ERR_COUNT);
}
