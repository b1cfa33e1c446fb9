/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * narrow.h - streams that take so many bytes a millisecond and no more, as a slow path does
 *
 * Stands between a kit's dispatcher and its stream service: each stream that is opened behind it
 * has its own bound, so that more streams carry more.
 */
#pragma once

#include "dispatch_kit.h"

struct narrow;

/* For the streams that are opened from now on. 0: any number of bytes. */
struct narrow *narrow_new(struct kit *k, size_t bytes_per_msec);
/* For all streams, from now on. */
void narrow_set(struct narrow *n, size_t bytes_per_msec);
/* The dispatcher is closed. Returns NULL. */
struct narrow *narrow_free(struct narrow *n);
