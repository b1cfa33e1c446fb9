/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* faults.c - see faults.h */
#include "vpn/config/faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

enum {
	WORD_LEN_MAX = 32, /* bytes; longer words are no slip of a setting's name */
};

struct faults faults_of(const char *file, struct config_errors *errors)
{
	errors->len = 0;
	errors->omitted = 0;
	return (struct faults){.file = file, .errors = errors, .err = ERR_OK};
}

void fault_add(struct faults *faults, enum err err, struct mark at, const char *fmt, ...)
{
	if (faults->err == ERR_OK)
		faults->err = err;
	struct config_errors *errors = faults->errors;
	if (errors->len == CONFIG_ERRORS_MAX) {
		errors->omitted++;
		return;
	}
	struct config_error *error = &errors->items[errors->len++];
	error->line = at.line;
	error->column = at.column;

	int n;
	if (at.line > 0)
		n = snprintf(error->text, sizeof(error->text), "%s:%u:%u: ", faults->file, at.line,
			     at.column);
	else
		n = snprintf(error->text, sizeof(error->text), "%s: ", faults->file);
	size_t used = n > 0 ? (size_t)n : 0;
	used = MIN(used, sizeof(error->text) - 1);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(error->text + used, sizeof(error->text) - used, fmt, ap);
	va_end(ap);
}

static int compare_places(const void *a, const void *b)
{
	const struct config_error *x = a;
	const struct config_error *y = b;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return strcmp(x->text, y->text);
}

void faults_sort(struct faults *faults)
{
	qsort(faults->errors->items, faults->errors->len, sizeof(faults->errors->items[0]),
	      compare_places);
}

/* Letters to insert, remove, replace or swap with their neighbour until a is b (optimal string
 * alignment); both are at most WORD_LEN_MAX long. */
static size_t distance(struct span a, struct span b)
{
	size_t rows[3][WORD_LEN_MAX + 1];
	size_t *before = rows[0];
	size_t *above = rows[1];
	size_t *row = rows[2];
	for (size_t j = 0; j <= b.len; j++)
		above[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t replace = above[j - 1] + (a.p[i - 1] != b.p[j - 1]);
			size_t other = MIN(above[j], row[j - 1]) + 1;
			row[j] = MIN(replace, other);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				row[j] = MIN(row[j], before[j - 2] + 1);
		}
		size_t *spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[b.len];
}

const char *fault_nearest(struct span text, const char *const *words, size_t n)
{
	if (text.len == 0 || text.len > WORD_LEN_MAX)
		return NULL;
	const char *nearest = NULL;
	size_t least = SIZE_MAX;
	for (size_t i = 0; i < n; i++) {
		if (words[i] == NULL || strlen(words[i]) > WORD_LEN_MAX)
			continue;
		struct span word = span_str(words[i]);
		size_t d = distance(text, word);
		/* A third of the letters may be wrong: "mut" is mtu, "foo" is nothing. */
		size_t longer = MAX(text.len, word.len);
		if (d < least && d <= MAX(longer / 3, (size_t)1)) {
			least = d;
			nearest = words[i];
		}
	}
	return nearest;
}
