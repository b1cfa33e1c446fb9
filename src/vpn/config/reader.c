/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* reader.c - see reader.h */
#include "vpn/config/reader.h"

#include <stdio.h>

static const char *join_path(const struct path *path, char buf[PATH_TEXT_MAX])
{
	char up[PATH_TEXT_MAX] = "";
	if (path->up != NULL)
		join_path(path->up, up);
	if (path->name == NULL)
		snprintf(buf, PATH_TEXT_MAX, "%.80s[%zu]", up, path->index);
	else
		snprintf(buf, PATH_TEXT_MAX, "%.80s%s%.32s", up, up[0] != '\0' ? "." : "",
			 path->name);
	return buf;
}

void reader_fault(struct reader *r, const struct node *node, const struct path *path, enum err err,
		  const char *what)
{
	char text[PATH_TEXT_MAX];
	fault_add(r->faults, err, node != NULL ? node->mark : (struct mark){0}, "%s: %s",
		  join_path(path, text), what);
}

void reader_unexpected(struct reader *r, const struct node *node, const struct path *path,
		       const char *expected)
{
	char quoted[LOG_STR_LEN];
	char what[READER_WHAT_MAX];
	const char *found = node_is_empty(node)       ? "nothing"
			    : node->kind == NODE_LIST ? "a list"
			    : node->kind == NODE_MAP
				    ? "a map"
				    : /* NODE_SCALAR */ log_str(node->text, quoted);
	snprintf(what, sizeof(what), "found %s; expected %s", found, expected);
	reader_fault(r, node, path, ERR_MALFORMED, what);
}

bool reader_is_clean(struct reader *r, const struct node *node, const struct path *path)
{
	for (size_t i = 0; i < node->text.len; i++) {
		if (node->text.p[i] < 0x20 || node->text.p[i] == 0x7f) {
			reader_fault(r, node, path, ERR_MALFORMED, "holds a control character");
			return false;
		}
	}
	return true;
}

bool reader_is_list(struct reader *r, const struct setting *setting, const struct node *node,
		    const struct path *path)
{
	char what[READER_WHAT_MAX];
	if (node->kind != NODE_LIST && !node_is_empty(node)) {
		char allowed[SETTING_TEXT_LEN];
		reader_unexpected(r, node, path, setting_allowed(setting, allowed));
		return false;
	}
	if (node->len < setting->min) {
		reader_fault(r, node, path, ERR_RANGE, "is empty; at least one is needed");
		return false;
	}
	if (node->len > setting->max) {
		snprintf(what, sizeof(what), "has %zu items; at most %zu are possible", node->len,
			 (size_t)setting->max);
		reader_fault(r, node, path, ERR_RANGE, what);
		return false;
	}
	return true;
}
