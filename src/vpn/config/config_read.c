/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * config_read.c - tree -> values, row by row of the table of settings
 *
 * A default goes the same way as a value from the file, so that it cannot be out of bounds unnoticed.
 */
#include "vpn/config/config_read.h"

#include <assert.h>
#include <stdio.h>

#include "base/util.h"
#include "vpn/config/config_list.h"
#include "vpn/config/settings.h"

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

void read_fault(struct reader *r, const struct node *node, const struct path *path, enum err err,
		const char *what)
{
	char text[PATH_TEXT_MAX];
	fault_add(r->faults, err, node != NULL ? node->mark : (struct mark){0}, "%s: %s",
		  join_path(path, text), what);
}

void read_unexpected(struct reader *r, const struct node *node, const struct path *path,
		     const char *expected)
{
	char quoted[LOG_STR_LEN];
	char what[READ_WHAT_MAX];
	const char *found = node_is_empty(node)         ? "nothing"
			    : node->kind == NODE_LIST   ? "a list"
			    : node->kind == NODE_MAP    ? "a map"
			    : /* NODE_SCALAR */ log_str(node->text, quoted);
	snprintf(what, sizeof(what), "found %s; expected %s", found, expected);
	read_fault(r, node, path, ERR_MALFORMED, what);
}

bool read_is_clean(struct reader *r, const struct node *node, const struct path *path)
{
	for (size_t i = 0; i < node->text.len; i++) {
		if (node->text.p[i] < 0x20 || node->text.p[i] == 0x7f) {
			read_fault(r, node, path, ERR_MALFORMED, "holds a control character");
			return false;
		}
	}
	return true;
}

static void read_scalar(struct reader *r, const struct setting *setting, const struct node *node,
			const struct path *path, void *member)
{
	char allowed[SETTING_TEXT_LEN];
	char quoted[LOG_STR_LEN];
	char what[READ_WHAT_MAX];
	const char *why = NULL;
	setting_allowed(setting, allowed);
	if (node->kind != NODE_SCALAR || node_is_empty(node)) {
		read_unexpected(r, node, path, setting_allowed(setting, allowed));
		return;
	}
	if (!read_is_clean(r, node, path))
		return;
	enum err e = setting_parse(setting, node->text, r->arena, member, &why);
	if (e == ERR_OK)
		return;
	snprintf(what, sizeof(what), "%s %s: %s", log_str(node->text, quoted), why,
		 setting_allowed(setting, allowed));
	read_fault(r, node, path, e, what);
}

static void read_section(struct reader *r, enum setting_section section, const struct node *map,
			 const struct path *path, void *base);

static void read_peers(struct reader *r, const struct setting *setting, const struct node *list,
		       const struct path *path, struct config_peers *peers)
{
	if (!read_is_list(r, setting, list, path))
		return;
	peers->items = arena_alloc(r->arena, list->len, sizeof(*peers->items));
	if (peers->items == NULL) {
		read_fault(r, list, path, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
		return;
	}
	peers->len = list->len;
	size_t i = 0;
	for (const struct node *item = list->first; item != NULL; item = item->next, i++) {
		struct path item_path = {.up = path, .index = i};
		if (item->kind == NODE_MAP)
			read_section(r, setting->inner, item, &item_path, &peers->items[i]);
		else
			read_unexpected(r, item, &item_path,
					"a peer, its settings indented below");
	}
}

static void read_setting(struct reader *r, const struct setting *setting, const struct node *node,
			 const struct path *path, void *base)
{
	void *member = (uint8_t *)base + setting->offset;
	switch (setting->type) {
	case SETTING_BOOL:
	case SETTING_NUMBER:
	case SETTING_DURATION:
	case SETTING_SIZE:
	case SETTING_WORD:
	case SETTING_PATH:
	case SETTING_NAME:
	case SETTING_PEER_ID:
		read_scalar(r, setting, node, path, member);
		return;
	case SETTING_LISTEN:
	case SETTING_DIAL:
	case SETTING_IP_OWN:
	case SETTING_IP_ALLOWED:
		read_list(r, setting, node, path, member);
		return;
	case SETTING_SECTION:
		if (node->kind == NODE_MAP || node_is_empty(node)) {
			read_section(r, setting->inner, node, path, base);
		} else {
			char allowed[SETTING_TEXT_LEN];
			read_unexpected(r, node, path, setting_allowed(setting, allowed));
		}
		return;
	case SETTING_PEERS:
		read_peers(r, setting, node, path, member);
		return;
	}
}

static void refuse_unknown(struct reader *r, enum setting_section section, const struct node *key,
			   const struct path *path)
{
	enum {
		NAMES_MAX = 16,
	};
	const char *names[NAMES_MAX];
	size_t n = 0;
	for (size_t i = 0; i < settings_len; i++) {
		if (settings[i].section != section)
			continue;
		assert(n < NAMES_MAX);
		names[n++] = settings[i].name;
	}
	char quoted[LOG_STR_LEN];
	char what[READ_WHAT_MAX];
	const char *nearest = fault_nearest(key->text, names, n);
	size_t at = (size_t)snprintf(what, sizeof(what), "no setting is called %s",
				     log_str(key->text, quoted));
	if (nearest != NULL) {
		snprintf(what + at, sizeof(what) - at, "; did you mean \"%s\"?", nearest);
	} else {
		for (size_t i = 0; i < n && at < sizeof(what); i++)
			at += (size_t)snprintf(what + at, sizeof(what) - at, "%s%s",
					       i == 0 ? "; there are " : ", ", names[i]);
	}
	if (path != NULL)
		read_fault(r, key, path, ERR_MALFORMED, what);
	else
		fault_add(r->faults, ERR_MALFORMED, key->mark, "%s", what);
}

/* A setting that the file does not have. */
static void read_default(struct reader *r, const struct setting *setting, const struct node *map,
			 const struct path *path, void *base)
{
	void *member = (uint8_t *)base + setting->offset;
	const char *why = NULL;
	enum err e = ERR_OK;
	switch (setting->type) {
	case SETTING_SECTION:
		read_section(r, setting->inner, NULL, path, base);
		return;
	case SETTING_PEERS:
		return;
	case SETTING_LISTEN:
	case SETTING_DIAL:
	case SETTING_IP_OWN:
	case SETTING_IP_ALLOWED:
		if (setting->initial != NULL)
			e = read_list_default(r, setting, member);
		break;
	default:
		if (setting->initial != NULL)
			e = setting_parse(setting, span_str(setting->initial), r->arena, member,
					  &why);
		break;
	}
	assert(e == ERR_OK || e == ERR_NO_MEMORY);
	if (setting->initial == NULL)
		read_fault(r, map, path, ERR_MALFORMED, "is missing");
	else if (e != ERR_OK)
		read_fault(r, map, path, e, err_text(e));
}

/* map is NULL, or empty, where all settings take their defaults. */
static void read_section(struct reader *r, enum setting_section section, const struct node *map,
			 const struct path *path, void *base)
{
	const struct node *seen[64] = {NULL};
	assert(settings_len <= ARRAY_LEN(seen));

	for (const struct node *child = map != NULL ? map->first : NULL; child != NULL;
	     child = child->next) {
		const struct setting *setting = setting_find(section, child->key->text);
		if (setting == NULL) {
			refuse_unknown(r, section, child->key, path);
			continue;
		}
		struct path child_path = {.up = path, .name = setting->name};
		const struct node **first = &seen[setting - settings];
		if (*first != NULL) {
			char what[READ_WHAT_MAX];
			snprintf(what, sizeof(what), "is set twice, first in line %u",
				 (*first)->key->mark.line);
			read_fault(r, child->key, &child_path, ERR_DUPLICATE, what);
			continue;
		}
		*first = child;
		read_setting(r, setting, child, &child_path, base);
	}
	for (size_t i = 0; i < settings_len; i++) {
		struct path child_path = {.up = path, .name = settings[i].name};
		if (settings[i].section == section && seen[i] == NULL)
			read_default(r, &settings[i], map, &child_path, base);
	}
}

/* The default of `control` depends on the interface's name. */
static void expand_control(struct reader *r, struct config *config)
{
	const char *at =
		config->control != NULL ? strstr(config->control, SETTING_INTERFACE_NAME) : NULL;
	if (at == NULL || config->interface.name == NULL)
		return;
	char text[256];
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - config->control), config->control,
		 config->interface.name, at + strlen(SETTING_INTERFACE_NAME));
	config->control = arena_text(r->arena, span_str(text));
	if (config->control == NULL)
		fault_add(r->faults, ERR_NO_MEMORY, (struct mark){0}, "%s",
			  err_text(ERR_NO_MEMORY));
}

void config_read(struct config *config, const struct node *root, struct faults *faults)
{
	struct reader r = {.faults = faults, .arena = config->arena};
	if (root != NULL && root->kind != NODE_MAP && !node_is_empty(root)) {
		fault_add(faults, ERR_MALFORMED, root->mark,
			  "found %s; expected settings, such as \"key: /etc/runnel/node.key\"",
			  root->kind == NODE_LIST ? "a list" : "a single value");
		return;
	}
	read_section(&r, SECTION_TOP, root, NULL, config);
	expand_control(&r, config);
}
