# SPDX-License-Identifier: MIT OR Apache-2.0
"""Count what tests said: each line of TAP is one result; a program without TAP is one result."""
import json
import re
from dataclasses import dataclass, field

TAP_LINE = re.compile(r"^(not )?ok\b *\d* *-? *(.*)$")


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skips: list = field(default_factory=list)      # "name: reason"
    failures: list = field(default_factory=list)   # (name, output)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skips += other.skips
        self.failures += other.failures

    def fail(self, name, output=""):
        self.failed += 1
        self.failures.append((name, output))

    def total(self):
        return self.passed + self.failed + len(self.skips)

    def __str__(self):
        skipped = f", {len(self.skips)} skipped" if self.skips else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def read_tap(name, text):
    """The results in a text of TAP. Failures carry no output: the caller knows how much of it helps."""
    tally = Tally()
    for line in text.splitlines():
        none = re.match(r"^1\.\.0 *# *skip\S* *(.*)$", line, re.I)
        if none:
            tally.skips.append(f"{name}: {none[1]}")
            continue
        result = TAP_LINE.match(line)
        if not result:
            continue
        claim, _, directive = result[2].partition(" # ")
        if result[1]:
            tally.fail(f"{name}: {claim}")
        elif directive.upper().startswith("SKIP"):
            tally.skips.append(f"{name}: {claim}: {directive[4:].strip()}")
        else:
            tally.passed += 1
    return tally


def read_test(test):
    """One line of testlog.json."""
    name = test["name"].removeprefix("runnel:")
    out = test.get("stdout", "")
    verdict = test["result"]
    output = out + test.get("stderr", "")
    if verdict == "SKIP":
        reason = out.strip().splitlines()[-1:] or ["no reason given"]
        return Tally(skips=[f"{name}: {re.sub('^1..0 # SKIP ', '', reason[0])}"])

    tally = read_tap(name, out)
    fine = verdict in ("OK", "EXPECTEDFAIL")
    if tally.total() == 0 and fine:
        tally.passed = 1
    if not fine and tally.failed == 0:
        # It crashed, ran out of time or leaked after its last claim.
        tally.fail(f"{name}: {verdict.lower()}, exit status {test.get('returncode')}")
    if tally.failed:
        # One output for all of its failures.
        names = ", ".join(claim for claim, _ in tally.failures)
        tally.failures = [(names, output)]
    return tally


def read_testlog(path):
    tally = Tally()
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                tally.add(read_test(json.loads(line)))
    except FileNotFoundError:
        pass
    return tally
