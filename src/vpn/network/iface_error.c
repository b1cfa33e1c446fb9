/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* iface_error.c - see iface_error.h */
#include "vpn/network/iface_error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void append(char *text, const char *more)
{
	size_t len = strlen(text);
	snprintf(text + len, IFACE_ERROR_LEN - len, "%s", more);
}

/* Not inlined: where UBSan checks fmt for NULL, gcc would warn that vsnprintf() may be handed one.
 */
static void print(char *text, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0), noinline));

static void print(char *text, const char *fmt, va_list args)
{
	vsnprintf(text, IFACE_ERROR_LEN, fmt, args);
}

enum err iface_error_set(struct iface_error *why, enum err err, const char *fmt, ...)
{
	if (why == NULL)
		return err;
	va_list args;
	va_start(args, fmt);
	print(why->text, fmt, args);
	va_end(args);
	return err;
}

enum err iface_error_errno(struct iface_error *why, int errnum, const char *fmt, ...)
{
	if (why != NULL) {
		va_list args;
		va_start(args, fmt);
		print(why->text, fmt, args);
		va_end(args);
		char buf[64];
		append(why->text, ": ");
		append(why->text, strerror_r(errnum, buf, sizeof(buf)));
	}
	return err_from_errno(errnum);
}

enum err iface_error_prefix(struct iface_error *why, enum err err, const char *fmt, ...)
{
	if (why == NULL)
		return err;
	char old[IFACE_ERROR_LEN];
	memcpy(old, why->text, sizeof(old));
	va_list args;
	va_start(args, fmt);
	print(why->text, fmt, args);
	va_end(args);
	append(why->text, ": ");
	append(why->text, old);
	return err;
}
