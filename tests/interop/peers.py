# SPDX-License-Identifier: MIT OR Apache-2.0
"""The foreign peers as Python objects: start one, tell it what to do, wait for what it says."""

import json
import os
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 20  # seconds for anything that should take a fraction of one
PROTOCOLS = ("/vpn/1.0.0", "/ipfs/ping/1.0.0", "/ipfs/id/1.0.0")
AGENTS = {"js": "runnel-interop-js", "go": "runnel-interop-go"}


class Unavailable(Exception):
    """A toolchain or a registry is missing; the text says which."""


def prepare(*names):
    """Builds the named peers where needed and returns {name: path of its program}."""
    run = subprocess.run([os.path.join(HERE, "prepare"), *names], stdout=subprocess.PIPE, text=True, check=False)
    lines = run.stdout.splitlines()
    if run.returncode == 77:
        raise Unavailable(next((text.removeprefix("skipped: ") for text in lines if text.startswith("skipped: ")), "?"))
    run.check_returncode()
    return dict(zip(names, lines))


class Peer:
    """One running foreign peer. Each wait starts behind the last event that a wait of the same name has returned."""

    def __init__(self, name, program, seed, ips=(), listen=(), dial=None, prefix=(), more=()):
        self.name = name
        self.ips = list(ips)
        self.events = []
        self.seen = {}
        self.changed = threading.Condition()
        self.ended = False
        argv = [*prefix, program, "--key-seed", str(seed)]
        for flag, values in (("--ip", ips), ("--listen", listen), ("--dial", [dial] if dial else [])):
            for value in values:
                argv += [flag, value]
        argv += more
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            first = self.wait("listening")
        except Exception:
            self.close()
            raise
        self.id = first["peer_id"]
        self.addrs = first["addrs"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.events.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _find(self, event, where, start):
        for at in range(start, len(self.events)):
            e = self.events[at]
            if e["event"] == event and all(e.get(k) == v for k, v in where.items()):
                return at
        return None

    def wait(self, event, timeout=TIMEOUT, **where):
        """The next event of that name in which all of WHERE holds."""
        end = time.monotonic() + timeout
        key = (event, *sorted(where))
        with self.changed:
            while True:
                at = self._find(event, where, self.seen.get(key, 0))
                if at is not None:
                    self.seen[key] = at + 1
                    return self.events[at]
                left = end - time.monotonic()
                if left <= 0 or self.ended:
                    tail = "\n".join(json.dumps(e)[:300] for e in self.events[-12:])
                    why = "ended" if self.ended else f"said nothing for {timeout} s"
                    raise AssertionError(f"{self.name} peer {why}: no {event} {where}; its last events:\n{tail}")
                self.changed.wait(left)

    def has(self, event, **where):
        """Whether such an event has come at all."""
        with self.changed:
            return self._find(event, where, 0) is not None

    def tell(self, cmd, **fields):
        self.process.stdin.write(json.dumps({"cmd": cmd, **fields}) + "\n")
        self.process.stdin.flush()

    def stats(self):
        self.tell("stats")
        return self.wait("stats")

    def wait_stats(self, enough, timeout=TIMEOUT):
        """Counters once ENOUGH(counters) is true: asks again after each report of the peer."""
        end = time.monotonic() + timeout
        stats = self.stats()
        while not enough(stats):
            if time.monotonic() > end:
                raise AssertionError(f"{self.name} peer: counters stay at {stats}")
            time.sleep(0.05)  # between questions, not instead of an answer
            stats = self.stats()
        return stats

    def ping(self, peer_id, count=1):
        """Round-trip times in ms."""
        self.tell("ping", peer=peer_id, count=count)
        return [self.wait("ping", peer=peer_id)["rtt_ms"] for _ in range(count)]

    def identify(self, peer_id):
        """Asks anew; skips what the connection's own identify has said before."""
        with self.changed:
            self.seen[("identified", "peer")] = len(self.events)
        self.tell("identify", peer=peer_id)
        return self.wait("identified", peer=peer_id)

    def send(self, peer_id, raw, **fields):
        self.tell("send", peer=peer_id, hex=raw.hex(), **fields)

    def reply(self, peer_id):
        return bytes.fromhex(self.wait("reply", peer=peer_id)["hex"])

    def close(self):
        """Tells it to go by closing its stdin, as a dying parent would."""
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.reader.join(10)
        self.process.stdout.close()
        return self.process.returncode
