# SPDX-License-Identifier: MIT OR Apache-2.0
"""A small network in network namespaces, with faults.

    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        a.run("ping", "-c1", b.addr4)
        b.cut()                                 # unplugged; b.cut(silent=True) keeps the carrier
        wait_until(lambda: not a.can_reach(b), 5, "b to be gone")

All hosts are on one switch, a bridge in a namespace of its own ("net"), where the faults are: there
the sender does not notice a loss, as on a real wire. Hosts have 198.18.0.N and 2001:db8::N on eth0.
Lab.link() joins two hosts by a wire of their own besides.

Names of namespaces carry the pid of the process that made them. A lab is torn down on every way
out, also by SIGTERM; what a killed process (SIGKILL) left is swept by the next one. Its commands
die with it.
"""
import atexit
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|"
                       r"Assertion .* failed")
NETNS_DIR = "/run/netns"
RUN_TIMEOUT_S = 30      # a command that is waited for; ping and ip take far less
STOP_TIMEOUT_S = 10     # from SIGTERM to SIGKILL; sanitizers are slow to look for leaks

_labs = []


class LabError(Exception):
    """Something did not go as the test wants; the message is for people."""


def wait_until(predicate, timeout_s, what, interval_s=0.02):
    """Wait for `what`; returns the predicate's value. There is always at least one try."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(interval_s)


def requirements():
    """None, or why there can be no lab here."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "needs /dev/net/tun"
    for tool in ("ip", "nft", "ethtool", "ping", "setpriv"):
        if shutil.which(tool) is None:
            return f"needs the program {tool}"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
        return "may not make network namespaces"
    return None


class Process:
    """A program that runs in a host's namespace. Its output goes to a file."""

    def __init__(self, argv, name, directory, env=None):
        self.name = name
        self.argv = argv
        self.log = tempfile.NamedTemporaryFile("w+b", dir=directory, prefix=f"{name}-",
                                               suffix=".log", delete=False)
        self.popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *argv], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT, env=env)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def output(self):
        with open(self.log.name, "rb") as file:
            return file.read().decode(errors="replace")

    def send(self, signum):
        if self.alive():
            self.popen.send_signal(signum)

    def wait(self, timeout_s=RUN_TIMEOUT_S):
        """The exit status; negative for a signal."""
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} did not end within {timeout_s} s") from None

    def stop(self, signum=signal.SIGTERM, timeout_s=STOP_TIMEOUT_S):
        """Ask it to end and return its exit status; it is gone afterwards in any case."""
        self.send(signum)
        try:
            return self.wait(timeout_s)
        except LabError:
            self.kill()
            raise

    def kill(self):
        self.send(signal.SIGKILL)
        self.popen.wait()

    def sanitizer_report(self):
        """From the first line in which a sanitizer or an assertion speaks; "" for none."""
        output = self.output()
        found = SANITIZER.search(output)
        return output[found.start():] if found else ""


class Host:
    """A namespace with one end of a cable; the other end, `port`, is in the lab's switch."""

    def __init__(self, lab, name, number):
        self.lab = lab
        self.name = name
        self.ns = f"{lab.prefix}{name}"
        self.addr4 = f"198.18.0.{number}"
        self.addr6 = f"2001:db8::{number:x}"
        self.mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        self.port = f"p{number}"
        self.silent = False             # a cut that the carrier does not tell of
        self.loss_up = self.loss_down = 0.0  # percent; up: from the host
        self.longest = 0                # bytes of an IP packet that passes; 0: any
        self.apart = set()              # hosts that it does not reach

    # --- commands

    def command(self, argv):
        return ["ip", "netns", "exec", self.ns, *map(str, argv)]

    def run(self, *argv, timeout_s=RUN_TIMEOUT_S, check=True, env=None):
        """Run to its end: a subprocess.CompletedProcess with text."""
        return run(self.command(argv), timeout_s, check, env=env)

    def spawn(self, *argv, name=None, env=None):
        """Run beside the test: a Process, which ends with the lab at the latest."""
        process = Process(self.command(argv), f"{self.name}-{name or os.path.basename(argv[0])}",
                          self.lab.directory, env)
        self.lab.processes.append(process)
        return process

    def can_reach(self, other, timeout_s=1):
        """Does one ping come back? `other` is a host or an address."""
        address = other.addr4 if isinstance(other, Host) else str(other)
        return self.run("ping", "-n", "-q", "-c1", f"-W{timeout_s}", address,
                        check=False).returncode == 0

    # --- faults

    def cut(self, silent=False):
        """Unplug; silent: lose everything and keep the carrier."""
        if silent:
            self.silent = True
            self._apply()
        else:
            self.lab.net("link", "set", self.port, "down")

    def restore(self):
        """End cuts, losses and black holes; set_mtu() and set_offload() stay."""
        self.silent = False
        self.loss_up = self.loss_down = 0.0
        self.longest = 0
        for other in list(self.apart):
            self.lab.join(self, other)
        self._apply()
        self.lab.net("link", "set", self.port, "up")

    def loss(self, percent, direction="both"):
        """Lose packets at random; direction: "up" (from this host), "down", "both"."""
        if direction not in ("up", "down", "both"):
            raise ValueError(direction)
        self.set_offload(False)  # or a loss takes 64 KiB at a time
        if direction != "down":
            self.loss_up = percent
        if direction != "up":
            self.loss_down = percent
        self._apply()

    def black_hole(self, longest):
        """Lose IP packets that are longer than this, and tell nobody; 0 ends it."""
        if longest:
            self.set_offload(False)
        self.longest = longest
        self._apply()

    def set_mtu(self, mtu):
        self.ip("link", "set", "eth0", "mtu", mtu)

    def set_offload(self, on):
        """Segmentation offload: packets of up to 64 KiB on the wire, or real ones."""
        settings = []
        for what in ("tso", "gso", "tx-udp-segmentation"):
            settings += [what, "on" if on else "off"]
        self.run("ethtool", "-K", "eth0", *settings)

    def ip(self, *args):
        return run(["ip", "-n", self.ns, *map(str, args)])

    def _rules(self, loss, far_end, header_len):
        rules = []
        if self.silent:
            return ["drop"]
        rules += [f"ether {far_end} {other.mac} drop" for other in self.apart]
        if self.longest:
            rules.append(f"meta protocol {{ ip, ip6 }} meta length > {self.longest + header_len} "
                         "drop")
        if loss >= 100:
            rules.append("drop")
        elif loss > 0:
            rules.append(f"numgen random mod 10000 < {round(loss * 100)} drop")
        return rules

    def _apply(self):
        """All faults of this port as one nft table, exchanged as a whole."""
        table = f"netdev {self.port}"
        text = f"table {table} {{}}\ndelete table {table}\n"
        chains = ""
        # On its way out the length is that of the frame, with 14 bytes of Ethernet header.
        for hook, loss, far_end, header_len in (("ingress", self.loss_up, "daddr", 0),
                                                ("egress", self.loss_down, "saddr", 14)):
            rules = self._rules(loss, far_end, header_len)
            if rules:
                chains += (f"chain {hook} {{ type filter hook {hook} device {self.port} "
                           "priority 0; policy accept;\n" + "\n".join(rules) + "\n}\n")
        if chains:
            text += f"table {table} {{\n{chains}}}\n"
        run(["ip", "netns", "exec", self.lab.net_ns, "nft", "-f", "-"], stdin=text)


class Lab:
    def __init__(self):
        sweep()
        self.prefix = f"rnl{os.getpid()}-{len(_labs)}-"
        self.net_ns = f"{self.prefix}net"
        self.hosts = []
        self.links = 0
        self.processes = []
        self.closed = False
        self.directory = tempfile.mkdtemp(prefix=f"runnel-lab-{os.getpid()}-")
        _labs.append(self)
        try:
            self._new_ns(self.net_ns)
            self._sysctl(self.net_ns, "net.ipv6.conf.all.disable_ipv6=1",
                         "net.ipv6.conf.default.disable_ipv6=1")
            self.net("link", "add", "br0", "type", "bridge")
            self.net("link", "set", "br0", "up")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def net(self, *args):
        """`ip` in the switch's namespace."""
        return run(["ip", "-n", self.net_ns, *map(str, args)])

    def _new_ns(self, ns):
        run(["ip", "netns", "add", ns])
        run(["ip", "-n", ns, "link", "set", "lo", "up"])

    def _sysctl(self, ns, *settings):
        run(["ip", "netns", "exec", ns, "sysctl", "-qw", *settings])

    def host(self, name):
        if not re.fullmatch(r"[a-z0-9]{1,8}", name) or any(h.name == name for h in self.hosts):
            raise ValueError(f"not a (new) name for a host: {name}")
        host = Host(self, name, len(self.hosts) + 1)
        self._new_ns(host.ns)
        self.hosts.append(host)
        # Addresses are usable at once, and nobody else hands any out.
        self._sysctl(host.ns, "net.ipv6.conf.all.accept_dad=0",
                     "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.accept_ra=0")
        run(["ip", "link", "add", "eth0", "netns", host.ns, "address", host.mac, "type", "veth",
             "peer", "name", host.port, "netns", self.net_ns])
        self.net("link", "set", host.port, "master", "br0", "up")
        host.ip("addr", "add", f"{host.addr4}/24", "dev", "eth0")
        host.ip("addr", "add", f"{host.addr6}/64", "dev", "eth0", "nodad")
        host.ip("link", "set", "eth0", "up")
        return host

    def link(self, a, b):
        """One more wire, between these two alone; their IPv4 addresses on it. Devices are named
        after the other end: "to-b" in a."""
        self.links += 1
        ends = ((a, f"to-{b.name}", f"198.19.{self.links}.1"),
                (b, f"to-{a.name}", f"198.19.{self.links}.2"))
        run(["ip", "link", "add", ends[0][1], "netns", a.ns, "type", "veth", "peer", "name",
             ends[1][1], "netns", b.ns])
        for k, (host, dev, address) in enumerate(ends, 1):
            host.ip("addr", "add", f"{address}/24", "dev", dev)
            host.ip("addr", "add", f"2001:db8:{self.links:x}::{k}/64", "dev", dev, "nodad")
            host.ip("link", "set", dev, "up")
        return ends[0][2], ends[1][2]

    def part(self, a, b):
        """These two do not reach each other; all others still do."""
        a.apart.add(b)
        b.apart.add(a)
        a._apply()
        b._apply()

    def join(self, a, b):
        a.apart.discard(b)
        b.apart.discard(a)
        a._apply()
        b._apply()

    def logs(self):
        """(name, output) of all processes, for the report of a failure."""
        return [(process.name, process.output()) for process in self.processes]

    def close(self):
        """Never raises, can be called again."""
        if self.closed:
            return
        self.closed = True
        for process in self.processes:
            with contextlib.suppress(Exception):
                process.send(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in self.processes:
            with contextlib.suppress(Exception):
                process.popen.wait(max(0.0, deadline - time.monotonic()))
            with contextlib.suppress(Exception):
                process.kill()
            with contextlib.suppress(Exception):
                process.log.close()
        for ns in [host.ns for host in self.hosts] + [self.net_ns]:
            remove_ns(ns)
        shutil.rmtree(self.directory, ignore_errors=True)


def run(argv, timeout_s=RUN_TIMEOUT_S, check=True, stdin=None, env=None):
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, errors="replace",
                              timeout=timeout_s, env=env,
                              **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))
    except subprocess.TimeoutExpired:
        raise LabError(f"'{' '.join(argv)}' did not end within {timeout_s} s") from None
    if check and done.returncode != 0:
        raise LabError(f"'{' '.join(argv)}' failed with {done.returncode}: "
                       f"{(done.stderr or done.stdout).strip()}")
    return done


def remove_ns(ns):
    """Also ends what still runs in it: nothing but ours can."""
    with contextlib.suppress(Exception):
        for pid in run(["ip", "netns", "pids", ns], check=False).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    with contextlib.suppress(Exception):
        run(["ip", "netns", "del", ns], check=False)


def is_gone(pid):
    return not os.path.exists(f"/proc/{pid}")


def sweep():
    """Remove the namespaces and directories of processes that are gone."""
    for ns in os.listdir(NETNS_DIR) if os.path.isdir(NETNS_DIR) else []:
        made_by = re.match(r"rnl(\d+)-\d+-", ns)
        if made_by and is_gone(made_by[1]):
            remove_ns(ns)
    for entry in list(os.scandir(tempfile.gettempdir())):
        made_by = re.match(r"runnel-lab-(\d+)-", entry.name)
        with contextlib.suppress(OSError):
            if made_by and is_gone(made_by[1]) and \
                    entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                shutil.rmtree(entry.path, ignore_errors=True)


def close_all():
    for lab in _labs:
        lab.close()


def _end(signum, _frame):
    raise SystemExit(128 + signum)  # so that all with and finally are run


def install_handlers():
    atexit.register(close_all)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, _end)
