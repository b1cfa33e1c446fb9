/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * limits.h - the bounds that others can reach: a name, a unit and a reason
 *
 * What happens at a bound is written where it is enforced. Bounds that users set are in the table
 * of settings (vpn/config), those of one protocol's own in its header; those here are shared or
 * protect the process.
 */
#pragma once

#include "base/time.h"

enum {
	/* wire */
	UVARINT_LEN_MAX = 9,       /* bytes; multiformats: 63 bits */
	MULTIADDR_LEN_MAX = 512,   /* bytes; a dns name, a port, two peer ids, and room to skip what
				      we do not dial */
	MULTIADDR_TEXT_MAX = 1024, /* bytes with the zero; the longest text of such an address */
	MULTIADDR_PARTS_MAX = 16, /* parts; a relayed webtransport address has 11. Keeps texts below
				     MULTIADDR_TEXT_MAX: /webrtc-direct is 14 bytes made of 2 */
	PEER_ID_LEN_MAX = 44, /* bytes; identity multihash of at most 42 bytes, as go and rust */
	PUBLIC_KEY_LEN_MAX = 1100, /* bytes; RSA 8192 in protobuf is 1,070: parsed so that it can be
				      refused by size */
	RSA_BITS_MIN = 2048,       /* bits; as go, rust and js */
	RSA_BITS_MAX = 4096, /* bits; CVE-2023-39533: a larger key costs us more than its sender */

	/* multistream-select */
	MSS_TOKEN_LEN_MAX = 1024, /* bytes; as go and js */
	MSS_NAME_LEN_MAX = 256,   /* bytes of a name that can be agreed on; ours have below 40, and
				     a responder keeps one until its echo is sent */
	MSS_ROUNDS_MAX = 16,      /* proposals; a peer that guesses longer does not speak with us */

	/* noise */
	NOISE_FRAME_LEN_MAX = 65535,  /* bytes after the length; the format's own maximum */
	NOISE_PLAIN_LEN_MAX = 65519,  /* bytes; the frame less its tag */
	NOISE_PAYLOAD_LEN_MAX = 4096, /* bytes; an RSA 4096 key and signature need 1.6 KB */
	NOISE_MUXERS_MAX = 16,        /* names in the early muxer list; further ones are not read */
	LANES_MAX = 64, /* connections to one peer on purpose, one per shard: lane numbers are below
			   that; the largest machines that run a node have as many cores to spare */

	/* yamux */
	YAMUX_WINDOW_INITIAL = 256 * 1024, /* bytes; the spec */
	YAMUX_WINDOW_MAX = 16 * 1024 *
			   1024, /* bytes; go and js; rust dies of a u32 overflow above */
	YAMUX_BODY_LEN_SEND =
		NOISE_PLAIN_LEN_MAX -
		12, /* bytes of body: one frame fills one Noise record; rust refuses above 1 MiB */
	YAMUX_WINDOW_GROWTH_MAX = 64 * 1024 * 1024, /* bytes that the windows of one session may
						       grow in all: four at their maximum */
	YAMUX_STREAMS_IN_MAX =
		256, /* streams that the peer may have open; as go's resource manager */
	YAMUX_STREAMS_OUT_MAX = 256, /* streams of ours; rust ends the connection above 512 */
	YAMUX_ACK_BACKLOG_MAX = 256, /* streams not yet acknowledged, either way; the spec */
	YAMUX_PONGS_MAX = 32,      /* answers waiting for a reader; as go: then the session ends */
	YAMUX_OWED_MAX = 1024,     /* streams, and last frames of gone streams that wait for a
				      reader: both tables, and as much again that is refused */
	YAMUX_CHURN_BURST = 1024,  /* streams opened and reset by the peer, as a burst ... */
	YAMUX_CHURN_PER_SEC = 128, /* ... and as a rate; above, the session ends (rapid reset) */

	/* host: connections */
	CONN_TRANSIENT_MAX = 64,      /* connections that have not proved who they are, in all */
	CONN_TRANSIENT_RESERVED = 16, /* of these, for addresses that a peer was seen at */
	CONN_PER_IP4_MAX = 8,    /* unproved connections of one IPv4 address; as go's limiter */
	CONN_PER_IP6_56_MAX = 8, /* ... of one IPv6 /56: a household */
	CONN_PER_IP6_48_MAX =
		24, /* ... of one IPv6 /48: a site; half of what strangers may hold in all */
	/* Each connection may cost us a handshake, 0.4 ms. Rates, and how many may come at once,
	 * by block of addresses; go's 0.2/s and 16 would lock out an office behind one address. */
	CONN_RATE_IP4_PER_SEC = 16, /* of one IPv4 address, or IPv6 /56: 0.6% of a core for ever */
	CONN_RATE_IP4_BURST = 128,  /* ... at once: 128 nodes behind one NAT come back together */
	CONN_RATE_IP6_48_PER_SEC = 64, /* of one IPv6 /48: as four households */
	CONN_RATE_IP6_48_BURST = 512,
	CONN_RATE_PER_SEC = 256, /* of all strangers together: 10% of a core. Addresses that a peer
				    was seen at are not held by it */
	CONN_RATE_BURST = 1024,  /* ... at once: as many as there can be connections */
	CONN_PER_PEER_MAX =
		4, /* proved connections of one peer: the old, the new, and both dialled at once */
	CONN_MAX = 1024, /* connections in all */
	STREAM_NEGOTIATIONS_MAX =
		32, /* inbound streams of one connection that have not chosen a protocol */
	STREAM_WRITE_MAX = 16 * 1024, /* bytes that a small protocol may queue on its stream */
	DIAL_ADDRS_MAX = 16,          /* addresses tried for one peer */

	/* identify */
	IDENTIFY_LEN_MAX = 4096,    /* bytes of a message that we send; rust reads no longer ones */
	IDENTIFY_READ_MAX = 8192,   /* bytes of all messages that we read; as js and go */
	IDENTIFY_MESSAGES_MAX = 10, /* messages on one stream; as go and js */
	IDENTIFY_ADDRS_MAX = 20,    /* addresses kept of one peer; as go */
	IDENTIFY_PROTOCOLS_MAX = 128, /* protocols read of one peer; further ones are not read */

	/* loop */
	LISTEN_BACKLOG = 256, /* connections that wait for accept(): a restart of a network of 1,000
				 nodes, a turn apart; the kernel's somaxconn may be less */
	RESOLVE_ADDRS_MAX = 16, /* addresses of one name; as many as are dialled for one peer */

	/* vpn */
	PACKET_LEN_MAX = 65535, /* bytes; an IP packet's own maximum */
	PACKET_EXTENSIONS_MAX =
		8, /* IPv6 extension headers walked; more than RFC 8200 4.1 asks for */
	OFFLOAD_SEGMENTS_MAX = 1024, /* segments of a super-packet: cut smaller, it costs the
					receiver more than the sender */
	ICMP_ERRORS_PER_SEC = 100,   /* errors we answer with, a token bucket: RFC 4443 2.4 (f) */
	ICMP_ERRORS_BURST = 20,      /* ... as many at once: a page that opens 20 connections */
	CONFIG_LEN_MAX = 4 * 1024 *
			 1024, /* bytes of a configuration file: 1,000 peers are 200 KB */
};

#define UPGRADE_TIMEOUT                                                           \
	(10 * NSEC_PER_SEC) /* TCP accepted or dialled -> muxer agreed, all of it \
			     */
#define CONNECT_TIMEOUT                                                                           \
	(1500 * NSEC_PER_MSEC) /* TCP connected, of that: two SYNs; then a new attempt is better, \
				* whose SYN comes before TCP's third */
#define NEGOTIATION_TIMEOUT (10 * NSEC_PER_SEC) /* one stream's protocol; as go, js and rust */
#define IDENTIFY_TIMEOUT    (5 * NSEC_PER_SEC)  /* as go and js */
#define CONN_YIELD                                                                       \
	(1 * NSEC_PER_SEC) /* the way to the muxer takes 4 round trips: who needs longer \
			    * makes room when all places are taken */
