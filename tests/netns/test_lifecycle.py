#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Starts, ends and crashes leave nothing behind, and say in a line what is wrong."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import time

import flow
import node
import runner
from lab import wait_until


def traces(one):
    """What a running node has in its namespace, and must not leave."""
    host, name = one.host, one.config["interface"]["name"]
    found = []
    if host.run("ip", "link", "show", name, check=False).returncode == 0:
        found.append(f"device {name}")
    for what in ("addr", "-4 route show table all", "-6 route show table all"):
        found += [line.strip() for line in host.run("ip", "-o", *what.split()).stdout.splitlines()
                  if re.search(r" (10\.7\.0\.|10\.9\.0\.|fd07:)| dev runnel0 .*proto static", line)]
    if host.run("ss", "-Hltn", "sport", "=", f":{node.PORT}").stdout:
        found.append("listener")
    if os.path.exists(one.control):
        found.append("control socket")
    return found


def runnel(one, *argv):
    """Exit status and output of a verb; what it says is one line."""
    done = one.runnel(*argv, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def verb(one, name, *more):
    return runnel(one, name, "-c", one.config_path, *more)


def fails(one, name, *more, why):
    """The verb ends with 1 and this one line."""
    status, said = verb(one, name, *more)
    assert status == 1, (status, said)
    assert why in said and len(said.splitlines()) == 1, said


def test_sigterm_leaves_nothing(lab):
    a, b = nodes = node.mesh(lab, 2)
    for signum in (signal.SIGTERM, signal.SIGINT):
        for one in nodes:
            one.start()
        a.wait_connected()
        assert len(traces(a)) >= 7, traces(a)   # the check itself sees something
        start = time.monotonic()
        assert a.process.stop(signum) == 0
        flow.measured("end of a connected node", time.monotonic() - start, 5)
        a.check()
        a.process = None
        assert traces(a) == []
        b.wait_disconnected(a, timeout_s=5)
        b.stop()
        assert traces(b) == []


def test_node_without_peers_ends_at_once(lab):
    a = node.Node(lab.host("a"), 1)
    a.start()
    a.stop()
    assert traces(a) == []


def test_killed_node_is_replaced_by_the_next(lab):
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        for _ in range(2):
            a.kill()
            assert traces(a) == ["control socket"], traces(a)
            a.start()
            a.wait_connected()
            wait_until(lambda: flow.received(a.host, b.vpn4, 1, wait_s=1) == 1, 10, "traffic")
            wait_until(lambda: flow.peer(a, b)["connections"] == 1, 10, "one connection")
    assert traces(a) == []


def test_leftovers_of_a_killed_node_on_a_persistent_device_go(lab):
    """The device was made by somebody else and stays; our addresses and routes must not."""
    a = node.mesh(lab, 2)[0]
    name = a.config["interface"]["name"]
    a.config["peers"][0]["allowed_ips"].append("10.9.0.0/16")
    a.host.ip("tuntap", "add", name, "mode", "tun")
    a.start()
    assert "10.9.0.0/16" in a.host.ip("route").stdout
    a.kill()
    assert a.vpn4 in a.host.ip("addr").stdout
    status, said = verb(a, "down")
    assert status == 0 and "removed what was left" in said, said
    assert traces(a) == [f"device {name}"], traces(a)
    a.start()
    a.process.stop()
    a.check()
    a.process = None
    assert traces(a) == [f"device {name}"], traces(a)


def test_down_ends_a_running_node_and_waits_for_it(lab):
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        process = a.process
        status, said = verb(a, "down")
        assert (status, said) == (0, "runnel0: down"), (status, said)
        # It returns when the connection closes, which is when the device is gone or about to be.
        assert process.wait(5) == 0
        assert traces(a) == []
        a.check()
        a.start()


def test_down_and_status_mean_the_node_of_their_own_key(lab):
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        # As in another namespace: the same interface name, so the same socket, but b's key.
        twin = os.path.join(lab.directory, "same_socket.yaml")
        with open(twin, "w", encoding="ascii") as file:
            json.dump(a.config | {"key": b.config["key"], "peers": []}, file)
        for command in ("status", "down"):
            status, said = runnel(a, command, "-c", twin)
            flow.say(said)
            assert status == 1 and "another key" in said, said
        a.check()
        assert flow.received(a.host, b.vpn4, 5) == 5


def test_down_cleans_up_after_a_killed_node(lab):
    a = node.Node(lab.host("a"), 1)
    a.start()
    a.kill()
    status, said = verb(a, "down")
    assert status == 0 and said.startswith("runnel0: was not running; removed what was left"), said
    assert traces(a) == []
    assert verb(a, "down") == (0, "runnel0: was not running")


def test_down_of_a_node_that_never_ran_is_no_error(lab):
    a = node.Node(lab.host("a"), 1)
    a.write_config()
    assert verb(a, "down") == (0, "runnel0: was not running")
    assert traces(a) == []


def test_second_start_says_who_is_in_the_way(lab):
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        status, said = verb(a, "up")
        flow.say(said)
        assert status == 1 and len(said.splitlines()) == 1, said
        assert "runnel0" in said and "another" in said, said
        # Another device, the same control socket.
        twin = os.path.join(lab.directory, "twin.yaml")
        with open(twin, "w", encoding="ascii") as file:
            config = a.config | {"listen": [], "peers": [], "interface": {
                "name": "runnel1", "addresses": ["10.99.0.1/24"]}}
            json.dump(config, file)
        status, said = runnel(a, "up", "-c", twin)
        flow.say(said)
        assert status == 1 and "another runnel is running" in said, said
        assert a.host.run("ip", "link", "show", "runnel1", check=False).returncode != 0
        # The first did not notice.
        assert os.path.exists(a.control)
        assert flow.received(a.host, b.vpn4, 5) == 5


def test_key_that_others_can_read_is_refused_with_a_hint(lab):
    a = node.Node(lab.host("a"), 1)
    a.write_config()
    for mode in (0o644, 0o640, 0o604):
        os.chmod(a.key, mode)
        fails(a, "up", why=f"hint=\"chmod 600 {a.key}")
        status, said = runnel(a, "id", a.key)
        assert status == 1 and f"chmod 600 {a.key}" in said, said
    os.chmod(a.key, 0o600)
    os.rename(a.key, a.key + ".away")
    fails(a, "up", why="hint=\"make one: runnel keygen")
    assert traces(a) == []
    os.rename(a.key + ".away", a.key)
    a.start()
    a.stop()


def test_failed_start_leaves_nothing(lab):
    a = node.mesh(lab, 2)[0]
    with contextlib.ExitStack() as stack:
        holder = a.host.spawn(sys.executable, "-c",
                              "import socket, time; s = socket.socket(); "
                              f"s.bind(('0.0.0.0', {node.PORT})); s.listen(); print('ready', "
                              "flush=True); time.sleep(100)", name="holder")
        stack.callback(holder.kill)
        wait_until(lambda: "ready" in holder.output(), 10, "the port to be taken")
        a.write_config()
        fails(a, "up", why=f"cannot listen addr=/ip4/0.0.0.0/tcp/{node.PORT}")
        assert traces(a) == ["listener"], traces(a)
    # The second of two addresses.
    a.config["listen"] = [f"/ip4/0.0.0.0/tcp/{node.PORT}", "/ip4/203.0.113.7/tcp/4001"]
    a.write_config()
    fails(a, "up", why="cannot listen addr=/ip4/203.0.113.7/tcp/4001")
    assert traces(a) == []
    # What would fail every connection later.
    a.config["tcp"] = {"congestion": "nosuch"}
    a.write_config()
    fails(a, "up", why="cannot use tcp.congestion name=nosuch")
    assert traces(a) == []
    del a.config["tcp"]
    # The control socket cannot be made.
    a.config["listen"] = [f"/ip4/0.0.0.0/tcp/{node.PORT}"]
    a.config["control"] = "/proc/no/such/place.sock"
    a.write_config()
    fails(a, "up", why="cannot open the control socket")
    assert traces(a) == []
    # Somebody else's route, in the middle of the ladder of the device.
    a.config["control"] = a.control
    a.config["peers"][0]["allowed_ips"] += ["10.9.0.0/16"]
    a.host.ip("link", "add", "other", "type", "veth", "peer", "name", "others")
    for end in ("other", "others"):
        a.host.ip("link", "set", end, "up")
    a.host.ip("route", "add", "10.9.0.0/16", "dev", "other")
    a.write_config()
    fails(a, "up", why="cannot set up the network device")
    assert traces(a) == []
    assert "10.9.0.0/16 dev other" in a.host.ip("route").stdout
    a.host.ip("link", "del", "other")
    a.start()
    a.stop()
    assert traces(a) == []


def test_verbs_without_a_daemon_fail_with_a_line(lab):
    a = node.mesh(lab, 2)[0]
    a.write_config()
    line = (f"runnel: no runnel is running for runnel0 (nobody listens on {a.control}); "
            "start it: runnel up")
    for verbs in (("status",), ("status", "--json"), ("ping", "-n1", "b")):
        assert verb(a, *verbs) == (1, line), verbs
    # A socket's file that a killed one left.
    left = socket.socket(socket.AF_UNIX)
    left.bind(a.control)
    left.close()
    assert verb(a, "status") == (1, line)
    assert verb(a, "down")[0] == 0 and not os.path.exists(a.control)
    status, said = runnel(a, "status", "-c", "/no/such/file.yaml")
    assert status == 1 and "/no/such/file.yaml" in said and len(said.splitlines()) == 1, said
    for argv in (("status", "-x"), ("status", "too", "many"), ("ping",), ("fly",), (),
                 ("ping", "-n0", "b"), ("ping", "-nx", "b")):
        assert runnel(a, *argv)[0] == 2, argv


def test_ping_names_its_peer_or_fails(lab):
    a, b, c = nodes = node.mesh(lab, 3)
    with node.up((a, b), connected=False):
        a.wait_connected(b)
        for name in ("b", b.id):
            status, said = verb(a, "ping", "-n2", name)
            assert status == 0 and said.count("time=") == 2, said
        fails(a, "ping", "-n1", "nobody", why="no peer of this name or Peer ID")
        fails(a, "ping", "-n1", a.id, why="no peer of this name or Peer ID")
        fails(a, "ping", "-n1", "c", why="the peer is not connected")
        status, said = verb(a, "status")
        assert status == 0 and "1 of 2 peers connected" in said, said


def test_control_socket_is_for_root_and_the_daemons_user(lab):
    a = node.Node(lab.host("a"), 1)
    a.start()
    assert os.stat(a.control).st_mode & 0o777 == 0o600
    # Everything else is open to nobody, so that only the socket can refuse.
    reader = os.path.join(lab.directory, "for-nobody.yaml")
    shutil.copy(a.config_path, reader)
    for path in (lab.directory, os.path.dirname(a.control)):
        os.chmod(path, 0o755)
    os.chmod(reader, 0o644)
    program = os.path.join(lab.directory, "runnel")
    shutil.copy(node.binary(), program)

    def as_nobody(*argv):
        done = a.host.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program,
                          *argv, "-c", reader, check=False)
        return done.returncode, done.stderr.strip()
    status, said = as_nobody("status")
    assert status == 1 and "belongs to another user" in said, (status, said)
    assert as_nobody("down")[0] == 1
    os.chmod(a.control, 0o666)      # even then: the peer's credentials are looked at
    status, said = as_nobody("status")
    flow.say(f"by credentials: {said}")
    assert status == 1 and said.startswith("runnel: "), (status, said)
    assert len(said.splitlines()) == 1, said
    assert as_nobody("down")[0] == 1
    assert a.process.alive()
    assert verb(a, "status")[0] == 0
    a.stop()


def talk(path, data, shut=True):
    """All that comes back; None: the connection was reset."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.settimeout(20)
        got = b""
        try:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            while more := s.recv(65536):
                got += more
        except (ConnectionResetError, BrokenPipeError):
            return got or None
        return got


def test_garbage_on_the_control_socket_harms_nothing(lab):
    a = node.Node(lab.host("a"), 1)
    a.start()
    for line in (b"\n", b"hello\n", b"{}\n", b"[]\n", b"null\n", b"\"status\"\n", b"{\"cmd\": 1}\n",
                 b"{\"cmd\": null}\n", b"{\"cmd\": \"fly\"}\n", b"{\"cmd\": \"ping\"}\n",
                 b"{\"cmd\": \"ping\", \"peer\": 7}\n", b"{\"cmd\": \"ping\", \"peer\": \"\"}\n",
                 b"{\"cmd\": \"status\", \"cmd\": \"stop\"}\n", b"\xff\xfe\n",
                 b"{\"cmd\": \"\\u0000\"}\n", b"[" * 4000 + b"\n", b"\0" * 100 + b"\n",
                 b"x" * 4095 + b"\n"):
        answer = talk(a.control, line)
        assert answer is not None and "error" in json.loads(answer), (line[:40], answer)
    for data in (b"x" * 4096, b"x" * 5000, b"x" * 1000000):
        answer = talk(a.control, data, shut=False)
        assert answer is None or "error" in json.loads(answer), answer
    assert talk(a.control, b"") == b""
    assert talk(a.control, b"{\"cmd\": \"sta") == b""
    for _ in range(200):    # many that ask and do not listen
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(a.control)
            s.send(b"{\"cmd\": \"status\"}\n")
    # A line in two halves.
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(a.control)
        s.settimeout(20)
        s.send(b"{\"cmd\": ")
        time.sleep(0.1)
        s.send(b"\"status\"}\n")
        assert "peer_id" in json.loads(s.makefile().readline())
    # As many as it takes, and more: they wait and say nothing. Those go, others are served.
    crowd = []
    for _ in range(40):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        with contextlib.suppress(OSError):
            s.connect(a.control)
        crowd.append(s)
    assert a.process.alive()
    for s in crowd:
        s.close()
    wait_until(lambda: verb(a, "status")[0] == 0, 5, "the control socket to be free again")
    fds = len(os.listdir(f"/proc/{a.process.pid}/fd"))
    assert fds < 40, f"{fds} descriptors"
    a.stop()
    assert traces(a) == []


def test_both_sides_say_why_a_peer_is_not_connected(lab):
    """The commonest faults: not listed there, a wrong Peer ID, nobody there."""
    a, b, c = node.mesh(lab, 3)
    a.config["peers"], a.peers = a.config["peers"][:1], a.peers[:1]     # a does not list c
    b.config["peers"], b.peers = [], []
    c.config["peers"][1]["addresses"] = [f"/ip4/{a.host.addr4}/tcp/{node.PORT}"]   # a, not b
    nowhere = f"/ip4/{b.host.addr4}/tcp/4999"
    a.config["peers"][0]["addresses"] = [nowhere]
    for one in (a, b, c):
        one.start()

    def says(one, words):
        wait_until(lambda: words in verb(one, "status")[1], 10, f"{one.name} to say {words}")
    says(c, f"{a.dial4}: closed right after the handshake: is our Peer ID in its peers?")
    says(c, f"another peer answered, {a.id}")
    says(a, f"{nowhere}: connection refused")
    time.sleep(3)       # c dials on
    log = a.process.output()
    told = [line for line in log.splitlines() if "info turned away" in line]
    assert len(told) == 1 and c.id in told[0] and c.host.addr4 in told[0], told
    assert log.count("info cannot connect") == 1, log
    assert c.process.output().count("info peer connected") <= 1, c.process.output()
    # A file that was broken meanwhile.
    with open(a.config_path, "a", encoding="ascii") as file:
        file.write("]")
    status, said = verb(a, "status")
    assert status == 1 and "-s" in said, said
    assert runnel(a, "status", "-s", a.control)[0] == 0
    status, said = runnel(a, "ping", "-s", a.control, "b")
    assert status == 1 and len(said.splitlines()) == 1 and "not connected" in said, said
    assert runnel(a, "down", "-s", a.control)[0] == 0
    assert a.process.wait(5) == 0
    a.process = None
    assert traces(a) == []
    node.down((b, c))


if __name__ == "__main__":
    runner.main(globals())
