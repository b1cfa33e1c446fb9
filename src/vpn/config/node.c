/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * node.c - see node.h
 *
 * libyaml's events come one by one, each with its place; a builder hangs them into the tree. Depth
 * is bounded by the builder's stack, and so is libyaml's own work: it is not asked for more events
 * once the depth is reached. The first fault of the syntax ends the parse: what follows cannot be
 * told.
 */
#include "vpn/config/node.h"

#include <yaml.h>

#include "base/util.h"

enum {
	NODES_MAX = 500000, /* scalars, lists and maps; 10,000 peers of 30 each, and room */
};

struct builder {
	struct arena *arena;
	struct faults *faults;
	struct node *root;
	struct node *open[CONFIG_DEPTH_MAX]; /* from the root to where events go now */
	struct node *last[CONFIG_DEPTH_MAX]; /* newest child of each */
	struct node *key[CONFIG_DEPTH_MAX];  /* read, its value not yet */
	size_t depth;
	size_t nodes;
};

static struct mark mark_of(yaml_mark_t m)
{
	return (struct mark){.line = (unsigned)m.line + 1, .column = (unsigned)m.column + 1};
}

static enum err fault(struct builder *b, struct mark at, const char *text)
{
	fault_add(b->faults, ERR_MALFORMED, at, "%s", text);
	return ERR_MALFORMED;
}

static enum err no_memory(struct builder *b)
{
	fault_add(b->faults, ERR_NO_MEMORY, (struct mark){0}, "%s", err_text(ERR_NO_MEMORY));
	return ERR_NO_MEMORY;
}

/* Hang a node into the list or map that is open, or make it the root. */
static enum err add_child(struct builder *b, struct node *node)
{
	if (b->depth == 0) {
		b->root = node;
		return ERR_OK;
	}
	size_t at = b->depth - 1;
	struct node *parent = b->open[at];
	if (parent->kind == NODE_MAP && b->key[at] == NULL) {
		if (node->kind != NODE_SCALAR)
			return fault(b, node->mark, "a name must stand here, not a list or a map");
		b->key[at] = node;
		return ERR_OK;
	}
	node->key = b->key[at];
	b->key[at] = NULL;
	if (parent->first == NULL)
		parent->first = node;
	else
		b->last[at]->next = node;
	b->last[at] = node;
	parent->len++;
	return ERR_OK;
}

static enum err add(struct builder *b, enum node_kind kind, struct mark at, struct node **ret_node)
{
	if (++b->nodes > NODES_MAX)
		return fault(b, at, "too many values in one file");
	struct node *node = arena_alloc(b->arena, 1, sizeof(*node));
	if (node == NULL)
		return no_memory(b);
	node->kind = kind;
	node->mark = at;
	*ret_node = node;
	return add_child(b, node);
}

static enum err add_scalar(struct builder *b, const yaml_event_t *event)
{
	struct node *node;
	struct span text = span_of(event->data.scalar.value, event->data.scalar.length);
	enum err e = add(b, NODE_SCALAR, mark_of(event->start_mark), &node);
	if (e != ERR_OK)
		return e;
	const char *copy = arena_text(b->arena, text);
	if (copy == NULL)
		return no_memory(b);
	node->text = span_of(copy, text.len);
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return ERR_OK;
}

static enum err open_node(struct builder *b, enum node_kind kind, const yaml_event_t *event)
{
	struct mark at = mark_of(event->start_mark);
	struct node *node;
	if (b->depth == CONFIG_DEPTH_MAX)
		return fault(b, at, "nested too deeply");
	enum err e = add(b, kind, at, &node);
	if (e != ERR_OK)
		return e;
	b->open[b->depth] = node;
	b->last[b->depth] = NULL;
	b->key[b->depth] = NULL;
	b->depth++;
	return ERR_OK;
}

/* Anchors and tags are refused where they are defined, so that an alias has nothing to point to. */
static enum err refuse_extras(struct builder *b, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL;
	const yaml_char_t *tag = NULL;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	struct mark at = mark_of(event->start_mark);
	if (anchor != NULL)
		return fault(b, at, "anchors (&) are not supported: write the value out");
	if (tag != NULL)
		return fault(b, at, "tags (!) are not supported");
	return ERR_OK;
}

/* *done at the end of the stream. */
static enum err take_event(struct builder *b, const yaml_event_t *event, bool *done)
{
	enum err e = refuse_extras(b, event);
	if (e != ERR_OK)
		return e;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return add_scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_node(b, NODE_LIST, event);
	case YAML_MAPPING_START_EVENT:
		return open_node(b, NODE_MAP, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return ERR_OK;
	case YAML_ALIAS_EVENT:
		return fault(b, mark_of(event->start_mark),
			     "aliases (*) are not supported: write the value out");
	case YAML_DOCUMENT_START_EVENT:
		if (b->root != NULL)
			return fault(b, mark_of(event->start_mark),
				     "a second document starts here; a file holds one");
		return ERR_OK;
	case YAML_STREAM_END_EVENT:
		*done = true;
		return ERR_OK;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return ERR_OK;
	}
	return ERR_OK;
}

/* Where the n-th byte is, for faults that libyaml finds before it counts lines. */
static struct mark mark_of_offset(struct span text, size_t n)
{
	struct mark at = {.line = 1, .column = 1};
	for (size_t i = 0; i < n && i < text.len; i++) {
		if (text.p[i] == '\n')
			at = (struct mark){.line = at.line + 1, .column = 1};
		else if ((text.p[i] & 0xc0) != 0x80)
			at.column++;
	}
	return at;
}

/* A tab where libyaml found "a character that cannot start any token": the fault that people make.
 */
static bool is_tab(struct span text, yaml_mark_t at)
{
	size_t line = 0;
	size_t i = 0;
	for (; i < text.len && line < at.line; i++)
		line += text.p[i] == '\n';
	return at.column < text.len - i && text.p[i + at.column] == '\t';
}

static enum err syntax_fault(struct builder *b, const yaml_parser_t *parser, struct span text)
{
	const char *problem = parser->problem != NULL ? parser->problem : "not readable";
	struct mark at;
	switch (parser->error) {
	case YAML_MEMORY_ERROR:
		return no_memory(b);
	case YAML_READER_ERROR:
		at = mark_of_offset(text, parser->problem_offset);
		fault_add(b->faults, ERR_MALFORMED, at, "not text in UTF-8: %s", problem);
		return ERR_MALFORMED;
	default:
		at = mark_of(parser->problem_mark);
		break;
	}
	if (is_tab(text, parser->problem_mark))
		return fault(b, at, "a tab; YAML is indented with spaces");
	if (strcmp(problem, "did not find expected <document start>") == 0)
		return fault(b, at, "does not fit what stands before; look at the indentation");
	if (parser->context != NULL)
		fault_add(b->faults, ERR_MALFORMED, at, "not YAML: %s, %s that starts in line %u",
			  problem, parser->context, mark_of(parser->context_mark).line);
	else
		fault_add(b->faults, ERR_MALFORMED, at, "not YAML: %s", problem);
	return ERR_MALFORMED;
}

enum err node_parse(struct span text, struct arena *arena, struct faults *faults,
		    struct node **ret_root)
{
	struct builder b = {.arena = arena, .faults = faults};
	yaml_parser_t parser;
	if (yaml_parser_initialize(&parser) == 0)
		return no_memory(&b);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, text.p, text.len);

	enum err e = ERR_OK;
	bool done = false;
	while (e == ERR_OK && !done) {
		yaml_event_t event;
		if (yaml_parser_parse(&parser, &event) == 0) {
			e = syntax_fault(&b, &parser, text);
			break;
		}
		e = take_event(&b, &event, &done);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (e == ERR_OK)
		*ret_root = b.root;
	return e;
}

const struct node *node_get(const struct node *map, const char *key)
{
	if (map == NULL || map->kind != NODE_MAP)
		return NULL;
	struct span wanted = span_str(key);
	for (const struct node *child = map->first; child != NULL; child = child->next) {
		if (span_equal(child->key->text, wanted))
			return child;
	}
	return NULL;
}

bool node_is_empty(const struct node *node)
{
	return node->kind == NODE_SCALAR && node->plain && node->text.len == 0;
}
