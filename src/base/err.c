/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* err.c - names and texts of errors, from the table in err.h */
#include "base/err.h"

#include <assert.h>
#include <errno.h>

static const char *const names[] = {
#define X(symbol, word, text) [symbol] = word,
	ERR_MAP(X)
#undef X
};

static const char *const texts[] = {
#define X(symbol, word, text) [symbol] = text,
	ERR_MAP(X)
#undef X
};

static_assert(sizeof(names) / sizeof(names[0]) == ERR_COUNT, "a name for each error");
static_assert(sizeof(texts) / sizeof(texts[0]) == ERR_COUNT, "a text for each error");

const char *err_name(enum err e)
{
	return (unsigned)e < ERR_COUNT ? names[e] : "unknown";
}

const char *err_text(enum err e)
{
	return (unsigned)e < ERR_COUNT ? texts[e] : "unknown error";
}

enum err err_from_errno(int errnum)
{
	switch (errnum) {
	case 0:
		return ERR_OK;
	case EAGAIN:
	case EINTR:
	case EINPROGRESS:
		return ERR_AGAIN;
	case ECONNRESET:
	case EPIPE:
		return ERR_RESET;
	case ECONNREFUSED:
		return ERR_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return ERR_UNREACHABLE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ENOMEM:
	case ENOBUFS:
		return ERR_NO_MEMORY;
	case EMFILE:
	case ENFILE:
		return ERR_FDS;
	case EADDRINUSE:
		return ERR_ADDRESS_IN_USE;
	case EADDRNOTAVAIL:
		return ERR_NO_ADDRESS;
	case EPERM:
	case EACCES:
		return ERR_PERMISSION;
	case EBUSY:
		return ERR_BUSY;
	case ENOENT:
	case ENODEV:
	case ENXIO:
	case ESRCH:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_DUPLICATE;
	case EINVAL:
	case ERANGE:
		return ERR_RANGE;
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
	case ENOSYS:
	case EPROTONOSUPPORT:
		return ERR_UNSUPPORTED;
	default:
		return ERR_SYSTEM;
	}
}
