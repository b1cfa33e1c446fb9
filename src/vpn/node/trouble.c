/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* trouble.c - see trouble.h */
#include "vpn/node/trouble.h"

#include <stdio.h>

#include "base/log.h"
#include "base/util.h"
#include "p2p/host/netaddr.h"
#include "vpn/node/node_internal.h"

/* Before TCP stood. */
static const char *text_of_tcp(enum err why)
{
	switch (why) {
	case ERR_NO_ADDRESS:
		return "waits for it to connect";
	case ERR_REFUSED:
		return "connection refused: does runnel run there, with this port in its listen?";
	case ERR_TIMEOUT:
		return "no answer: is the machine up, and this TCP port open in its firewall?";
	case ERR_GATED:
		return "this address lies inside the VPN, in allowed_ips or interface.addresses";
	case ERR_DNS:
		return "the name of its address does not resolve";
	default:
		return err_text(why);
	}
}

static const char *text_of_handshake(enum err why)
{
	switch (why) {
	case ERR_SELF:
		return "this node itself answered: whose address is it?";
	case ERR_TIMEOUT:
		return "accepts connections, but does not speak libp2p: is it the right port?";
	case ERR_EOF:
	case ERR_RESET:
		return "closed before the handshake was over: does libp2p listen on this port?";
	case ERR_MALFORMED:
	case ERR_TOO_LONG:
	case ERR_NEGOTIATION:
		return "what answers there does not speak libp2p with Noise: is it the right port?";
	default:
		return err_text(why);
	}
}

const char *dial_failure_text(const struct dial_failure *f, char buf[TROUBLE_TEXT_MAX])
{
	if (f->why == ERR_WRONG_PEER && f->answered.len > 0) {
		char id[PEER_ID_TEXT_MAX];
		snprintf(buf, TROUBLE_TEXT_MAX,
			 "another peer answered, %s: is the id in peers right?",
			 peer_id_format(&f->answered, id));
		return buf;
	}
	const char *text = text_of_handshake(f->why);
	if (f->reached == CONN_DIALLING)
		text = text_of_tcp(f->why);
	else if (f->reached >= CONN_MUXING)
		text = "closed right after the handshake: is our Peer ID in its peers?";
	snprintf(buf, TROUBLE_TEXT_MAX, "%s", text);
	return buf;
}

static const char *format_addr(const union netaddr *at, char buf[MULTIADDR_TEXT_MAX])
{
	struct multiaddr addr;
	if (at->sa.sa_family == 0)
		return "-";
	netaddr_to_multiaddr(at, &addr);
	return multiaddr_format(&addr, buf);
}

void trouble_on_refused(struct node *n, const struct peer_id *id, const union netaddr *from)
{
	uint64_t held;
	if (!line_limiter_take(&n->strangers, loop_now(n->conf.loop), TROUBLE_INTERVAL, &held))
		return;
	char addr[MULTIADDR_TEXT_MAX], text[PEER_ID_TEXT_MAX];
	if (id->len > 0)
		log_info("turned away", "peer_id=%s addr=%s why=\"not in peers\" not_shown=%llu",
			 peer_id_format(id, text), format_addr(from, addr),
			 (unsigned long long)held);
	else
		log_warn("turned away",
			 "addr=%s why=\"this address lies inside the VPN, in allowed_ips or "
			 "interface.addresses\" not_shown=%llu",
			 format_addr(from, addr), (unsigned long long)held);
}

void trouble_on_dial_failed(struct node *n, uint32_t index, const struct dial_failure *failure)
{
	struct node_peer *peer = &n->peers[index];
	struct trouble *t = &peer->trouble;
	t->is_refused_there = failure->reached >= CONN_MUXING;
	if (failure->why == ERR_NO_ADDRESS && failure->at.sa.sa_family == 0)
		return; /* it is to connect to us: nothing is wrong */
	uint64_t held;
	if ((failure->why == t->why && failure->reached == t->reached) ||
	    !line_limiter_take(&t->limiter, loop_now(n->conf.loop), TROUBLE_INTERVAL, &held))
		return;
	t->why = failure->why;
	t->reached = failure->reached;
	char addr[MULTIADDR_TEXT_MAX], text[TROUBLE_TEXT_MAX];
	log_info("cannot connect", "peer=%s addr=%s err=%s why=\"%s\"", peer->conf->name,
		 format_addr(&failure->at, addr), err_name(failure->why),
		 dial_failure_text(failure, text));
}

void trouble_is_over(struct node_peer *peer)
{
	if (peer->trouble.is_refused_there)
		log_info("peer connected", "peer=%s", peer->conf->name);
	peer->trouble.is_refused_there = false;
	peer->trouble.why = ERR_OK;
}
