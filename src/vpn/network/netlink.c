/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * netlink.c - the socket: requests out, answers in; see netlink.h and netlink_request.h
 *
 * One request is under way at a time. It carries a fresh sequence number; answers with another one
 * belong to a request that timed out before, and are skipped. Only the kernel can send to this
 * socket (others need CAP_NET_ADMIN); lengths are checked all the same, see netlink_walk.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "vpn/network/netlink_request.h"

/* Helpful, not needed: kernels without them answer more (dumps) or less (errors). */
static void set_options(struct mnl_socket *sock)
{
	int on = 1;
	(void)mnl_socket_setsockopt(sock, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(sock, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(sock, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
}

enum err netlink_open(struct netlink **ret_nl, struct iface_error *why)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	if (nl == NULL)
		return iface_error_set(why, ERR_NO_MEMORY, "open netlink: out of memory");
	struct timeval timeout = {.tv_sec = NETLINK_TIMEOUT / NSEC_PER_SEC};
	nl->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (nl->sock == NULL || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) != 0 ||
	    setsockopt(mnl_socket_get_fd(nl->sock), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		       sizeof(timeout)) != 0) {
		int errnum = errno;
		netlink_close(nl);
		return iface_error_errno(why, errnum, "open netlink");
	}
	set_options(nl->sock);
	nl->portid = mnl_socket_get_portid(nl->sock);
	*ret_nl = nl;
	return ERR_OK;
}

struct netlink *netlink_close(struct netlink *nl)
{
	if (nl != NULL && nl->sock != NULL)
		mnl_socket_close(nl->sock);
	free(nl);
	return NULL;
}

void *netlink_request_init(struct netlink_request *req, uint16_t type, unsigned flags,
			   size_t body_len)
{
	memset(req, 0, sizeof(*req));
	req->head = mnl_nlmsg_put_header(req->bytes);
	req->head->nlmsg_type = type;
	req->head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	return mnl_nlmsg_put_extra_header(req->head, body_len);
}

/* The text that the kernel may put behind the error, and behind the request that it repeats. */
static void keep_words(struct netlink *nl, const struct nlmsghdr *head)
{
	if ((head->nlmsg_flags & NLM_F_ACK_TLVS) == 0)
		return;
	const struct nlmsgerr *body = mnl_nlmsg_get_payload(head);
	size_t offset = sizeof(*body);
	if ((head->nlmsg_flags & NLM_F_CAPPED) == 0)
		offset += body->msg.nlmsg_len - sizeof(body->msg);
	struct netlink_walk attrs = netlink_walk_attrs(head, offset);
	const struct nlattr *attr;
	while (netlink_walk_next_attr(&attrs, &attr))
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			snprintf(nl->said, sizeof(nl->said), "%s", mnl_attr_get_str(attr));
}

/* What one request has come to. */
struct outcome {
	bool done, interrupted;
	int errnum;
};

static void take_answer(struct netlink *nl, const struct nlmsghdr *head, netlink_reply_fn *fn,
			void *ctx, struct outcome *out)
{
	if ((head->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
		out->interrupted = true;
	if (head->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *body = mnl_nlmsg_get_payload(head);
		out->done = true;
		out->errnum = EPROTO;
		if (mnl_nlmsg_get_payload_len(head) < sizeof(*body))
			return;
		out->errnum = -body->error;
		keep_words(nl, head);
	} else if (head->nlmsg_type == NLMSG_DONE) {
		/* The end of a dump may be an error too. */
		int status = 0;
		if (mnl_nlmsg_get_payload_len(head) >= sizeof(status))
			memcpy(&status, mnl_nlmsg_get_payload(head), sizeof(status));
		out->done = true;
		out->errnum = status < 0 ? -status : 0;
	} else if (head->nlmsg_type >= NLMSG_MIN_TYPE && fn != NULL) {
		fn(ctx, head);
	}
}

static int receive(struct netlink *nl, size_t *ret_len)
{
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl->sock, nl->reply, sizeof(nl->reply));
		if (n >= 0) {
			*ret_len = (size_t)n;
			return 0;
		}
		if (errno == EAGAIN)
			return ETIMEDOUT;
		if (errno != EINTR)
			return errno;
	}
}

int netlink_ask(struct netlink *nl, struct netlink_request *req, netlink_reply_fn *fn, void *ctx)
{
	struct outcome out = {0};
	/* A dump ends with a message of its own, other answers with the acknowledgement. */
	if ((req->head->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		req->head->nlmsg_flags |= NLM_F_ACK;
	req->head->nlmsg_seq = ++nl->seq;
	nl->said[0] = '\0';
	if (mnl_socket_sendto(nl->sock, req->head, req->head->nlmsg_len) < 0)
		return errno;
	while (!out.done) {
		size_t len = 0;
		int errnum = receive(nl, &len);
		if (errnum != 0)
			return errnum;
		struct netlink_walk walk = netlink_walk_messages(span_of(nl->reply, len));
		const struct nlmsghdr *head;
		while (!out.done && netlink_walk_next_message(&walk, &head))
			if (head->nlmsg_seq == nl->seq && head->nlmsg_pid == nl->portid)
				take_answer(nl, head, fn, ctx, &out);
	}
	return out.errnum != 0 ? out.errnum : out.interrupted ? EAGAIN : 0;
}

enum err netlink_error(const struct netlink *nl, struct iface_error *why, int errnum,
		       const char *fmt, ...)
{
	char what[IFACE_ERROR_LEN];
	va_list args;
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	if (errnum == EPERM)
		return iface_error_set(why, ERR_PERMISSION, "%s: needs CAP_NET_ADMIN", what);
	if (nl->said[0] != '\0')
		return iface_error_set(why, err_from_errno(errnum), "%s: %s", what, nl->said);
	return iface_error_errno(why, errnum, "%s", what);
}

/* --- addresses in attributes --------------------------------------------------------- */

uint8_t netlink_family(const struct ip_addr *addr)
{
	return addr->family == 6 ? AF_INET6 : AF_INET;
}

void netlink_request_put_addr(struct netlink_request *req, uint16_t attr,
			      const struct ip_addr *addr)
{
	struct span bytes = ip_addr_view(addr);
	mnl_attr_put(req->head, attr, bytes.len, bytes.p);
}

bool netlink_attr_addr(const struct nlattr *attr, int family, struct ip_addr *ret)
{
	size_t len = mnl_attr_get_payload_len(attr);
	if (family == AF_INET && len == 4)
		*ret = ip_addr_v4(mnl_attr_get_payload(attr));
	else if (family == AF_INET6 && len == 16)
		*ret = ip_addr_v6(mnl_attr_get_payload(attr));
	else
		return false;
	return true;
}

bool netlink_is_no_ip6(int errnum, const struct ip_addr *addr)
{
	return addr->family == 6 &&
	       (errnum == EACCES || errnum == EOPNOTSUPP || errnum == EAFNOSUPPORT);
}
