/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* config_list.c - see config_list.h */
#include "vpn/config/config_list.h"

#include <stdio.h>

#include "base/util.h"

enum {
	WHY_MAX = 192, /* bytes of a reason, two prefixes in it */
};

/* Why a multiaddr that is not of plain TCP cannot be used, by its first part that is foreign to us.
 */
static const char *name_transport(const struct multiaddr *addr)
{
	struct span iter = multiaddr_view(addr);
	struct multiaddr_part part;
	while (multiaddr_next(&iter, &part)) {
		switch (part.code) {
		case MULTIADDR_UDP:
		case MULTIADDR_QUIC:
		case MULTIADDR_QUIC_V1:
		case MULTIADDR_WEBTRANSPORT:
		case MULTIADDR_WEBRTC:
		case MULTIADDR_WEBRTC_DIRECT:
			return "UDP and QUIC are not supported, only TCP";
		case MULTIADDR_WS:
		case MULTIADDR_WSS:
		case MULTIADDR_TLS:
			return "WebSocket and TLS are not supported, only TCP";
		case MULTIADDR_P2P_CIRCUIT:
			return "relays are not supported, only TCP";
		case MULTIADDR_DNSADDR:
			return "dnsaddr is not supported, only dns, dns4 and dns6";
		case MULTIADDR_UNIX:
		case MULTIADDR_MEMORY:
			return "only TCP is supported";
		default:
			break;
		}
	}
	return "it is not of the form /ip4/ADDRESS/tcp/PORT";
}

static struct ip_addr host_ip(const struct multiaddr_tcp *tcp)
{
	if (tcp->host_code == MULTIADDR_IP4)
		return ip_addr_v4(tcp->host.p);
	if (tcp->host_code == MULTIADDR_IP6)
		return ip_addr_v6(tcp->host.p);
	return (struct ip_addr){0};
}

static enum err parse_multiaddr(enum setting_type type, struct span text,
				struct multiaddr *ret_addr, char why[WHY_MAX])
{
	const char *use = type == SETTING_LISTEN ? "cannot be listened on" : "cannot be dialled";
	const char *reason = NULL;
	struct multiaddr_tcp tcp;
	struct multiaddr addr;
	enum err e = multiaddr_parse(text, &addr);
	if (e != ERR_OK) {
		const char *what = e == ERR_RANGE         ? "has a number that is too large"
				   : e == ERR_UNSUPPORTED ? "has a part of an unknown kind"
				   : e == ERR_TOO_LONG    ? "is too long"
							  : "is not a multiaddr";
		snprintf(why, WHY_MAX, "%s; write /ip4/192.0.2.7/tcp/4001 or similar", what);
		return e;
	}
	if (multiaddr_as_tcp(&addr, &tcp) != ERR_OK) {
		snprintf(why, WHY_MAX, "%s: %s", use, name_transport(&addr));
		return ERR_UNSUPPORTED;
	}
	struct ip_addr ip = host_ip(&tcp);
	if (type == SETTING_LISTEN && ip.family == 0)
		reason = "a name is no local address; write ip4 or ip6";
	else if (type == SETTING_LISTEN && tcp.peer.len > 0)
		reason = "leave the /p2p part out";
	else if (type == SETTING_DIAL && tcp.port == 0)
		reason = "port 0 is no port";
	else if (type == SETTING_DIAL && ip_addr_is_unspecified(&ip))
		reason = "it names no host";
	if (ip_addr_is_multicast(&ip))
		reason = "it is a multicast address";
	if (reason != NULL) {
		snprintf(why, WHY_MAX, "%s: %s", use, reason);
		return ERR_UNSUPPORTED;
	}
	*ret_addr = addr;
	return ERR_OK;
}

static enum err parse_prefix(enum setting_type type, struct span text, struct ip_prefix *ret_prefix,
			     char why[WHY_MAX])
{
	struct ip_prefix prefix;
	enum err e = ip_prefix_parse(text, &prefix);
	if (e == ERR_RANGE) {
		snprintf(why, WHY_MAX,
			 "has a prefix length that is too large: 0 to 32, IPv6 0 to 128");
		return e;
	}
	if (e != ERR_OK) {
		snprintf(why, WHY_MAX, "is not an IP prefix; write %s or similar",
			 type == SETTING_IP_OWN ? "10.7.0.1/24, fd07::1/64"
						: "10.7.0.2/32, fd07::/64");
		return e;
	}
	if (type == SETTING_IP_ALLOWED && !ip_prefix_is_network(&prefix)) {
		char network[IP_PREFIX_TEXT_MAX];
		char host[IP_PREFIX_TEXT_MAX];
		struct ip_prefix masked = ip_prefix_network(&prefix);
		prefix.len = (uint8_t)ip_addr_bits(&prefix.addr);
		snprintf(why, WHY_MAX, "has host bits set: write %s, or %s for the one address",
			 ip_prefix_format(&masked, network), ip_prefix_format(&prefix, host));
		return ERR_MALFORMED;
	}
	if (type == SETTING_IP_OWN &&
	    (ip_addr_is_unspecified(&prefix.addr) || ip_addr_is_multicast(&prefix.addr) ||
	     ip_addr_is_loopback(&prefix.addr))) {
		snprintf(why, WHY_MAX, "cannot be the address of an interface");
		return ERR_MALFORMED;
	}
	*ret_prefix = prefix;
	return ERR_OK;
}

static bool is_prefixes(const struct setting *setting)
{
	return setting->type == SETTING_IP_OWN || setting->type == SETTING_IP_ALLOWED;
}

static enum err alloc_items(struct reader *r, const struct setting *setting, size_t len,
			    void *member)
{
	if (is_prefixes(setting)) {
		struct config_prefixes *list = member;
		list->items = arena_alloc(r->arena, len, sizeof(*list->items));
		list->len = list->items != NULL ? len : 0;
		return list->items != NULL ? ERR_OK : ERR_NO_MEMORY;
	}
	struct config_addrs *list = member;
	list->items = arena_alloc(r->arena, len, sizeof(*list->items));
	list->len = list->items != NULL ? len : 0;
	return list->items != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static enum err parse_item(const struct setting *setting, struct span text, size_t i, void *member,
			   char why[WHY_MAX])
{
	if (is_prefixes(setting)) {
		struct config_prefixes *list = member;
		return parse_prefix(setting->type, text, &list->items[i], why);
	}
	struct config_addrs *list = member;
	return parse_multiaddr(setting->type, text, &list->items[i], why);
}

void config_list_read(struct reader *r, const struct setting *setting, const struct node *node,
		      const struct path *path, void *member)
{
	if (!reader_is_list(r, setting, node, path))
		return;
	if (alloc_items(r, setting, node->len, member) != ERR_OK) {
		reader_fault(r, node, path, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
		return;
	}
	size_t i = 0;
	for (const struct node *item = node->first; item != NULL; item = item->next, i++) {
		struct path item_path = {.up = path, .index = i};
		char why[WHY_MAX];
		if (item->kind != NODE_SCALAR || node_is_empty(item)) {
			reader_unexpected(r, item, &item_path, "an address");
			continue;
		}
		if (!reader_is_clean(r, item, &item_path))
			continue;
		enum err e = parse_item(setting, item->text, i, member, why);
		if (e != ERR_OK) {
			char quoted[LOG_STR_LEN];
			char what[READER_WHAT_MAX];
			snprintf(what, sizeof(what), "%s %s", log_str(item->text, quoted), why);
			reader_fault(r, item, &item_path, e, what);
		}
	}
}

enum err config_list_default(struct reader *r, const struct setting *setting, void *member)
{
	const char *text = setting->initial;
	size_t len = text[0] != '\0';
	for (const char *c = text; *c != '\0'; c++)
		len += *c == ',';
	enum err e = alloc_items(r, setting, len, member);
	for (size_t i = 0; i < len && e == ERR_OK; i++) {
		char why[WHY_MAX];
		size_t n = strcspn(text, ",");
		e = parse_item(setting, span_of(text, n), i, member, why);
		text += n;
		text += strspn(text, ", ");
	}
	return e;
}
