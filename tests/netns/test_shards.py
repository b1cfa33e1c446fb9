#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Nodes of several shards: real devices with a queue for each, lanes, and TCP that must arrive as it
was sent whatever becomes of them."""
import contextlib
import signal
import sys
import time

import flow
import node
import runner
from lab import LabError, wait_until

FLOWS = 16      # the kernel spreads them over the queues by a hash: on each of four, nearly always
TRIES = 12      # of moving data until all lanes are up: a flow more or less on a queue is luck
BOUND_S = 5

SERVER = """
import hashlib, socket, sys, threading
def serve(s):
    h, left = hashlib.sha256(), int.from_bytes(s.recv(8, socket.MSG_WAITALL), "big")
    while left:
        data = s.recv(min(left, 1 << 18))
        if not data:
            return
        h.update(data)
        left -= len(data)
    s.sendall(h.digest())
listener = socket.create_server(("0.0.0.0", 7), backlog=64)
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""

CLIENT = """
import hashlib, os, socket, sys, threading
to, flows, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
good = []
def send(i):
    s = socket.create_connection((to, 7), timeout=60)
    s.sendall(size.to_bytes(8, "big"))
    h, left = hashlib.sha256(), size
    while left:
        data = os.urandom(min(left, 1 << 16))
        h.update(data)
        s.sendall(data)
        left -= len(data)
    if s.recv(32, socket.MSG_WAITALL) == h.digest():
        good.append(i)
threads = [threading.Thread(target=send, args=(i,)) for i in range(flows)]
for t in threads: t.start()
for t in threads: t.join()
print(f"{len(good)} of {flows} arrived as they were sent")
sys.exit(len(good) != flows)
"""


def mesh(lab, *shards, dial="all"):
    nodes = node.mesh(lab, len(shards), dial=dial)
    for one, n in zip(nodes, shards):
        one.config["shards"] = n
    return nodes


@contextlib.contextmanager
def serving(*nodes):
    servers = [one.host.spawn(sys.executable, "-c", SERVER, name="server") for one in nodes]
    try:
        for server in servers:
            wait_until(lambda s=server: "ready" in s.output(), 10, "a server")
        yield
    finally:
        for server in servers:
            server.kill()


def move(one, other, flows=FLOWS, size=1 << 21):
    """TCP of random bytes, each flow compared by its hash."""
    done = one.host.run(sys.executable, "-c", CLIENT, other.vpn4, flows, size, check=False,
                        timeout_s=90)
    assert done.returncode == 0, done.stdout + done.stderr


def lanes(one, other):
    return flow.peer(one, other)["lanes"]


def wait_lanes(one, other, count):
    """Move data until there are as many, at both ends."""
    for tried in range(TRIES):
        move(one, other)
        with contextlib.suppress(LabError):
            wait_until(lambda: lanes(one, other) == lanes(other, one) == count, 1, "lanes")
            flow.say(f"{count} lanes after {tried + 1} rounds")
            return
    raise LabError(f"{lanes(one, other)} and {lanes(other, one)} lanes, not {count}")


def nothing_is_missing(nodes):
    """Sent is delivered plus dropped, over all ends, and by the kernel's own count."""
    statuses = flow.settled(nodes)

    def total(name):
        return sum(status["counters"][name] for status in statuses)
    dropped = sum(sum(status["drops"].values()) for status in statuses)
    flow.say(f"read {total('tun_rx_packets')}, handed over {total('handoffs')}, dropped {dropped}")
    assert total("peer_tx_packets") == total("peer_rx_packets"), statuses
    assert total("peer_tx_bytes") == total("peer_rx_bytes"), statuses
    assert (total("tun_rx_packets") + total("icmp_sent")
            == total("tun_tx_packets") + dropped), (statuses, dropped)
    for one, status in zip(nodes, statuses):
        assert status["counters"]["streams_broken"] == 0
        assert status["drops"]["source_not_allowed"] == 0
        device = one.host.run("cat", "/sys/class/net/runnel0/statistics/tx_packets",
                              "/sys/class/net/runnel0/statistics/rx_packets").stdout.split()
        assert int(device[0]) == status["counters"]["tun_rx_packets"], (device, status)
        assert int(device[1]) == status["counters"]["tun_tx_packets"], (device, status)


@runner.timeout(120)
def test_flows_get_lanes_and_nothing_is_missing(lab):
    a, b = nodes = mesh(lab, 4, 4)
    with node.up(nodes), serving(a, b):
        assert a.status()["shards"] == 4
        wait_lanes(a, b, 4)
        move(b, a)
        assert flow.received(a.host, b.vpn4, 100) == 100
        nothing_is_missing(nodes)


@runner.timeout(120)
def test_nodes_of_different_shards_understand_each_other(lab):
    a, b, c = nodes = mesh(lab, 4, 1, 2)
    with node.up(nodes), serving(*nodes):
        for one, other in ((a, b), (b, a), (c, b), (a, c)):
            move(one, other)
        wait_lanes(a, c, 2)
        assert lanes(a, b) == lanes(b, a) == lanes(c, b) == 1
        assert flow.counters(b)["handoffs"] == 0
        nothing_is_missing(nodes)


@runner.timeout(120)
def test_peer_that_cannot_be_dialled_is_asked_for_lanes(lab):
    a, b = nodes = mesh(lab, 3, 3, dial="later")    # a dials
    with node.up(nodes), serving(a, b):
        wait_lanes(b, a, 3)
        assert not flow.peer(b, a)["dialled_by_us"]
        nothing_is_missing(nodes)


@runner.timeout(120)
def test_lanes_come_back_after_a_restart_under_traffic(lab):
    a, b = nodes = mesh(lab, 4, 4)
    with node.up(nodes), contextlib.ExitStack() as stack:
        with serving(b):
            wait_lanes(a, b, 4)
        for _ in range(4):
            stack.enter_context(flow.Flood(a.host, b.vpn4, packets_per_s=2000))
        for stop in (b.stop, b.kill):
            stop()
            wait_until(lambda: lanes(a, b) == 0, 15, "a to notice", interval_s=0.2)
            with flow.Pings(a.host, b.vpn4) as pings:
                b.start()
                back = time.time()
                flow.measured("traffic after the restart", pings.first_after(back) - back, BOUND_S)
        stack.close()
        with serving(a, b):
            wait_lanes(a, b, 4)
            move(b, a)


@runner.timeout(120)
def test_flows_survive_a_cut(lab):
    """TCP through the tunnel waits and goes on, byte for byte."""
    a, b = nodes = mesh(lab, 4, 4)
    with node.up(nodes), serving(b):
        wait_lanes(a, b, 4)
        for silent in (True, False):
            client = a.host.spawn(sys.executable, "-c", CLIENT, b.vpn4, 8, 24 << 20)
            before = flow.counters(a)["peer_tx_bytes"]
            wait_until(lambda: flow.counters(a)["peer_tx_bytes"] > before + (8 << 20), 20, "data")
            b.host.cut(silent=silent)
            wait_until(lambda: not a.is_connected(b), 15, "a to notice")
            assert client.alive(), client.output()
            b.host.restore()
            assert client.wait(60) == 0, client.output()
        wait_lanes(a, b, 4)


def own_device(one, *kind):
    one.host.ip("tuntap", "add", "runnel0", "mode", "tun", *kind)


def end_on_own_device(one):
    """As stop(), but the device stays."""
    assert one.process.stop(signal.SIGTERM) == 0
    one.check()
    log = one.process.output()
    one.process = None
    return log


def test_device_that_has_one_queue_gives_one_shard(lab):
    a, b = nodes = mesh(lab, 4, 2)
    own_device(a)
    for one in nodes:
        one.start()
    a.wait_connected()
    assert a.status()["shards"] == 1
    with serving(b):
        move(a, b)
    assert lanes(a, b) == 1
    b.stop()
    log = end_on_own_device(a)
    assert "the network device has one queue: one shard" in log and "wanted=4" in log, log


def test_device_of_many_queues_that_was_left_is_used(lab):
    a, b = nodes = mesh(lab, 4, 2)
    own_device(a, "multi_queue")
    b.start()
    for shards in (4, 1, 2):
        a.config["shards"] = shards
        a.start()
        a.wait_connected()
        assert a.status()["shards"] == shards
        with serving(b):
            move(a, b)
        end_on_own_device(a)
    b.stop()


def test_what_other_shards_saw_is_told(lab):
    """The last destination that nobody owns, from whatever queue it came: which one, its address
    says."""
    a, b = nodes = mesh(lab, 4, 4)
    with node.up(nodes):
        for address in (f"10.7.0.{i}" for i in range(100, 112)):
            flow.ping(a.host, address, 1, wait_s=1)
            wait_until(lambda to=address: a.status()["last_unrouted_destination"] == to, 5, address)


if __name__ == "__main__":
    runner.main(globals())
