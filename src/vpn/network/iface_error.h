/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * iface_error.h - what the system refused, and why, as a fragment for people
 *
 * Setting up a network device fails for reasons that only the kernel or the administrator can
 * know. All functions of this folder that can fail so take a struct iface_error, which may be NULL,
 * and fill it when they fail: "add address 10.7.0.1/24: Address already assigned".
 */
#pragma once

#include "base/err.h"

enum {
	IFACE_ERROR_LEN = 256, /* bytes of text, its zero included; longer is cut */
};

struct iface_error {
	char text[IFACE_ERROR_LEN];
};

/* Replace the text. Takes why == NULL. Returns `err`, so that a failing function ends with it. */
enum err iface_error_set(struct iface_error *why, enum err err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for an errno value: ": " and its text are appended. Returns err_from_errno(errnum). */
enum err iface_error_errno(struct iface_error *why, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "what: " before the text that is there. Returns `err`. */
enum err iface_error_prefix(struct iface_error *why, enum err err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
