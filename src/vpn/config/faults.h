/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * faults.h - what is wrong with a file, collected
 *
 * Checks go on after a fault so that the user sees them all; whoever checks calls fault_add() and
 * puts something harmless in the place of the bad value.
 */
#pragma once

#include "vpn/config/config.h"

/* A place in the file. */
struct mark {
	unsigned line; /* from 1; 0: no place */
	unsigned column;
};

struct faults {
	const char *file;
	struct config_errors *errors;
	enum err err; /* the first fault's, ERR_OK while there is none */
};

/* Starts with no faults. */
struct faults faults_of(const char *file, struct config_errors *errors);

/* "FILE:LINE:COLUMN: " and the message. */
void fault_add(struct faults *faults, enum err err, struct mark at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Bring the messages in the order of their places. */
void faults_sort(struct faults *faults);

/* Of the words (n of them, NULLs skipped) the one that `text` is most likely a slip of; NULL if
 * none is near. */
const char *fault_nearest(struct span text, const char *const *words, size_t n);
