# SPDX-License-Identifier: MIT OR Apache-2.0
"""Two runnel nodes, alice and bob, each in a network namespace of its own, joined by a veth: for demo and bench.

    alice  192.0.2.1 ---- eth0 ==== eth0 ---- 192.0.2.2  bob       what the nodes reach each other by
           10.7.0.1, fd07::1 -- runnel0    runnel0 -- 10.7.0.2, fd07::2      what programs see

Everything has the number of this process in its name and goes when the `with` block ends, however it ends.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PREFIX = "runnel-pair"
PORT = 4001
CONNECT_TIMEOUT_S = 15
STOP_TIMEOUT_S = 5


class Trouble(Exception):
    """What went wrong, told to a human."""


def run(command, timeout_s=30, **more):
    """Runs a command; -> its output. Trouble, with its output, if it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=timeout_s, **more)
    except subprocess.TimeoutExpired as late:
        raise Trouble(f"`{' '.join(command)}` did not end within {timeout_s} s") from late
    except OSError as why:
        raise Trouble(f"`{command[0]}`: {why.strerror}") from why
    if done.returncode != 0:
        raise Trouble(f"`{' '.join(command)}` failed:\n{done.stdout.strip()}")
    return done.stdout


def become_root(why):
    """Goes on as root, by sudo, where that is needed."""
    if os.geteuid() == 0:
        return
    if shutil.which("sudo") is None:
        raise Trouble(f"{why} needs root. There is no sudo here: please run this as root.")
    print(f"{why} needs root: going on with sudo.", flush=True)
    keep = [f"{name}={os.environ[name]}" for name in os.environ if name.startswith(("BENCH_", "RUNNEL_"))]
    os.execvp("sudo", ["sudo", "env", f"PATH={os.environ['PATH']}", *keep, sys.executable, "-B", *sys.argv])


def check_machine():
    if not os.path.exists("/dev/net/tun"):
        raise Trouble("there is no /dev/net/tun. `modprobe tun` brings it; in a container, start that with\n"
                      "--device /dev/net/tun and the capability CAP_NET_ADMIN.")
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as err:
        raise Trouble(f"/dev/net/tun cannot be opened ({err.strerror}). In a container, start that with\n"
                      "--device /dev/net/tun and the capability CAP_NET_ADMIN.") from err
    for name, pid in re.findall(rf"^({PREFIX}-(\d+)-\w+)", run(["ip", "netns", "list"]), re.M):
        if not os.path.exists(f"/proc/{pid}"):     # left by one that was killed
            run(["ip", "netns", "del", name])


def end_by_signals():
    """SIGTERM and SIGHUP unwind the stack, as SIGINT does."""
    def leave(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


class Node:
    def __init__(self, pair, name, number):
        self.pair = pair
        self.name = name
        self.netns = f"{PREFIX}-{os.getpid()}-{name}"
        self.wire_ip = f"192.0.2.{number}"
        self.ip4 = f"10.7.0.{number}"
        self.ip6 = f"fd07::{number}"
        self.config = f"{pair.dir}/{name}.yaml"
        self.key = f"{pair.dir}/{name}.key"
        self.log = f"{pair.dir}/{name}.log"
        self.id = None
        self.daemon = None

    def command(self, *command):
        """A command in this node's namespace; it dies with us."""
        return ["ip", "netns", "exec", self.netns, "setpriv", "--pdeathsig", "KILL", *command]

    def run(self, *command, timeout_s=30):
        return run(self.command(*command), timeout_s)

    def start(self, *command, output=subprocess.DEVNULL):
        child = subprocess.Popen(self.command(*command), stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=subprocess.STDOUT, text=True, errors="replace")
        self.pair.children.append(child)
        return child

    def runnel(self, verb, *operands):
        return self.run(self.pair.program, verb, "-c", self.config, *operands)

    def make_key(self):
        self.id = run([self.pair.program, "keygen", self.key]).strip()

    def write_config(self, peer, settings=""):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"""\
key: {self.key}
listen: [/ip4/{self.wire_ip}/tcp/{PORT}]
control: {self.pair.dir}/{self.name}.sock
interface:
  name: runnel0
  addresses: [{self.ip4}/24, "{self.ip6}/64"]
peers:
  - id: {peer.id}
    name: {peer.name}
    addresses: [/ip4/{peer.wire_ip}/tcp/{PORT}]
    allowed_ips: [{peer.ip4}/32, "{peer.ip6}/128"]
{settings}""")

    def up(self):
        with open(self.log, "w", encoding="utf-8") as log:
            self.daemon = self.start(self.pair.program, "up", "-c", self.config, output=log)

    def status(self):
        """-> what `status --json` tells, or None while the daemon does not answer."""
        done = subprocess.run(self.command(self.pair.program, "status", "--json", "-c", self.config), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=5, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def is_connected(self):
        if self.daemon.poll() is not None:
            raise Trouble(f"{self.name}'s node ended with status {self.daemon.returncode}")
        status = self.status()
        return status is not None and all(peer["connected"] for peer in status["peers"])

    def device_fields(self, device):
        lines = self.run("cat", "/proc/net/dev")
        return [int(field) for field in re.search(rf"^ *{device}: *(.*)$", lines, re.M)[1].split()]

    def counters(self, device):
        """-> (bytes received, bytes sent) of a network device"""
        fields = self.device_fields(device)
        return fields[0], fields[8]

    def packets(self, device):
        """-> packets of a network device, both ways"""
        fields = self.device_fields(device)
        return fields[1] + fields[9]

    def log_tail(self, lines=20):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except FileNotFoundError:
            return ""


class Pair:
    """with Pair(program) as pair: pair.alice.run("ping", pair.bob.ip4)"""

    def __init__(self, program):
        self.program = os.path.abspath(program)
        self.dir = None
        self.children = []

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix=f"{PREFIX}-")
        self.alice = Node(self, "alice", 1)
        self.bob = Node(self, "bob", 2)
        self.nodes = (self.alice, self.bob)
        try:
            self.make_network()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        stop(self.children)
        for node in self.nodes:
            subprocess.run(["ip", "netns", "del", node.netns], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def make_network(self):
        for node in self.nodes:
            try:
                run(["ip", "netns", "add", node.netns])
            except Trouble as why:
                raise Trouble(f"network namespaces are not available here: {why}\n"
                              "A container needs CAP_SYS_ADMIN and CAP_NET_ADMIN for them.") from why
        run(["ip", "link", "add", "eth0", "netns", self.alice.netns, "type", "veth",
             "peer", "name", "eth0", "netns", self.bob.netns])
        for node in self.nodes:
            ip = ["ip", "-n", node.netns]
            run([*ip, "link", "set", "lo", "up"])
            run([*ip, "address", "add", f"{node.wire_ip}/24", "dev", "eth0"])
            run([*ip, "link", "set", "eth0", "up"])

    def configure(self, settings=""):
        """`settings`: lines for both configurations. Again: after down()."""
        for node in self.nodes:
            if node.id is None:
                node.make_key()
        self.alice.write_config(self.bob, settings)
        self.bob.write_config(self.alice, settings)

    def up(self):
        """-> seconds until both were connected"""
        start = time.monotonic()
        for node in self.nodes:
            node.up()
        while not all(node.is_connected() for node in self.nodes):
            if time.monotonic() - start > CONNECT_TIMEOUT_S:
                raise Trouble(f"the nodes were not connected after {CONNECT_TIMEOUT_S} s")
            time.sleep(0.05)
        return time.monotonic() - start

    def down(self):
        stop([node.daemon for node in self.nodes])


def stop(children):
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
