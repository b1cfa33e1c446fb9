/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * config_check.c - settings compared with each other
 *
 * The tree is walked beside the values, for the places: the n-th item of a list in the one is the
 * n-th in the other. Items that were refused before are empty and are passed over. What must not
 * occur twice is collected, sorted, and compared with its neighbour.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "vpn/config/config_read.h"

/* Something that may occur once. */
struct entry {
	struct span key; /* lent by the config */
	struct mark mark;
	size_t peer;
};

static_assert(sizeof(struct ip_prefix) == 18, "a prefix is compared as bytes: no padding");

struct entries {
	struct entry *items;
	size_t len;
	bool lens[2][129]; /* of prefixes: does one have this family and length? */
};

struct checker {
	struct config *config;
	const struct node *root;
	struct faults *faults;
	struct entries prefixes; /* of all peers' allowed_ips */
};

#define FAULT(c, mark, ...) fault_add((c)->faults, ERR_MALFORMED, (mark), __VA_ARGS__)

static const struct node *child(const struct node *map, const char *key)
{
	return map != NULL ? node_get(map, key) : NULL;
}

static const struct node *first_item(const struct node *list)
{
	return list != NULL ? list->first : NULL;
}

static const struct node *next_item(const struct node *item)
{
	return item != NULL ? item->next : NULL;
}

static struct mark mark_of(const struct node *node)
{
	return node != NULL ? node->mark : (struct mark){0};
}

static int compare_keys(struct span a, struct span b)
{
	int order = memcmp(a.p, b.p, MIN(a.len, b.len));
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;
	int order = compare_keys(x->key, y->key);
	if (order == 0)
		order = (x->mark.line > y->mark.line) - (x->mark.line < y->mark.line);
	if (order == 0)
		order = (x->mark.column > y->mark.column) - (x->mark.column < y->mark.column);
	return order;
}

/* Room for n entries. */
static bool make_entries(struct checker *c, size_t n, struct entries *ret_entries)
{
	*ret_entries = (struct entries){.items = calloc(n + 1, sizeof(struct entry))};
	if (ret_entries->items == NULL)
		fault_add(c->faults, ERR_NO_MEMORY, (struct mark){0}, "%s",
			  err_text(ERR_NO_MEMORY));
	return ret_entries->items != NULL;
}

static void add_entry(struct entries *entries, struct span key, const struct node *node,
		      size_t peer)
{
	if (key.len > 0)
		entries->items[entries->len++] =
			(struct entry){.key = key, .mark = mark_of(node), .peer = peer};
}

/* Sort, and call `twice` for each entry that has an equal one before it. */
static void find_twice(struct checker *c, struct entries *entries,
		       void (*twice)(struct checker *, const struct entry *first,
				     const struct entry *again))
{
	qsort(entries->items, entries->len, sizeof(entries->items[0]), compare_entries);
	const struct entry *first = entries->items;
	for (size_t i = 1; i < entries->len; i++) {
		if (compare_keys(first->key, entries->items[i].key) == 0)
			twice(c, first, &entries->items[i]);
		else
			first = &entries->items[i];
	}
}

static void id_twice(struct checker *c, const struct entry *first, const struct entry *again)
{
	FAULT(c, again->mark, "peers[%zu].id: this peer is in line %u already", again->peer,
	      first->mark.line);
}

static void name_twice(struct checker *c, const struct entry *first, const struct entry *again)
{
	FAULT(c, again->mark, "peers[%zu].name: another peer has this name, in line %u",
	      again->peer, first->mark.line);
}

static struct ip_prefix prefix_of(const struct entry *entry)
{
	struct ip_prefix prefix;
	memcpy(&prefix, entry->key.p, sizeof(prefix));
	return prefix;
}

static void prefix_twice(struct checker *c, const struct entry *first, const struct entry *again)
{
	char text[IP_PREFIX_TEXT_MAX];
	const struct ip_prefix prefix = prefix_of(again);
	ip_prefix_format(&prefix, text);
	if (first->peer == again->peer)
		FAULT(c, again->mark, "peers[%zu].allowed_ips: %s is given twice, first in line %u",
		      again->peer, text, first->mark.line);
	else
		FAULT(c, again->mark,
		      "peers[%zu].allowed_ips: %s is another peer's already, in line %u",
		      again->peer, text, first->mark.line);
}

static void address_twice(struct checker *c, const struct entry *first, const struct entry *again)
{
	FAULT(c, again->mark, "peers[%zu].addresses: the same address is in line %u already",
	      again->peer, first->mark.line);
}

static void own_twice(struct checker *c, const struct entry *first, const struct entry *again)
{
	FAULT(c, again->mark, "interface.addresses: the same address is in line %u already",
	      first->mark.line);
}

static void listen_twice(struct checker *c, const struct entry *first, const struct entry *again)
{
	FAULT(c, again->mark, "listen: the same address is in line %u already", first->mark.line);
}

static void check_ids_and_names(struct checker *c)
{
	const struct config_peers *peers = &c->config->peers;
	struct entries ids;
	struct entries names;
	if (!make_entries(c, peers->len, &ids))
		return;
	if (!make_entries(c, peers->len, &names)) {
		free(ids.items);
		return;
	}
	const struct node *item = first_item(child(c->root, "peers"));
	for (size_t i = 0; i < peers->len; i++, item = next_item(item)) {
		const struct config_peer *peer = &peers->items[i];
		add_entry(&ids, peer_id_view(&peer->id), child(item, "id"), i);
		if (peer->name != NULL)
			add_entry(&names, span_str(peer->name), child(item, "name"), i);
	}
	find_twice(c, &ids, id_twice);
	find_twice(c, &names, name_twice);
	free(ids.items);
	free(names.items);
}

static bool is_own_address(const struct config *config, const struct ip_prefix *prefix)
{
	const struct config_prefixes *own = &config->interface.addresses;
	if (prefix->len != ip_addr_bits(&prefix->addr))
		return false;
	for (size_t i = 0; i < own->len; i++) {
		if (ip_addr_equal(&own->items[i].addr, &prefix->addr))
			return true;
	}
	return false;
}

/* c->prefixes is filled and sorted. */
static void check_allowed_ips(struct checker *c)
{
	const struct config_peers *peers = &c->config->peers;
	size_t n = 0;
	for (size_t i = 0; i < peers->len; i++)
		n += peers->items[i].allowed_ips.len;
	if (!make_entries(c, n, &c->prefixes))
		return;
	const struct node *peer = first_item(child(c->root, "peers"));
	for (size_t i = 0; i < peers->len; i++, peer = next_item(peer)) {
		const struct config_prefixes *list = &peers->items[i].allowed_ips;
		const struct node *item = first_item(child(peer, "allowed_ips"));
		for (size_t j = 0; j < list->len; j++, item = next_item(item)) {
			const struct ip_prefix *prefix = &list->items[j];
			if (prefix->addr.family == 0)
				continue;
			c->prefixes.lens[prefix->addr.family == 6][prefix->len] = true;
			add_entry(&c->prefixes, span_of(prefix, sizeof(*prefix)), item, i);
			char text[IP_PREFIX_TEXT_MAX];
			if (is_own_address(c->config, prefix))
				FAULT(c, mark_of(item),
				      "peers[%zu].allowed_ips: %s is this node's own address", i,
				      ip_prefix_format(prefix, text));
		}
	}
	find_twice(c, &c->prefixes, prefix_twice);
}

/* The entry of just this prefix; NULL if there is none. */
static const struct entry *find_prefix(const struct checker *c, const struct ip_prefix *prefix)
{
	struct span wanted = span_of(prefix, sizeof(*prefix));
	size_t from = 0;
	size_t to = c->prefixes.len;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		const struct entry *entry = &c->prefixes.items[middle];
		int order = compare_keys(wanted, entry->key);
		if (order == 0)
			return entry;
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

/* The longest allowed prefix that holds the address; NULL if none does. */
static const struct entry *find_holder(const struct checker *c, const struct ip_addr *ip)
{
	for (unsigned len = ip_addr_bits(ip) + 1; len-- > 0;) {
		if (!c->prefixes.lens[ip->family == 6][len])
			continue;
		struct ip_prefix prefix = {.addr = *ip, .len = (uint8_t)len};
		prefix = ip_prefix_network(&prefix);
		const struct entry *entry = find_prefix(c, &prefix);
		if (entry != NULL)
			return entry;
	}
	return NULL;
}

/* Is every address of the family in this prefix, or in it and its other half, as in 0.0.0.0/1 and
 * 128.0.0.0/1? */
static bool is_default(const struct checker *c, const struct ip_prefix *prefix)
{
	struct ip_prefix other = *prefix;
	other.addr.bytes[0] ^= 0x80;
	return prefix->len == 0 || (prefix->len == 1 && find_prefix(c, &other) != NULL);
}

/* Whatever address a peer comes from or is dialled at: its packets would be sent to a peer. */
static void check_default_routes(struct checker *c)
{
	for (size_t i = 0; c->config->interface.routes && i < c->prefixes.len; i++) {
		const struct entry *entry = &c->prefixes.items[i];
		const struct ip_prefix prefix = prefix_of(entry);
		char text[IP_PREFIX_TEXT_MAX];
		if (!is_default(c, &prefix))
			continue;
		FAULT(c, entry->mark,
		      "peers[%zu].allowed_ips: %s%s makes a default route through a peer, which "
		      "would lead the tunnel into itself: not supported yet; set interface.routes "
		      "to false and make the routes by hand",
		      entry->peer, ip_prefix_format(&prefix, text),
		      prefix.len == 0 ? "" : " with its other half");
	}
}

/* Packets to an address inside the VPN would be sent through the VPN, to this very address. */
static void check_underlay(struct checker *c, size_t i, const struct multiaddr_tcp *tcp,
			   const struct node *item)
{
	const struct config_interface *interface = &c->config->interface;
	struct ip_addr ip;
	if (tcp->host_code == MULTIADDR_IP4)
		ip = ip_addr_v4(tcp->host.p);
	else if (tcp->host_code == MULTIADDR_IP6)
		ip = ip_addr_v6(tcp->host.p);
	else
		return;
	char text[IP_PREFIX_TEXT_MAX];
	for (size_t j = 0; j < interface->addresses.len; j++) {
		const struct ip_prefix *own = &interface->addresses.items[j];
		if (!ip_prefix_contains(own, &ip))
			continue;
		FAULT(c, mark_of(item),
		      "peers[%zu].addresses: lies in the VPN itself (interface.addresses, %s); a "
		      "peer is dialled outside of it",
		      i, ip_prefix_format(own, text));
		return;
	}
	const struct entry *holder = interface->routes ? find_holder(c, &ip) : NULL;
	if (holder == NULL)
		return;
	const struct ip_prefix prefix = prefix_of(holder);
	if (is_default(c, &prefix)) /* which is said once, not for each address */
		return;
	FAULT(c, mark_of(item),
	      "peers[%zu].addresses: lies in the VPN itself (allowed_ips %s in line %u); a "
	      "peer is dialled outside of it, or set interface.routes to false",
	      i, ip_prefix_format(&prefix, text), holder->mark.line);
}

static void check_peer_addresses(struct checker *c, size_t i, const struct node *node)
{
	struct config_peer *peer = &c->config->peers.items[i];
	struct entries seen;
	if (!make_entries(c, peer->addresses.len, &seen))
		return;
	const struct node *item = first_item(child(node, "addresses"));
	for (size_t j = 0; j < peer->addresses.len; j++, item = next_item(item)) {
		struct multiaddr *addr = &peer->addresses.items[j];
		struct multiaddr_tcp tcp;
		struct peer_id id;
		if (addr->len == 0 || multiaddr_as_tcp(addr, &tcp) != ERR_OK)
			continue;
		check_underlay(c, i, &tcp, item);
		multiaddr_split_p2p(addr, &id);
		if (id.len > 0 && peer->id.len > 0 && !peer_id_equal(&id, &peer->id))
			FAULT(c, mark_of(item),
			      "peers[%zu].addresses: its /p2p part names another peer than id", i);
		add_entry(&seen, multiaddr_view(addr), item, i);
	}
	find_twice(c, &seen, address_twice);
	free(seen.items);
}

static void check_listen(struct checker *c)
{
	const struct config_addrs *listen = &c->config->listen;
	struct entries seen;
	if (!make_entries(c, listen->len, &seen))
		return;
	const struct node *item = first_item(child(c->root, "listen"));
	for (size_t i = 0; i < listen->len; i++, item = next_item(item)) {
		struct multiaddr_tcp tcp;
		const struct multiaddr *addr = &listen->items[i];
		/* Port 0 is another one each time. */
		if (addr->len > 0 && multiaddr_as_tcp(addr, &tcp) == ERR_OK && tcp.port != 0)
			add_entry(&seen, multiaddr_view(addr), item, 0);
	}
	find_twice(c, &seen, listen_twice);
	free(seen.items);
}

static void check_own_address(struct checker *c, const struct ip_prefix *own,
			      const struct node *item)
{
	char text[IP_PREFIX_TEXT_MAX];
	bool is_short = own->addr.family == 4 && own->len <= 30;
	if (is_short && ip_prefix_is_network(own))
		FAULT(c, mark_of(item),
		      "interface.addresses: %s is the network, not an address in it",
		      ip_prefix_format(own, text));
	else if (is_short && ip_prefix_is_broadcast(own, &own->addr))
		FAULT(c, mark_of(item),
		      "interface.addresses: %s is the network's broadcast address",
		      ip_prefix_format(own, text));
}

static void check_interface(struct checker *c)
{
	const struct config_interface *interface = &c->config->interface;
	const struct node *node = child(c->root, "interface");
	const struct node *mtu = child(node, "mtu");
	struct entries seen;
	bool has_ip6 = false;
	if (!make_entries(c, interface->addresses.len, &seen))
		return;
	const struct node *item = first_item(child(node, "addresses"));
	for (size_t i = 0; i < interface->addresses.len; i++, item = next_item(item)) {
		const struct ip_prefix *own = &interface->addresses.items[i];
		if (own->addr.family == 0)
			continue;
		has_ip6 |= own->addr.family == 6;
		add_entry(&seen, span_of(&own->addr, sizeof(own->addr)), item, 0);
		check_own_address(c, own, item);
	}
	find_twice(c, &seen, own_twice);
	free(seen.items);
	/* RFC 8200, 5: "every link in the Internet have an MTU of 1280 octets or greater" */
	if (has_ip6 && interface->mtu != 0 && interface->mtu < 1280)
		FAULT(c, mark_of(mtu),
		      "interface.mtu: %u is too small with an IPv6 address: at least 1280 bytes",
		      interface->mtu);
}

void config_check(struct config *config, const struct node *root, struct faults *faults)
{
	struct checker c = {.config = config, .root = root, .faults = faults};
	check_listen(&c);
	check_interface(&c);
	config_check_order(config, root, faults);
	check_ids_and_names(&c);
	check_allowed_ips(&c);
	check_default_routes(&c);
	const struct node *peer = first_item(child(root, "peers"));
	for (size_t i = 0; i < config->peers.len; i++, peer = next_item(peer))
		check_peer_addresses(&c, i, peer);
	free(c.prefixes.items);
}
