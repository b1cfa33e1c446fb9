# SPDX-License-Identifier: MIT OR Apache-2.0
"""runnel nodes in a lab: their keys, configurations, starts and stops.

    a, b = nodes = mesh(lab, 2)
    up(nodes)
    assert a.ping(b)
    down(nodes)         # checks how they ended; so does the end of `with up(nodes):`

The binary is $RUNNEL_BIN. Node N has 10.7.0.N and fd07::N in the VPN.
"""
import contextlib
import json
import os
import signal

import runner
from lab import LabError, run, wait_until

PORT = 4001
UP_TIMEOUT_S = 15       # from the start to the control socket
CONNECT_TIMEOUT_S = 20  # until peers that can reach each other are connected


def binary():
    path = os.environ.get("RUNNEL_BIN", "")
    if not path:
        raise runner.Skip("RUNNEL_BIN names no runnel")
    if not os.access(path, os.X_OK):
        raise LabError(f"RUNNEL_BIN={path} can not be executed")
    return path


class Node:
    def __init__(self, host, number):
        self.host = host
        self.name = host.name
        self.vpn4 = f"10.7.0.{number}"
        self.vpn6 = f"fd07::{number:x}"
        self.dial4 = f"/ip4/{host.addr4}/tcp/{PORT}"
        self.dial6 = f"/ip6/{host.addr6}/tcp/{PORT}"
        directory = os.path.join(host.lab.directory, host.name)
        os.mkdir(directory, mode=0o700)
        self.key = os.path.join(directory, "node.key")
        self.config_path = os.path.join(directory, "runnel.yaml")
        self.control = os.path.join(directory, "control.sock")
        self.process = None
        self.peers = []
        run([binary(), "keygen", self.key])
        self.id = run([binary(), "id", self.key]).stdout.strip()
        self.config = {
            "key": self.key,
            "listen": [f"/ip4/0.0.0.0/tcp/{PORT}", f"/ip6/::/tcp/{PORT}"],
            "interface": {"name": "runnel0",
                          "addresses": [f"{self.vpn4}/24", f"{self.vpn6}/64"]},
            "control": self.control,
            "log_level": "debug",
            "peers": [],
        }

    def add_peer(self, other, dial=True, **settings):
        """dial=False: the other one connects to us. `settings` are added to the peer's own."""
        self.peers.append(other)
        peer = {"id": other.id, "name": other.name,
                "allowed_ips": [f"{other.vpn4}/32", f"{other.vpn6}/128"]}
        if dial:
            peer["addresses"] = [other.dial4]
        self.config["peers"].append(peer | settings)

    def write_config(self):
        """JSON is YAML, and no list of rules of when to quote is needed."""
        with open(self.config_path, "w", encoding="ascii") as file:
            json.dump(self.config, file, indent=2)

    def start(self):
        """Returns when it answers on its control socket."""
        self.write_config()
        self.process = self.host.spawn(binary(), "up", "-c", self.config_path, name="runnel")
        wait_until(self._is_up, UP_TIMEOUT_S, f"{self.name} to come up")

    def _is_up(self):
        if not self.process.alive():
            raise LabError(f"{self.name} ended with {self.process.wait(0)} while it came up")
        return self.runnel("status", "--json", "-c", self.config_path, check=False).returncode == 0

    def runnel(self, *argv, check=True, timeout_s=30):
        """Another verb of the binary, in this node's namespace."""
        return self.host.run(binary(), *argv, check=check, timeout_s=timeout_s)

    def status(self):
        return json.loads(self.runnel("status", "--json", "-c", self.config_path).stdout)

    def is_connected(self, *others):
        """To all of these, or to all of its peers."""
        connected = {peer["id"] for peer in self.status()["peers"] if peer["connected"]}
        return all(other.id in connected for other in others or self.peers)

    def wait_connected(self, *others, timeout_s=CONNECT_TIMEOUT_S):
        wait_until(lambda: self.is_connected(*others), timeout_s,
                   f"{self.name} to be connected", interval_s=0.1)

    def wait_disconnected(self, other, timeout_s=CONNECT_TIMEOUT_S):
        wait_until(lambda: not self.is_connected(other), timeout_s,
                   f"{self.name} to lose {other.name}", interval_s=0.1)

    def ping(self, other, count=1, timeout_s=5, ip6=False, size=56):
        """Through the VPN, with the system's ping: do all answers come?"""
        address = other.vpn6 if ip6 else other.vpn4
        done = self.host.run("ping", "-n", "-q", f"-c{count}", "-i0.05", f"-w{timeout_s}",
                             f"-s{size}", address, check=False, timeout_s=timeout_s + 5)
        return done.returncode == 0 and f" {count} received" in done.stdout

    def check(self):
        report = self.process.sanitizer_report()
        if report:
            raise LabError(f"{self.name}: a sanitizer or an assertion spoke:\n{report}")

    def stop(self):
        """SIGTERM; fails unless it ends well: status 0, no sanitizer's report, no device left."""
        if self.process is None:
            return
        process = self.process
        if not process.alive():
            self.check()
            self.process = None
            raise LabError(f"{self.name} ended by itself with {process.wait(0)}")
        try:
            status = process.stop(signal.SIGTERM)
            self.check()
        finally:
            self.process = None
        if status != 0:
            raise LabError(f"{self.name} ended with {status}")
        name = self.config["interface"]["name"]
        if self.host.run("ip", "link", "show", name, check=False).returncode == 0:
            raise LabError(f"{self.name} left its device {name}")

    def kill(self):
        """SIGKILL: a crash."""
        self.process.kill()
        self.check()
        self.process = None


def mesh(lab, count, dial="all"):
    """Nodes a, b, c, ... that know each other; dial: "all", or "later" for those after me only."""
    nodes = [Node(lab.host(chr(ord("a") + i) if count <= 26 else f"n{i + 1}"), i + 1)
             for i in range(count)]
    for i, node in enumerate(nodes):
        for k, other in enumerate(nodes):
            if i != k:
                node.add_peer(other, dial=dial == "all" or k > i)
    return nodes


@contextlib.contextmanager
def up(nodes, connected=True):
    """Start them, wait until they are connected, and stop them at the end, with all checks."""
    for node in nodes:
        node.start()
    if connected:
        for node in nodes:
            node.wait_connected()
    yield nodes
    down(nodes)


def down(nodes):
    """Stop all; the first fault counts, after all were stopped."""
    faults = []
    for node in nodes:
        try:
            node.stop()
        except LabError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
