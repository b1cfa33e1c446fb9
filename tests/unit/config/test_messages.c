/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bad files and what is said about them, to the letter. */
#include "config_fixture.h"

struct bad {
	const char *what;
	const char *text;
	const char *messages; /* one a line */
};

/* clang-format off */
static const struct bad bads[] = {
	{"tab",
	 "interface:\n"
	 "\taddresses: [10.7.0.1/24]\n",
	 "f:2:1: a tab; YAML is indented with spaces\n"},
	{"unclosed list",
	 "interface: {addresses: [10.7.0.1/24}\n",
	 "f:1:36: not YAML: did not find expected ',' or ']', while parsing a flow sequence that starts in line 1\n"},
	{"unclosed quote",
	 "key: \"/etc/x\n",
	 "f:2:1: not YAML: found unexpected end of stream, while scanning a quoted scalar that starts in line 1\n"},
	{"indent",
	 " key: /a\n"
	 "listen: []\n",
	 "f:2:1: does not fit what stands before; look at the indentation\n"},
	{"utf8",
	 "key: /a\n"
	 "log_level: \377\n",
	 "f:2:12: not text in UTF-8: invalid leading UTF-8 octet\n"},
	{"anchor",
	 "key: &a /x\n",
	 "f:1:6: anchors (&) are not supported: write the value out\n"},
	{"alias",
	 "key: *a\n",
	 "f:1:6: aliases (*) are not supported: write the value out\n"},
	{"tag",
	 "key: !!str /x\n",
	 "f:1:6: tags (!) are not supported\n"},
	{"second document",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "---\n"
	 "interface: {addresses: [10.7.0.1/24]}\n",
	 "f:2:1: a second document starts here; a file holds one\n"},
	{"root list",
	 "- key: /a\n",
	 "f:1:1: found a list; expected settings, such as \"key: /etc/runnel/node.key\"\n"},
	{"root scalar",
	 "hello\n",
	 "f:1:1: found a single value; expected settings, such as \"key: /etc/runnel/node.key\"\n"},
	{"map as name",
	 "{a: 1}: b\n",
	 "f:1:1: a name must stand here, not a list or a map\n"},
	{"too deep",
	 "a: [[[[[[[[x]]]]]]]]\n",
	 "f:1:11: nested too deeply\n"},
	{"nothing",
	 "",
	 "f: interface.addresses: missing; expected a list such as [10.7.0.1/24]\n"},
	{"misspelt",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "log_levle: info\n",
	 "f:2:1: no setting is called \"log_levle\"; did you mean \"log_level\"?\n"},
	{"misspelt section",
	 "inteface: {addresses: [10.7.0.1/24]}\n",
	 "f: interface.addresses: missing; expected a list such as [10.7.0.1/24]\n"
	 "f:1:1: no setting is called \"inteface\"; did you mean \"interface\"?\n"},
	{"misspelt in section",
	 "interface:\n"
	 "  addresses: [10.7.0.1/24]\n"
	 "  mut: 1400\n",
	 "f:3:3: interface: no setting is called \"mut\"; did you mean \"mtu\"?\n"},
	{"misspelt in peer",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    alowed_ips: []\n",
	 "f:4:5: peers[0]: no setting is called \"alowed_ips\"; did you mean \"allowed_ips\"?\n"},
	{"unknown",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "frobnicate: 1\n",
	 "f:2:1: no setting is called \"frobnicate\"; there are key, listen, interface, control, log_level, queue, tcp, keepalive, shards, dispatch, health, breaker, retry, peers\n"},
	{"unknown in tcp",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "tcp:\n"
	 "  nodelay: true\n",
	 "f:3:3: tcp: no setting is called \"nodelay\"; there are user_timeout, notsent_lowat, congestion\n"},
	{"hostile key",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "\"a\\nb\\e[31m\": 1\n",
	 "f:2:1: no setting is called \"a\\x0ab\\x1b[31m\"; there are key, listen, interface, control, log_level, queue, tcp, keepalive, shards, dispatch, health, breaker, retry, peers\n"},
	{"twice",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "log_level: info\n"
	 "log_level: warn\n",
	 "f:3:1: log_level: is set twice, first in line 2\n"},
	{"section twice",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "interface: {addresses: [10.7.0.1/24]}\n",
	 "f:2:1: interface: is set twice, first in line 1\n"},
	{"bool",
	 "interface: {addresses: [10.7.0.1/24], routes: yes}\n",
	 "f:1:47: interface.routes: \"yes\" is not known: true or false\n"},
	{"number word",
	 "interface: {addresses: [10.7.0.1/24], mtu: big}\n",
	 "f:1:44: interface.mtu: \"big\" is not a number: 576 to 65535 bytes\n"},
	{"number unit",
	 "interface: {addresses: [10.7.0.1/24], mtu: 1400B}\n",
	 "f:1:44: interface.mtu: \"1400B\" is not a number: 576 to 65535 bytes\n"},
	{"number negative",
	 "interface: {addresses: [10.7.0.1/24], mtu: -1}\n",
	 "f:1:44: interface.mtu: \"-1\" is not a number: 576 to 65535 bytes\n"},
	{"number huge",
	 "interface: {addresses: [10.7.0.1/24], mtu: 99999999999999999999999}\n",
	 "f:1:44: interface.mtu: \"99999999999999999999999\" is too large: 576 to 65535 bytes\n"},
	{"number small",
	 "interface: {addresses: [10.7.0.1/24], mtu: 575}\n",
	 "f:1:44: interface.mtu: \"575\" is too small: 576 to 65535 bytes\n"},
	{"number large",
	 "interface: {addresses: [10.7.0.1/24], mtu: 65536}\n",
	 "f:1:44: interface.mtu: \"65536\" is too large: 576 to 65535 bytes\n"},
	{"number is list",
	 "interface: {addresses: [10.7.0.1/24], mtu: [1400]}\n",
	 "f:1:44: interface.mtu: found a list; expected 576 to 65535 bytes\n"},
	{"number is nothing",
	 "interface: {addresses: [10.7.0.1/24], mtu: }\n",
	 "f:1:44: interface.mtu: found nothing; expected 576 to 65535 bytes\n"},
	{"duration no unit",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "keepalive: 15\n",
	 "f:2:12: keepalive: \"15\" has no unit (ms, s, m or h): 1s to 1h\n"},
	{"duration bad unit",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "keepalive: 15sec\n",
	 "f:2:12: keepalive: \"15sec\" has an unknown unit (write ms, s, m or h): 1s to 1h\n"},
	{"duration small",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "keepalive: 999ms\n",
	 "f:2:12: keepalive: \"999ms\" is too small: 1s to 1h\n"},
	{"duration large",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "tcp: {user_timeout: 11m}\n",
	 "f:2:21: tcp.user_timeout: \"11m\" is too large: 1s to 10m\n"},
	{"duration overflow",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "keepalive: 18446744073709551615h\n",
	 "f:2:12: keepalive: \"18446744073709551615h\" is too large: 1s to 1h\n"},
	{"duration word",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "keepalive: never\n",
	 "f:2:12: keepalive: \"never\" is not a number: 1s to 1h\n"},
	{"pairs the wrong way round",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "dispatch: {max_streams_per_peer: 2, min_streams_per_peer: 3, queue_target: 1s, queue_interval: 1s}\n"
	 "health: {interval: 2s, timeout: 2001ms}\n"
	 "retry: {first: 1m, max: 59s}\n",
	 "f:2:59: dispatch.min_streams_per_peer: 3 is more than max_streams_per_peer, which is 2\n"
	 "f:2:76: dispatch.queue_target: 1s is not less than queue_interval, which is 1s\n"
	 "f:3:33: health.timeout: 2001ms is more than interval, which is 2s\n"
	 "f:4:16: retry.first: 1m is more than max, which is 59s\n"},
	{"pairs against a default",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "dispatch: {min_streams_per_peer: 11, queue_target: 100ms}\n"
	 "health: {interval: 4s}\n"
	 "retry: {max: 999ms}\n",
	 "f:2:34: dispatch.min_streams_per_peer: 11 is more than max_streams_per_peer, which is 10 by default\n"
	 "f:2:52: dispatch.queue_target: 100ms is not less than queue_interval, which is 100ms by default\n"
	 "f:3:20: health.interval: 4s is less than timeout, which is 5s by default\n"
	 "f:4:14: retry.max: 999ms is less than first, which is 1s by default\n"},
	{"pair of which one is no number",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "dispatch: {min_streams_per_peer: 3, max_streams_per_peer: many}\n"
	 "retry: {first: 0s, max: 0s}\n",
	 "f:2:59: dispatch.max_streams_per_peer: \"many\" is not a number: 1 to 64 streams\n"
	 "f:3:16: retry.first: \"0s\" is too small: 100ms to 1h\n"
	 "f:3:25: retry.max: \"0s\" is too small: 100ms to 1h\n"},
	{"size no unit",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "queue: {bytes: 2000000}\n",
	 "f:2:16: queue.bytes: \"2000000\" has no unit (B, KiB, MiB or GiB): 128KiB to 1GiB\n"},
	{"size bad unit",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "queue: {bytes: 2MB}\n",
	 "f:2:16: queue.bytes: \"2MB\" has an unknown unit (write B, KiB, MiB or GiB): 128KiB to 1GiB\n"},
	{"size small",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "queue: {bytes: 127KiB}\n",
	 "f:2:16: queue.bytes: \"127KiB\" is too small: 128KiB to 1GiB\n"},
	{"word",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "log_level: verbose\n",
	 "f:2:12: log_level: \"verbose\" is not known: error, warn, info or debug\n"},
	{"word case",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "log_level: Info\n",
	 "f:2:12: log_level: \"Info\" is not known: error, warn, info or debug\n"},
	{"path relative",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "key: node.key\n",
	 "f:2:6: key: \"node.key\" is not an absolute path: a path that starts with / and has at most 4095 bytes\n"},
	{"path empty",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "key: \"\"\n",
	 "f:2:6: key: \"\" is too short: a path that starts with / and has at most 4095 bytes\n"},
	{"path long",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "control: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
	 "f:2:10: control: \"/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" is too long: a path that starts with / and has at most 107 bytes\n"},
	{"path control character",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "key: \"/a\\0b\"\n",
	 "f:2:6: key: holds a control character\n"},
	{"interface name",
	 "interface: {addresses: [10.7.0.1/24], name: a/b}\n",
	 "f:1:45: interface.name: \"a/b\" is not a name: at most 15 letters, digits, '.', '_' or '-', a letter or digit first\n"},
	{"interface name long",
	 "interface: {addresses: [10.7.0.1/24], name: sixteen-letters-}\n",
	 "f:1:45: interface.name: \"sixteen-letters-\" is too long: at most 15 letters, digits, '.', '_' or '-', a letter or digit first\n"},
	{"congestion",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "tcp: {congestion: \"b b r\"}\n",
	 "f:2:19: tcp.congestion: \"b b r\" is not a name: at most 15 letters, digits, '.', '_' or '-', a letter or digit first\n"},
	{"section is scalar",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "tcp: fast\n",
	 "f:2:6: tcp: found \"fast\"; expected a map, its settings indented below\n"},
	{"peers is map",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers: {id: " ID1 "}\n",
	 "f:2:8: peers: found a map; expected a list of peers, each starting with \"- id:\"\n"},
	{"peer is scalar",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers: [" ID1 "]\n",
	 "f:2:9: peers[0]: found \"" ID1 "\"; expected a peer, its settings indented below\n"},
	{"list is scalar",
	 "interface: {addresses: 10.7.0.1/24}\n",
	 "f:1:24: interface.addresses: found \"10.7.0.1/24\"; expected a list such as [10.7.0.1/24]\n"},
	{"item is map",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "listen: [{a: b}]\n",
	 "f:2:10: listen[0]: found a map; expected an address\n"},
	{"item is nothing",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "listen:\n"
	 "  -\n",
	 "f:3:4: listen[0]: found nothing; expected an address\n"},
	{"no addresses",
	 "interface: {mtu: 1400}\n",
	 "f:1:12: interface.addresses: missing; expected a list such as [10.7.0.1/24]\n"},
	{"empty addresses",
	 "interface: {addresses: []}\n",
	 "f:1:24: interface.addresses: is empty; at least one is needed\n"},
	{"no id",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - name: bob\n",
	 "f:3:5: peers[0].id: missing; expected 12D3KooW... or Qm...\n"},
	{"bad id",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: 12D3KooWnotanid\n",
	 "f:3:9: peers[0].id: \"12D3KooWnotanid\" is not a Peer ID: 52 characters expected, 15 found\n"},
	{"id left out, cut, long, mistyped, of another kind",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: 12D3KooW...\n"
	 "  - id: 12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH\n"
	 "  - id: " ID1 "ee\n"
	 "  - id: 12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH30\n"
	 "  - id: 16Uiu2HAm\n"
	 "  - id: QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx\n"
	 "  - id: \"12D3KooW\u00e4\"\n"
	 "  - id: bob\n",
	 "f:3:9: peers[0].id: \"12D3KooW...\" is not a Peer ID: character 9 is '.'; there are letters and digits only, without 0, I, O and l\n"
	 "f:4:9: peers[1].id: \"12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH\" is not a Peer ID: 52 characters expected, 50 found\n"
	 "f:5:9: peers[2].id: \"" ID1 "ee\" is not a Peer ID: 52 characters expected, 54 found\n"
	 "f:6:9: peers[3].id: \"12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH30\" is not a Peer ID: character 52 is '0'; there are letters and digits only, without 0, I, O and l\n"
	 "f:7:9: peers[4].id: \"16Uiu2HAm\" is not a Peer ID: 53 characters expected, 9 found\n"
	 "f:8:9: peers[5].id: \"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx\" is not a Peer ID: 46 characters expected, 44 found\n"
	 "f:9:9: peers[6].id: \"12D3KooW\\xc3\\xa4\" is not a Peer ID: 12D3KooW... or Qm...\n"
	 "f:10:9: peers[7].id: \"bob\" is not a Peer ID: 12D3KooW... or Qm...\n"},
	{"bad multiaddr",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [192.0.2.7:4001]\n",
	 "f:4:17: peers[0].addresses[0]: \"192.0.2.7:4001\" is not a multiaddr; write /ip4/192.0.2.7/tcp/4001 or similar\n"},
	{"bad port",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7/tcp/65536]\n",
	 "f:4:17: peers[0].addresses[0]: \"/ip4/192.0.2.7/tcp/65536\" has a number that is too large; write /ip4/192.0.2.7/tcp/4001 or similar\n"},
	{"quic",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7/udp/4001/quic-v1]\n",
	 "f:4:17: peers[0].addresses[0]: \"/ip4/192.0.2.7/udp/4001/quic-v1\" cannot be dialled: UDP and QUIC are not supported, only TCP\n"},
	{"websocket",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7/tcp/443/ws]\n",
	 "f:4:17: peers[0].addresses[0]: \"/ip4/192.0.2.7/tcp/443/ws\" cannot be dialled: WebSocket and TLS are not supported, only TCP\n"},
	{"relay",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7/tcp/4001/p2p/" ID2 "/p2p-circuit]\n",
	 "f:4:17: peers[0].addresses[0]: \"/ip4/192.0.2.7/tcp/4001/p2p/" ID2 "/p2p-circuit\" cannot be dialled: relays are not supported, only TCP\n"},
	{"dnsaddr",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/dnsaddr/bob.example]\n",
	 "f:4:17: peers[0].addresses[0]: \"/dnsaddr/bob.example\" cannot be dialled: dnsaddr is not supported, only dns, dns4 and dns6\n"},
	{"no port",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7]\n",
	 "f:4:17: peers[0].addresses[0]: \"/ip4/192.0.2.7\" cannot be dialled: it is not of the form /ip4/ADDRESS/tcp/PORT\n"},
	{"port 0",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7/tcp/0]\n",
	 "f:4:17: peers[0].addresses[0]: \"/ip4/192.0.2.7/tcp/0\" cannot be dialled: port 0 is no port\n"},
	{"unspecified",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/0.0.0.0/tcp/4001]\n",
	 "f:4:17: peers[0].addresses[0]: \"/ip4/0.0.0.0/tcp/4001\" cannot be dialled: it names no host\n"},
	{"multicast",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip6/ff02::1/tcp/4001]\n",
	 "f:4:17: peers[0].addresses[0]: \"/ip6/ff02::1/tcp/4001\" cannot be dialled: it is a multicast address\n"},
	{"listen name",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "listen: [/dns4/me.example/tcp/4001]\n",
	 "f:2:10: listen[0]: \"/dns4/me.example/tcp/4001\" cannot be listened on: a name is no local address; write ip4 or ip6\n"},
	{"listen p2p",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "listen: [/ip4/0.0.0.0/tcp/4001/p2p/" ID1 "]\n",
	 "f:2:10: listen[0]: \"/ip4/0.0.0.0/tcp/4001/p2p/" ID1 "\" cannot be listened on: leave the /p2p part out\n"},
	{"listen udp",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "listen: [/ip4/0.0.0.0/udp/4001/quic-v1]\n",
	 "f:2:10: listen[0]: \"/ip4/0.0.0.0/udp/4001/quic-v1\" cannot be listened on: UDP and QUIC are not supported, only TCP\n"},
	{"too many addresses",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.0/tcp/1, /ip4/192.0.2.1/tcp/1, /ip4/192.0.2.2/tcp/1, /ip4/192.0.2.3/tcp/1, /ip4/192.0.2.4/tcp/1, /ip4/192.0.2.5/tcp/1, /ip4/192.0.2.6/tcp/1, /ip4/192.0.2.7/tcp/1, /ip4/192.0.2.8/tcp/1, /ip4/192.0.2.9/tcp/1, /ip4/192.0.2.10/tcp/1, /ip4/192.0.2.11/tcp/1, /ip4/192.0.2.12/tcp/1, /ip4/192.0.2.13/tcp/1, /ip4/192.0.2.14/tcp/1, /ip4/192.0.2.15/tcp/1, /ip4/192.0.2.16/tcp/1]\n",
	 "f:4:16: peers[0].addresses: has 17 items; at most 16 are possible\n"},
	{"bad ip",
	 "interface: {addresses: [10.7.0.256/24]}\n",
	 "f:1:25: interface.addresses[0]: \"10.7.0.256/24\" is not an IP prefix; write 10.7.0.1/24, fd07::1/64 or similar\n"},
	{"bad prefix length",
	 "interface: {addresses: [10.7.0.1/33]}\n",
	 "f:1:25: interface.addresses[0]: \"10.7.0.1/33\" has a prefix length that is too large: 0 to 32, IPv6 0 to 128\n"},
	{"host bits",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    allowed_ips: [10.7.0.5/24]\n",
	 "f:4:19: peers[0].allowed_ips[0]: \"10.7.0.5/24\" has host bits set: write 10.7.0.0/24, or 10.7.0.5/32 for the one address\n"},
	{"host bits ip6",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    allowed_ips: [\"fd07::5/64\"]\n",
	 "f:4:19: peers[0].allowed_ips[0]: \"fd07::5/64\" has host bits set: write fd07::/64, or fd07::5/128 for the one address\n"},
	{"loopback",
	 "interface: {addresses: [127.0.0.1/8]}\n",
	 "f:1:25: interface.addresses[0]: \"127.0.0.1/8\" cannot be the address of an interface\n"},
	{"network address",
	 "interface: {addresses: [10.7.0.0/24]}\n",
	 "f:1:25: interface.addresses: 10.7.0.0/24 is the network, not an address in it\n"},
	{"broadcast address",
	 "interface: {addresses: [10.7.0.255/24]}\n",
	 "f:1:25: interface.addresses: 10.7.0.255/24 is the network's broadcast address\n"},
	{"mtu ip6",
	 "interface: {addresses: [fd07::1/64], mtu: 1279}\n",
	 "f:1:43: interface.mtu: 1279 is too small with an IPv6 address: at least 1280 bytes\n"},
	{"own twice",
	 "interface: {addresses: [10.7.0.1/24, 10.7.0.1/16]}\n",
	 "f:1:38: interface.addresses: the same address is in line 1 already\n"},
	{"listen twice",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "listen:\n"
	 "  - /ip4/0.0.0.0/tcp/1\n"
	 "  - /ip4/0.0.0.0/tcp/1\n",
	 "f:4:5: listen: the same address is in line 3 already\n"},
	{"id twice",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "  - id: " ID1 "\n",
	 "f:4:9: peers[1].id: this peer is in line 3 already\n"},
	{"name twice",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    name: bob\n"
	 "  - id: " ID2 "\n"
	 "    name: bob\n",
	 "f:6:11: peers[1].name: another peer has this name, in line 4\n"},
	{"prefix twice in two",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    allowed_ips: [10.7.0.2/32]\n"
	 "  - id: " ID2 "\n"
	 "    allowed_ips:\n"
	 "      - 10.7.0.3/32\n"
	 "      - 10.7.0.2/32\n",
	 "f:8:9: peers[1].allowed_ips: 10.7.0.2/32 is another peer's already, in line 4\n"},
	{"prefix twice in one",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    allowed_ips: [10.7.0.2/32, 10.7.0.2]\n",
	 "f:4:32: peers[0].allowed_ips: 10.7.0.2/32 is given twice, first in line 4\n"},
	{"address twice",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7/tcp/1, /ip4/192.0.2.7/tcp/1/p2p/" ID1 "]\n",
	 "f:4:39: peers[0].addresses: the same address is in line 4 already\n"},
	{"p2p of another",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7/tcp/1/p2p/" ID2 "]\n",
	 "f:4:17: peers[0].addresses: its /p2p part names another peer than id\n"},
	{"own address allowed",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    allowed_ips: [10.7.0.1/32]\n",
	 "f:4:19: peers[0].allowed_ips: 10.7.0.1/32 is this node's own address\n"},
	{"dial inside of interface",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/10.7.0.2/tcp/4001]\n",
	 "f:4:17: peers[0].addresses: lies in the VPN itself (interface.addresses, 10.7.0.1/24); a peer is dialled outside of it\n"},
	{"dial inside of allowed",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7/tcp/4001]\n"
	 "  - id: " ID2 "\n"
	 "    allowed_ips: [192.0.2.0/24]\n",
	 "f:4:17: peers[0].addresses: lies in the VPN itself (allowed_ips 192.0.2.0/24 in line 6); a peer is dialled outside of it, or set interface.routes to false\n"},
	{"default routes",
	 "interface: {addresses: [10.7.0.1/24, fd07::1/64]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    addresses: [/ip4/192.0.2.7/tcp/4001, /ip6/2001:db8::7/tcp/4001]\n"
	 "    allowed_ips: [0.0.0.0/0, 10.7.0.2/32]\n"
	 "  - id: " ID2 "\n"
	 "    allowed_ips: ['::/0']\n",
	 "f:5:19: peers[0].allowed_ips: 0.0.0.0/0 makes a default route through a peer, which would lead the tunnel into itself: not supported yet; set interface.routes to false and make the routes by hand\n"
	 "f:7:19: peers[1].allowed_ips: ::/0 makes a default route through a peer, which would lead the tunnel into itself: not supported yet; set interface.routes to false and make the routes by hand\n"},
	{"default route in halves",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    allowed_ips: [0.0.0.0/1, '8000::/1']\n"
	 "  - id: " ID2 "\n"
	 "    addresses: [/ip4/192.0.2.7/tcp/4001]\n"
	 "    allowed_ips: [128.0.0.0/1]\n",
	 "f:4:19: peers[0].allowed_ips: 0.0.0.0/1 with its other half makes a default route through a peer, which would lead the tunnel into itself: not supported yet; set interface.routes to false and make the routes by hand\n"
	 "f:7:19: peers[1].allowed_ips: 128.0.0.0/1 with its other half makes a default route through a peer, which would lead the tunnel into itself: not supported yet; set interface.routes to false and make the routes by hand\n"},
	{"one half only",
	 "interface: {addresses: [10.7.0.1/24]}\n"
	 "peers:\n"
	 "  - id: " ID1 "\n"
	 "    allowed_ips: [0.0.0.0/1, '8000::/1']\n",
	 ""},
	{"many at once",
	 "interface:\n"
	 "  addresses: [10.7.0.1/40]\n"
	 "  mtu: 12\n"
	 "log_levle: info\n"
	 "keepalive: 15\n"
	 "peers:\n"
	 "  - name: bob\n"
	 "    id: 12D3\n",
	 "f:2:15: interface.addresses[0]: \"10.7.0.1/40\" has a prefix length that is too large: 0 to 32, IPv6 0 to 128\n"
	 "f:3:8: interface.mtu: \"12\" is too small: 576 to 65535 bytes\n"
	 "f:4:1: no setting is called \"log_levle\"; did you mean \"log_level\"?\n"
	 "f:5:12: keepalive: \"15\" has no unit (ms, s, m or h): 1s to 1h\n"
	 "f:8:9: peers[0].id: \"12D3\" is not a Peer ID: 52 characters expected, 4 found\n"},
};
/* clang-format on */

static void test_bad_files_are_explained(void **state)
{
	(void)state;
	bool same = true;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		char got[8192] = "";
		size_t at = 0;
		struct config *config = NULL;
		enum err e = parse(bads[i].text, &config);
		assert_true(e != ERR_OK || errors.len == 0);
		assert_null(e != ERR_OK ? config : NULL);
		config_free(config);
		for (size_t j = 0; j < errors.len; j++)
			at += (size_t)snprintf(got + at, sizeof(got) - at, "%s\n",
					       errors.items[j].text);
		if (strcmp(got, bads[i].messages) != 0) {
			print_error("CASE %zu %s\n%s", i, bads[i].what, got);
			same = false;
		}
	}
	assert_true(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_files_are_explained),
	};
	return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
