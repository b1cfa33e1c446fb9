/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * config_order.c - numbers and durations of which one must not be above the other
 *
 * The fault stands where the user wrote one of the two, and says what the other is, and whether
 * that is its default. A number that was refused before is 0: above none, and as the greater one,
 * which may not be 0, passed over.
 */
#include <assert.h>

#include "base/util.h"
#include "vpn/config/config_read.h"
#include "vpn/config/settings.h"

struct pair {
	enum setting_section section;
	const char *less;
	const char *more;
	bool may_equal;
};

static const struct pair pairs[] = {
	{SECTION_DISPATCH, "min_streams_per_peer", "max_streams_per_peer", .may_equal = true},
	{SECTION_DISPATCH, "queue_target", "queue_interval", .may_equal = false},
	{SECTION_HEALTH, "timeout", "interval", .may_equal = true},
	{SECTION_RETRY, "first", "max", .may_equal = true},
};

/* One of the two: what it is called, what it is, and where that is written. */
struct side {
	const struct setting *setting;
	uint64_t value;
	const struct node *node; /* NULL: it is the default */
	char text[SETTING_TEXT_LEN];
};

static void look_up(struct side *side, const struct pair *pair, const char *name,
		    const struct config *config, const struct node *map)
{
	side->setting = setting_find(pair->section, span_str(name));
	assert(side->setting != NULL);
	const void *member = (const uint8_t *)config + side->setting->offset;
	side->value = side->setting->type == SETTING_NUMBER ? *(const uint32_t *)member
							    : *(const uint64_t *)member;
	side->node = map != NULL ? node_get(map, name) : NULL;
	setting_number_format(side->setting, side->value, side->text);
}

static const char *section_name(enum setting_section section)
{
	for (size_t i = 0; i < settings_len; i++) {
		if (settings[i].type == SETTING_SECTION && settings[i].inner == section)
			return settings[i].name;
	}
	return "";
}

static void check_pair(const struct pair *pair, const struct config *config,
		       const struct node *root, struct faults *faults)
{
	const char *section = section_name(pair->section);
	const struct node *map = root != NULL ? node_get(root, section) : NULL;
	struct side less;
	struct side more;
	look_up(&less, pair, pair->less, config, map);
	look_up(&more, pair, pair->more, config, map);
	if (less.value < more.value || (pair->may_equal && less.value == more.value) ||
	    more.value == 0)
		return;
	bool is_less_written = less.node != NULL;
	const struct side *written = is_less_written ? &less : &more;
	const struct side *other = is_less_written ? &more : &less;
	const char *how = is_less_written ? (pair->may_equal ? "more than" : "not less than")
					  : (pair->may_equal ? "less than" : "not more than");
	fault_add(faults, ERR_MALFORMED,
		  written->node != NULL ? written->node->mark : (struct mark){0},
		  "%s.%s: %s is %s %s, which is %s%s", section, written->setting->name,
		  written->text, how, other->setting->name, other->text,
		  other->node == NULL ? " by default" : "");
}

void config_check_order(const struct config *config, const struct node *root, struct faults *faults)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		check_pair(&pairs[i], config, root, faults);
}
