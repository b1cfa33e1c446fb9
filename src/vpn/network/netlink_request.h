/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * netlink_request.h - one question to the kernel and its answers; for netlink*.c only
 *
 *     struct netlink_request req;
 *     struct ifinfomsg *body = netlink_request_init(&req, RTM_SETLINK, NLM_F_ACK, sizeof(*body));
 *     mnl_attr_put_u32(req.head, IFLA_MTU, mtu);
 *     int errnum = netlink_ask(nl, &req, NULL, NULL);
 *     if (errnum != 0)
 *             return netlink_error(nl, why, errnum, "set MTU %u", mtu);
 */
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "vpn/network/netlink.h"
#include "vpn/network/netlink_walk.h"

enum {
	NETLINK_REQUEST_LEN = 512,     /* bytes; ours have at most eight small attributes */
	NETLINK_REPLY_LEN = 32 * 1024, /* bytes; the longest datagram that the kernel makes */
};

struct netlink {
	struct mnl_socket *sock;
	unsigned portid;
	uint32_t seq;
	char said[128]; /* the kernel's words about the last failure, or "" */
	_Alignas(struct nlmsghdr) uint8_t reply[NETLINK_REPLY_LEN];
};

struct netlink_request {
	struct nlmsghdr *head;
	_Alignas(struct nlmsghdr) uint8_t bytes[NETLINK_REQUEST_LEN];
};

/* A request of this RTM_ type with an empty body of `body_len` bytes, which is returned.
 * NLM_F_REQUEST is set. */
void *netlink_request_init(struct netlink_request *req, uint16_t type, unsigned flags,
			   size_t body_len);
void netlink_request_put_addr(struct netlink_request *req, uint16_t attr,
			      const struct ip_addr *addr);

/* An answer that is not an error. */
typedef void netlink_reply_fn(void *ctx, const struct nlmsghdr *head);

/*
 * Send and receive until the kernel has said all. 0, or an errno value: of the kernel, of the
 * socket, ETIMEDOUT. A dump that was interrupted by a change gives EAGAIN after the last answer.
 */
int netlink_ask(struct netlink *nl, struct netlink_request *req, netlink_reply_fn *fn, void *ctx);

/* `why` becomes what was tried and what the kernel said. Returns the error for errnum. */
enum err netlink_error(const struct netlink *nl, struct iface_error *why, int errnum,
		       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* An attribute that holds an address of this AF_ family; false if it does not. */
bool netlink_attr_addr(const struct nlattr *attr, int family, struct ip_addr *ret);
/* AF_INET or AF_INET6. */
uint8_t netlink_family(const struct ip_addr *addr);

/* The kernel's ways to say that there is no IPv6 here: not in the kernel or not on the device. */
bool netlink_is_no_ip6(int errnum, const struct ip_addr *addr);
#define NETLINK_NO_IP6                                                                         \
	"IPv6 is disabled on this machine or device (sysctl net.ipv6.conf.*.disable_ipv6, or " \
	"ipv6.disable on the kernel's command line)"
