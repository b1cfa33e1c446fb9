# SPDX-License-Identifier: MIT OR Apache-2.0
"""Traffic for tests of nodes, and what it says: pings with a log, iperf3, floods, counters.

    with Pings(a.host, b.vpn4) as pings:
        ...                                     # faults
        print(pings.first_after(moment) - moment)
"""
import json
import math
import re
import signal
import sys
import time

import runner
from lab import LabError, wait_until

REPLY = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+)", re.MULTILINE)


def say(text):
    """A line for the report, as TAP has it."""
    print(f"# {text}", flush=True)


def ping(host, address, count, *args, interval_s=0.002, wait_s=2):
    """subprocess.CompletedProcess of the system's ping; sends `count`, and no more."""
    return host.run("ping", "-n", f"-c{count}", f"-i{interval_s}", f"-W{wait_s}", *args, address,
                    check=False, timeout_s=30 + 2 * count * interval_s)


def received(host, address, count, *args, interval_s=0.002, wait_s=5):
    """How many of the first `count` pings were answered.

    ping -c waits for the last answer no longer than for twice the slowest before it: on a busy
    machine it leaves too soon. With -w it sends on until it has as many answers, or time is up."""
    deadline_s = math.ceil(2 * count * interval_s + wait_s)
    done = host.run("ping", "-n", "-D", f"-c{count}", f"-w{deadline_s}", f"-i{interval_s}", *args,
                    address, check=False, timeout_s=deadline_s + 30)
    return len({seq for _, seq in REPLY.findall(done.stdout) if int(seq) <= count})


class Pings:
    """A ping that goes on, and when each answer came (seconds since the epoch)."""

    def __init__(self, host, address, interval_s=0.05):
        self.process = host.spawn("ping", "-n", "-D", f"-i{interval_s}", address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()

    def replies(self):
        return [float(at) for at, _ in REPLY.findall(self.process.output())]

    def first_after(self, moment, timeout_s=15):
        """When the first answer came after `moment`."""
        def find():
            return next((at for at in self.replies() if at > moment), None)
        return wait_until(find, timeout_s, "pings to be answered", interval_s=0.05)

    def last(self):
        return self.replies()[-1]

    def finish(self):
        """Stop and return (sent, received); waits for no answers but those on their way."""
        time.sleep(0.2)
        self.process.send(signal.SIGINT)
        self.process.wait()
        found = re.search(r"(\d+) packets transmitted, (\d+) received", self.process.output())
        return int(found[1]), int(found[2])


def measured(what, seconds, bound_s):
    """Print what was measured and hold it to a bound, a generous one: machines are shared."""
    say(f"{what}: {seconds:.2f} s")
    assert seconds < bound_s, f"{what}: {seconds:.2f} s, more than {bound_s} s"


def iperf3(client, server, address, *args):
    """The "end" of the client's report; say for how long (-t) or how much (-n) in `args`."""
    listener = server.spawn("iperf3", "-s", "-1")
    wait_until(lambda: server.run("ss", "-Hltn", "sport", "=", ":5201").stdout, 10, "iperf3")
    try:
        done = client.run("iperf3", "-c", address, "-J", *args, check=False)
        report = json.loads(done.stdout)
        if done.returncode != 0 or "error" in report:
            raise LabError(f"iperf3: {report.get('error', done.stderr)}")
        listener.wait()
        return report["end"]
    finally:
        listener.kill()


def lost_between(nodes):
    """Packets that runnel or a device dropped, or that went into a stream and came out of none."""
    lost = 0
    for node, status in zip(nodes, settled(nodes)):
        lost += sum(status["drops"].values())
        lost += status["counters"]["peer_tx_packets"] - status["counters"]["peer_rx_packets"]
        lost += sum(int(n) for n in node.host.run(
            "cat", "/sys/class/net/runnel0/statistics/tx_dropped",
            "/sys/class/net/runnel0/statistics/rx_dropped").stdout.split())
    return lost


def udp_loses_nothing(nodes, client, server, address, *args):
    """1 MB at 20 Mbit/s. A receiver that had no turn for 50 ms overflows its own socket: what it
    misses counts if it was lost on the way to its kernel."""
    before = lost_between(nodes)
    end = iperf3(client, server, address, *args, "-u", "-b20M", "-n", "1M", "-l1200")
    assert end["sum"]["packets"] > 800, end
    missed, lost = end["sum"]["lost_packets"], lost_between(nodes) - before
    if missed:
        say(f"iperf3 missed {missed} of {end['sum']['packets']}; {lost} were lost on the way")
    assert lost == 0, (lost, end)


FLOOD = """
import socket, sys, time
to, size, per_s = (sys.argv[1], 9), int(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
data, start, n = bytes(size), time.monotonic(), 0
print("ready", flush=True)
while True:
    due = (time.monotonic() - start) * per_s if per_s else n + 1
    while n < due:
        try:
            s.sendto(data, to)
        except OSError:
            pass
        n += 1
    if per_s:
        time.sleep(0.001)
"""


class Flood:
    """UDP to the discard port, whether it arrives or not; packets_per_s 0: as many as can be."""

    def __init__(self, host, address, size=1300, packets_per_s=0):
        self.process = host.spawn(sys.executable, "-c", FLOOD, address, size, packets_per_s,
                                  name="flood")
        wait_until(lambda: "ready" in self.process.output(), 10, "the flood")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()


def counters(node):
    return node.status()["counters"]


def drops(node):
    return node.status()["drops"]


def peer(node, other):
    """What `node` says of `other`."""
    return next(p for p in node.status()["peers"] if p["id"] == other.id)


def settled(nodes, timeout_s=10):
    """The status of all when nothing moves any more: twice the same counters."""
    before = None

    def find():
        nonlocal before
        now = [node.status() for node in nodes]
        moving = [(s["counters"], s["drops"]) for s in now]
        same, before = moving == before, moving
        return now if same else None
    return wait_until(find, timeout_s, "traffic to settle", interval_s=0.2)


def needs(tool, host):
    if host.run("which", tool, check=False).returncode != 0:
        raise runner.Skip(f"needs {tool}")
