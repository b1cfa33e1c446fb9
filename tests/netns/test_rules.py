#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Who may send what to whom: destinations that nobody owns, sources that are another's, and a
tunnel that does not run through itself."""
import sys
import time

import flow
import node
import runner
from lab import wait_until

CONNECT = """
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
    print("read", len(s.recv(100)))
except ConnectionResetError:
    print("reset")
"""


def connect(host, address, port=node.PORT):
    return host.run(sys.executable, "-c", CONNECT, address, port).stdout.strip()


def says_unreachable(host, address):
    start = time.monotonic()
    done = flow.ping(host, address, 1, wait_s=5)
    assert "nreachable" in done.stdout, done
    flow.measured(f"{address} unreachable", time.monotonic() - start, 3)


def test_address_without_an_owner_is_unreachable_at_once(lab):
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        says_unreachable(a.host, "10.7.0.77")
        says_unreachable(a.host, "fd07::77")
        assert flow.drops(a)["no_route"] >= 2
        assert flow.counters(a)["icmp_sent"] >= 2
        assert flow.counters(b)["peer_rx_packets"] == 0


def test_peer_that_is_down_is_unreachable_at_once(lab):
    a, b = node.mesh(lab, 2)
    a.start()
    time.sleep(1.2)     # a packet waits for a second, in case that the peer comes
    says_unreachable(a.host, b.vpn4)
    says_unreachable(a.host, b.vpn6)
    assert flow.drops(a)["peer_down"] >= 2
    a.stop()


def test_multicast_and_broadcast_go_nowhere_and_are_not_answered(lab):
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        flow.ping(a.host, "10.7.0.255", 2, "-b", wait_s=1)
        flow.ping(a.host, "ff02::1%runnel0", 2, wait_s=1)
        assert flow.drops(a)["multicast"] >= 2
        assert flow.counters(a)["icmp_sent"] == 0
        assert flow.counters(b)["peer_rx_packets"] == 0


def test_source_that_is_not_the_senders_is_dropped_and_counted(lab):
    a, b, c = nodes = node.mesh(lab, 3)
    with node.up(nodes):
        sources = ("10.7.0.99", "fd07::99",     # nobody's
                   c.vpn4, c.vpn6,              # another peer's
                   "192.0.2.1", "2001:db8:f::1")
        for k, source in enumerate(sources, 1):
            to, length = (a.vpn6, 128) if ":" in source else (a.vpn4, 32)
            b.host.ip("addr", "add", f"{source}/{length}", "dev", "runnel0",
                      *(["nodad"] if length == 128 else []))
            before = flow.settled([a])[0]
            assert flow.ping(b.host, to, 3, "-I", source, wait_s=0.5).returncode == 1
            after = flow.settled([a])[0]
            refused = (after["drops"]["source_not_allowed"]
                       - before["drops"]["source_not_allowed"])
            assert refused == 3, f"{source}: {refused} of 3 refused"
            assert (after["counters"]["tun_tx_packets"]
                    == before["counters"]["tun_tx_packets"]), source
        assert flow.received(b.host, a.vpn4, 5, "-I", b.vpn4) == 5
        assert flow.received(c.host, a.vpn4, 5) == 5


def test_longest_prefix_wins(lab):
    """10.8/16 is b's, 10.8.1/24 in it c's: on the way there and for sources."""
    a, b, c = nodes = node.mesh(lab, 3)
    a.config["peers"][0]["allowed_ips"] += ["10.8.0.0/16", "fd08::/32"]
    a.config["peers"][1]["allowed_ips"] += ["10.8.1.0/24", "fd08:0:1::/48"]
    both = ["10.8.0.1/32", "10.8.1.1/32", "10.8.2.1/32", "fd08::1/128", "fd08:0:1::1/128"]
    b.config["interface"]["addresses"] += both
    c.config["interface"]["addresses"] += both
    owners = (("10.8.0.1", b), ("10.8.1.1", c), ("10.8.2.1", b), ("fd08::1", b),
              ("fd08:0:1::1", c))
    with node.up(nodes):
        for address, owner in owners:
            other = c if owner is b else b
            before = flow.peer(a, owner)["tx_packets"], flow.peer(a, other)["tx_packets"]
            assert flow.received(a.host, address, 3) == 3, address
            after = flow.peer(a, owner)["tx_packets"], flow.peer(a, other)["tx_packets"]
            assert after == (before[0] + 3, before[1]), (address, before, after)
            # The same the other way: only the owner may use it as a source.
            to = a.vpn6 if ":" in address else a.vpn4
            refused = flow.drops(a)["source_not_allowed"]
            flow.ping(other.host, to, 3, "-I", address, wait_s=0.5)
            assert flow.drops(a)["source_not_allowed"] == refused + 3, address


def test_tunnel_does_not_run_through_itself(lab):
    """A peer's address within the VPN is no address to dial, and nobody is accepted from there."""
    a, b = nodes = node.mesh(lab, 2, dial="later")
    for address in (f"/ip4/{b.vpn4}/tcp/{node.PORT}", f"/ip6/{b.vpn6}/tcp/{node.PORT}"):
        a.config["peers"][0]["addresses"] = [b.dial4, address]
        a.write_config()
        done = a.runnel("up", "-c", a.config_path, check=False)
        assert done.returncode == 1 and "lies in the VPN itself" in done.stderr, done
    a.config["peers"][0]["addresses"] = [b.dial4]
    with node.up(nodes):
        for host, address in ((b.host, a.vpn4), (b.host, a.vpn6), (a.host, a.vpn4)):
            before = a.status()["connections"]["refused_gated"]
            assert connect(host, address) in ("reset", "read 0"), address
            assert a.status()["connections"]["refused_gated"] == before + 1, address
        assert flow.received(a.host, b.vpn4, 5) == 5


def test_stranger_is_turned_away(lab):
    """Somebody with a key of their own that is not in the configuration."""
    a, b, c = node.mesh(lab, 3)
    a.config["peers"] = a.config["peers"][:1]
    a.peers = a.peers[:1]
    for one in (a, b, c):
        one.start()
    for one, other in ((a, b), (b, c)):
        one.wait_connected(other)
    wait_until(lambda: a.status()["connections"]["refused_gated"] > 0, 10, "c to be refused")
    assert not c.is_connected(a)
    assert flow.ping(c.host, a.vpn4, 2, wait_s=0.5).returncode == 1
    assert flow.received(a.host, b.vpn4, 5) == 5
    node.down((a, b, c))


if __name__ == "__main__":
    runner.main(globals())
