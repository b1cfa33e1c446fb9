/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * config_read.c - tree -> values, row by row of the table of settings
 *
 * A default goes the same way as a value from the file, so that it cannot be out of bounds
 * unnoticed.
 */
#include "vpn/config/config_read.h"

#include <assert.h>
#include <stdio.h>

#include "base/util.h"
#include "vpn/config/config_list.h"

/* What is wrong with a Peer ID whose kind can be told from its beginning; false: it cannot. */
static bool explain_peer_id(struct span text, char what[READER_WHAT_MAX])
{
	/* The kinds in use are hashes and keys of one length each, and so are their texts. */
	static const struct {
		const char *start;
		size_t len;
	} kinds[] = {{"12D3", 52}, {"16Uiu2", 53}, {"Qm", 46}};
	size_t expected = 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (span_starts_with(text, span_str(kinds[i].start)))
			expected = kinds[i].len;
	}
	if (expected == 0)
		return false;
	char quoted[LOG_STR_LEN];
	size_t at = (size_t)snprintf(what, READER_WHAT_MAX,
				     "%s is not a Peer ID: ", log_str(text, quoted));
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z');
		if (alnum && c != '0' && c != 'I' && c != 'O' && c != 'l')
			continue;
		if (c < 0x20 || c > 0x7e)
			return false;
		snprintf(what + at, READER_WHAT_MAX - at,
			 "character %zu is '%c'; there are letters and digits only, without 0, I, "
			 "O and l",
			 i + 1, c);
		return true;
	}
	snprintf(what + at, READER_WHAT_MAX - at, "%zu characters expected, %zu found", expected,
		 text.len);
	return text.len != expected;
}

static void read_scalar(struct reader *r, const struct setting *setting, const struct node *node,
			const struct path *path, void *member)
{
	char allowed[SETTING_TEXT_LEN];
	char quoted[LOG_STR_LEN];
	char what[READER_WHAT_MAX];
	const char *why = NULL;
	setting_allowed(setting, allowed);
	if (node->kind != NODE_SCALAR || node_is_empty(node)) {
		reader_unexpected(r, node, path, setting_allowed(setting, allowed));
		return;
	}
	if (!reader_is_clean(r, node, path))
		return;
	enum err e = setting_parse(setting, node->text, r->arena, member, &why);
	if (e == ERR_OK)
		return;
	if (setting->type != SETTING_PEER_ID || !explain_peer_id(node->text, what))
		snprintf(what, sizeof(what), "%s %s: %s", log_str(node->text, quoted), why,
			 setting_allowed(setting, allowed));
	reader_fault(r, node, path, e, what);
}

static void read_section(struct reader *r, enum setting_section section, const struct node *map,
			 const struct path *path, void *base);

static void read_peers(struct reader *r, const struct setting *setting, const struct node *list,
		       const struct path *path, struct config_peers *peers)
{
	if (!reader_is_list(r, setting, list, path))
		return;
	peers->items = arena_alloc(r->arena, list->len, sizeof(*peers->items));
	if (peers->items == NULL) {
		reader_fault(r, list, path, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
		return;
	}
	peers->len = list->len;
	size_t i = 0;
	for (const struct node *item = list->first; item != NULL; item = item->next, i++) {
		struct path item_path = {.up = path, .index = i};
		if (item->kind == NODE_MAP)
			read_section(r, setting->inner, item, &item_path, &peers->items[i]);
		else
			reader_unexpected(r, item, &item_path,
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
		config_list_read(r, setting, node, path, member);
		return;
	case SETTING_SECTION:
		if (node->kind == NODE_MAP || node_is_empty(node)) {
			read_section(r, setting->inner, node, path, base);
		} else {
			char allowed[SETTING_TEXT_LEN];
			reader_unexpected(r, node, path, setting_allowed(setting, allowed));
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
	char what[READER_WHAT_MAX];
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
		reader_fault(r, key, path, ERR_MALFORMED, what);
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
			e = config_list_default(r, setting, member);
		break;
	default:
		if (setting->initial != NULL)
			e = setting_parse(setting, span_str(setting->initial), r->arena, member,
					  &why);
		break;
	}
	assert(e == ERR_OK || e == ERR_NO_MEMORY);
	if (setting->initial == NULL) {
		char allowed[SETTING_TEXT_LEN];
		char what[READER_WHAT_MAX];
		snprintf(what, sizeof(what), "missing; expected %s",
			 setting_allowed(setting, allowed));
		reader_fault(r, map, path, ERR_MALFORMED, what);
	} else if (e != ERR_OK) {
		reader_fault(r, map, path, e, err_text(e));
	}
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
			char what[READER_WHAT_MAX];
			snprintf(what, sizeof(what), "is set twice, first in line %u",
				 (*first)->key->mark.line);
			reader_fault(r, child->key, &child_path, ERR_DUPLICATE, what);
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
	const char *at = config->control != NULL ? strstr(config->control, SETTING_INTERFACE_NAME)
						 : NULL;
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
