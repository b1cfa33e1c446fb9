#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Faults of the Go original that can be seen from outside, and are not here: tests/README.md has the
list of all, and says which other tests belong to it."""
import json
import sys
import time

import flow
import node
import runner
from lab import wait_until

BOUND_S = 5


def test_breaker_that_opened_closes_again(lab):
    """b is away until a's breaker opens, and comes back with nobody but a's own tries to tell."""
    a, b = node.mesh(lab, 2, dial="later")    # a dials
    a.config["breaker"] = {"failures": 2, "open_for": "2s", "successes": 1}
    a.start()
    with flow.Pings(a.host, b.vpn4) as pings:
        wait_until(lambda: flow.peer(a, b)["breaker"] == "open", 30, "the breaker to open")
        wait_until(lambda: flow.drops(a)["breaker_open"] > 0, 10, "packets to be refused")
        b.start()
        back = time.time()
        flow.measured("traffic after the breaker was open", pings.first_after(back) - back, 2 + BOUND_S)
    wait_until(lambda: flow.peer(a, b)["breaker"] == "closed", 20, "the breaker to close")
    assert flow.received(a.host, b.vpn4, 20) == 20
    node.down((a, b))


def test_peer_that_never_was_costs_the_others_nothing(lab):
    """Attempts to reach it are made beside the packets, not between them."""
    a, b, c = nodes = node.mesh(lab, 3)
    with node.up(nodes[:2], connected=False):
        a.wait_connected(b)
        a.host.ip("link", "set", "runnel0", "txqueuelen", 20000)
        with flow.Flood(a.host, c.vpn4, packets_per_s=5000):
            wait_until(lambda: sum(flow.drops(a).values()) > 1000, 10, "packets for c to be dropped")
            assert flow.received(a.host, b.vpn4, 300, interval_s=0.005) == 300
        assert flow.peer(a, b)["dropped_packets"] == 0


def test_start_checks_the_configuration(lab):
    """Each fault is a line with its place, nothing starts."""
    a, b = node.mesh(lab, 2)
    good = json.dumps(a.config)
    faults = (
        (lambda c: c.update(shards=65), "shards"),
        (lambda c: c["interface"].update(mtu=60), "mtu"),
        (lambda c: c.update(workers=4), "workers"),
        (lambda c: c["peers"].append(c["peers"][0]), "already"),
        (lambda c: c["peers"][0].update(allowed_ips=["10.7.0.999/32"]), "10.7.0.999"),
        (lambda c: c["peers"][0].update(id="12D3KooWnobody"), "12D3KooWnobody"),
        (lambda c: c.update(breaker={"failures": 0}), "failures"),
    )
    for spoil, word in faults:
        a.config = json.loads(good)
        spoil(a.config)
        a.write_config()
        done = a.runnel("up", "-c", a.config_path, check=False)
        for line in done.stderr.splitlines():
            flow.say(line)
        assert done.returncode == 1 and word in done.stderr, done
        assert done.stderr.startswith(a.config_path + ":"), done
        assert a.host.run("ip", "link", "show", "runnel0", check=False).returncode != 0
    a.config = json.loads(good)
    a.start()       # and without a peer that answers it does start
    assert not a.is_connected(b)
    a.stop()


def test_device_that_was_set_down_carries_again(lab):
    """For 3 s: longer than it takes until a queue that could not be read is tried again."""
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        assert flow.received(a.host, b.vpn4, 20) == 20
        a.host.ip("link", "set", "runnel0", "down")
        flow.ping(b.host, a.vpn4, 30, interval_s=0.1, wait_s=1)     # into a device that takes nothing
        assert a.process.alive() and a.is_connected(b)
        a.host.ip("link", "set", "runnel0", "up")   # the kernel kept the IPv4 address
        wait_until(lambda: flow.received(a.host, b.vpn4, 1, wait_s=1) == 1, 10, "traffic")
        assert flow.received(a.host, b.vpn4, 20) == 20


def test_device_that_was_deleted_does_not_end_the_node(lab):
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        a.host.ip("link", "del", "runnel0")
        wait_until(lambda: "TUN cannot be read" in a.process.output(), 10, "the word")
        flow.ping(b.host, a.vpn4, 5, wait_s=1)
        assert a.process.alive() and a.is_connected(b) and b.is_connected(a)
        assert flow.drops(a)["tun_write"] > 0
        # It is tried again, and no more often than once a second on each queue.
        shards, began = a.status()["shards"], time.monotonic()
        before = a.process.output().count("TUN cannot be read")
        wait_until(lambda: a.process.output().count("TUN cannot be read") > before + shards, 20, "a try")
        tried = a.process.output().count("TUN cannot be read") - before
        assert tried <= shards * (time.monotonic() - began + 1), a.process.output()


LONG = 8    # packets that SEND_LONG sends, over each family

# Whole, whatever the kernel was told of the path's MTU.
SEND_LONG = """
import socket, sys
for family, to, level, option, header in (
        (socket.AF_INET, sys.argv[1], socket.IPPROTO_IP, 10, 28),
        (socket.AF_INET6, sys.argv[2], socket.IPPROTO_IPV6, 23, 48)):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.setsockopt(level, option, 3)  # IP_PMTUDISC_PROBE
        for size in (1401, 1500, 2020, 2047, 2048, 2049, 5000, 65000):
            s.sendto(bytes(size - header), (to, 9))
"""


def test_packets_above_the_mtu_are_dropped_and_counted(lab):
    """Somebody raises the device's MTU: what we read is longer than what we make room for."""
    a, b = nodes = node.mesh(lab, 2)
    for one in nodes:
        one.config["shards"] = 2
    with node.up(nodes):
        assert flow.received(a.host, b.vpn4, 1) == 1
        a.host.ip("link", "set", "runnel0", "mtu", 65535)
        before = sum(flow.drops(a).values())
        a.host.run(sys.executable, "-c", SEND_LONG, b.vpn4, b.vpn6)
        wait_until(lambda: sum(flow.drops(a).values()) - before >= 2 * LONG, 10, "the drops")
        drops = flow.drops(a)
        flow.say({reason: n for reason, n in drops.items() if n})
        assert drops["handoff_full"] == 0 and drops["too_big"] > 0
        assert flow.received(a.host, b.vpn4, 50, "-s1372") == 50
        assert flow.counters(b)["streams_broken"] == 0


if __name__ == "__main__":
    runner.main(globals())
