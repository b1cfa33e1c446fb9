#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A peer that takes nothing costs the others nothing: no packet, no memory."""
import contextlib
import signal
import sys
import time

import flow
import node
import runner
from lab import wait_until

PINGS = 500
GROWTH_MAX_KIB = 64 * 1024  # a queue has 2 MiB; sanitizers keep freed memory besides
BOUND_S = 5


def rss_kib(one):
    with open(f"/proc/{one.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def kernel_drops(host):
    """What the device itself dropped since runnel did not read it in time."""
    return int(host.run("cat", "/sys/class/net/runnel0/statistics/tx_dropped").stdout)


def others_lose_nothing(a, b, c, stop_c, packets_per_s):
    """Flood c, which stops reading, and ping b meanwhile."""
    # The queue of the device is one for all peers. What is tested is what comes behind it, so it
    # shall bear that a busy machine lets runnel wait for its turn.
    a.host.ip("link", "set", "runnel0", "txqueuelen", 20000)
    assert flow.received(a.host, c.vpn4, 20) == 20
    before = rss_kib(a)
    with flow.Flood(a.host, c.vpn4, packets_per_s=packets_per_s):
        sent = flow.counters(a)["peer_tx_packets"]
        wait_until(lambda: flow.counters(a)["peer_tx_packets"] > sent + 1000, 10, "the flood")
        stop_c()
        wait_until(lambda: flow.drops(a)["queue_full"] > 0, 15, "the queue of c to be full")
        got = flow.received(a.host, b.vpn4, PINGS, interval_s=0.005)
        back = flow.received(b.host, a.vpn6, PINGS, interval_s=0.005)
        lost_by_kernel = kernel_drops(a.host)
        drops, memory = flow.drops(a), rss_kib(a)
        of_c = flow.peer(a, c)
    flow.say(f"pings answered while c hangs: {got} and {back} of {PINGS}; "
             f"queue_full {drops['queue_full']}, by the device {lost_by_kernel}; memory {before} "
             f"-> {memory} KiB; c is {of_c['state']}, {of_c['queued_packets']} queued")
    assert lost_by_kernel == 0, "the machine is too slow for this test"
    assert got == PINGS and back == PINGS
    assert flow.peer(a, b)["dropped_packets"] == 0
    assert drops["queue_full"] > 100
    assert memory - before < GROWTH_MAX_KIB, (before, memory)
    assert of_c["queued_packets"] <= 1000 and of_c["queued_bytes"] <= 2 << 20


def comes_back(a, c, resume):
    with flow.Pings(a.host, c.vpn4) as pings:
        resume()
        back = time.time()
        flow.measured("traffic after c went on", pings.first_after(back) - back, BOUND_S)


def test_peer_that_hangs_costs_the_others_nothing(lab):
    a, b, c = nodes = node.mesh(lab, 3)
    with node.up(nodes):
        others_lose_nothing(a, b, c, lambda: c.process.send(signal.SIGSTOP), 20000)
        comes_back(a, c, lambda: c.process.send(signal.SIGCONT))
        wait_until(lambda: flow.received(c.host, b.vpn4, 3) == 3, 10, "c and b")


def test_peer_whose_link_is_cut_costs_the_others_nothing(lab):
    a, b, c = nodes = node.mesh(lab, 3)
    with node.up(nodes):
        others_lose_nothing(a, b, c, lambda: c.host.cut(silent=True), 20000)
        comes_back(a, c, c.host.restore)


def test_hanging_peer_of_a_tcp_flow_costs_the_others_nothing(lab):
    """As fast as it goes: TCP, which ends its flight itself when c hangs, and goes on with c."""
    a, b, c = nodes = node.mesh(lab, 3)
    with node.up(nodes):
        flow.needs("iperf3", a.host)
        server = c.host.spawn("iperf3", "-s", "-1")
        wait_until(lambda: c.host.run("ss", "-Hltn", "sport", "=", ":5201").stdout, 10, "iperf3")
        client = a.host.spawn("iperf3", "-c", c.vpn4, "-t60", "-P4")
        wait_until(lambda: flow.counters(a)["peer_tx_bytes"] > 8 << 20, 10, "the flow")
        c.process.send(signal.SIGSTOP)
        time.sleep(0.5)
        got = flow.received(a.host, b.vpn4, PINGS, interval_s=0.005)
        assert got == PINGS, f"{got} of {PINGS}"
        before = flow.counters(a)["peer_tx_bytes"]
        c.process.send(signal.SIGCONT)
        wait_until(lambda: flow.counters(a)["peer_tx_bytes"] > before + (4 << 20), 10,
                   "the flow to go on")
        client.kill()
        server.kill()


ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 9007))
print("ready", flush=True)
while True:
    s.sendto(*s.recvfrom(2000))
"""

# Questions from 16 ports, so on all queues, each asked once; how many were answered.
ASK = """
import select, socket, sys, time
to, count, flows = (sys.argv[1], 9007), int(sys.argv[2]), 16
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(flows)]
answers = set()
def hear(timeout):
    for s in select.select(socks, [], [], timeout)[0]:
        answers.add(s.recv(100))
for i in range(count):
    socks[i % flows].sendto(b"%d" % i, to)
    hear(0.004)
end = time.monotonic() + 10
while len(answers) < count and time.monotonic() < end:
    hear(0.1)
print(len(answers))
"""


@runner.timeout(120)
def test_hanging_peer_costs_the_others_nothing_on_any_queue(lab):
    """Four shards: packets for the one that hangs on every queue, by lanes and handed over, and
    packets for the other peer on every queue beside them."""
    a, b, c = nodes = node.mesh(lab, 3)
    for one in nodes:
        one.config["shards"] = 4
    with node.up(nodes), contextlib.ExitStack() as stack:
        a.host.ip("link", "set", "runnel0", "txqueuelen", 20000)
        echo = b.host.spawn(sys.executable, "-c", ECHO, name="echo")
        stack.callback(echo.kill)
        wait_until(lambda: "ready" in echo.output(), 10, "the echo")
        before = rss_kib(a)
        for _ in range(12):     # 12 ports, 4 Mbit/s each
            stack.enter_context(flow.Flood(a.host, c.vpn4, packets_per_s=1000))
        wait_until(lambda: flow.peer(a, c)["lanes"] > 1, 20, "lanes to c", interval_s=0.2)
        lanes = flow.peer(a, c)["lanes"]
        c.process.send(signal.SIGSTOP)
        wait_until(lambda: flow.drops(a)["queue_full"] > 0, 20, "the queue of c to be full")
        asked = a.host.run(sys.executable, "-c", ASK, b.vpn4, PINGS, timeout_s=60)
        drops, memory = flow.drops(a), rss_kib(a)
        flow.say(f"{asked.stdout.strip()} of {PINGS} answered; lanes {lanes}; queue_full "
                 f"{drops['queue_full']}, handoff_full {drops['handoff_full']}, by the device "
                 f"{kernel_drops(a.host)}; memory {before} -> {memory} KiB")
        assert kernel_drops(a.host) == 0, "the machine is too slow for this test"
        assert int(asked.stdout) == PINGS, asked
        assert drops["handoff_full"] == 0
        assert flow.peer(a, b)["dropped_packets"] == 0
        assert memory - before < 2 * GROWTH_MAX_KIB, (before, memory)
        comes_back(a, c, lambda: c.process.send(signal.SIGCONT))


if __name__ == "__main__":
    runner.main(globals())
