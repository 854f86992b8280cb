"""Runs the suite, and reads what it says of each test."""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.bed import CLASS
from tests.conformance.binaries import Inventory, binary, other

PROFILES = ("GATEWAY-HTTP", "GATEWAY-GRPC", "GATEWAY-TLS", "GATEWAY-TCP", "GATEWAY-UDP")
_MODES = ("TLSRouteModeTerminate", "TLSRouteModeMixed")
CORE = ("Gateway", "ReferenceGrant", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", *_MODES)
"""Core features of these profiles, and the modes of TLS: who does not claim them must refuse such listeners."""

_USABLE = "10.200.0.250"
_UNUSABLE = "unusable.example.com"
_MINUTES = 50
_LINE_BYTES = 1 << 22
_ABOUT = ("-organization", "penstock", "-project", "penstock", "-url", "https://penstock.dev", "-contact", "@penstock")
_NOW = re.compile(r"=== (?:RUN|NAME|CONT)\s+TestConformance(?:/([^/\s]+))?")
_ENDED = re.compile(r"--- (PASS|FAIL|SKIP): TestConformance/([^/\s]+) \((\d+(?:\.\d+)?)s\)")
_FELL = re.compile(r"--- FAIL: TestConformance/([^/\s]+)/")
_LOGGED = re.compile(r"^\s+\w+\.go:\d+: ")
_SAID = re.compile(r"^\s*(?:Error|Messages):\s+(.+)$")
_UNEXPECTED = "unexpected error:"
_LABEL = re.compile(r"^\s*[A-Z][A-Za-z ]+:\s")
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one test; `word` is PASS, FAIL or SKIP, `said` the first errors of one that failed."""

    test: str
    word: str
    seconds: float
    said: tuple[str, ...] = ()


@dataclass(slots=True)
class Reading:
    """The suite's output, line by line; each verdict is told to `hear`."""

    hear: Callable[[Verdict], None]
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    _test: str = ""
    _said: dict[str, list[str]] = field(default_factory=dict)
    _logged: deque[str] = field(default_factory=lambda: deque(maxlen=2))

    def line(self, line: str) -> None:
        """Take a line."""
        # What is the framework's own starts with a mark (`-test.v=test2json`), perhaps behind a line without an end.
        text = line.rpartition("\x16")[2]
        if match := _NOW.match(text):
            self._test = match[1] or ""
        elif match := _ENDED.search(text):
            verdict = Verdict(match[2], match[1], float(match[3]), tuple(self._said.get(match[2], ())[:3]))
            self.verdicts[verdict.test] = verdict
            self.hear(verdict)
        elif match := _FELL.search(text):
            # Some say nothing but what they log.
            self._said.setdefault(match[1], list(self._logged))
        elif _LOGGED.match(text):
            self._logged.append(text.strip())
        elif match := _SAID.match(text):
            said = self._said.setdefault(self._test, [])
            if match[1].strip() not in said:
                said.append(match[1].strip())
        elif (said := self._said.get(self._test)) and said[-1].endswith(_UNEXPECTED) and not _LABEL.match(text):
            # The error itself is the line below.
            said[-1] = f"{said[-1]} {text.strip()}"

    def failed(self) -> list[Verdict]:
        """Those that failed, as they ended."""
        return [one for one in self.verdicts.values() if one.word == "FAIL"]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be judged: all, the `core`, or one test; `report` is where the suite's own report goes."""

    version: str
    core: bool = False
    only: str = ""
    report: Path | None = None


def words(order: Order, inventory: Inventory) -> list[str]:
    """The suite's flags."""
    features = CORE if order.core else inventory.features
    found = ["-gateway-class", CLASS, "-supported-features", ",".join(features), "-cleanup-base-resources=false"]
    found += ["-usable-address", _USABLE, "-unusable-address", _UNUSABLE]
    if other() is not None:
        # The CRDs are those of the project's own version.
        found.append("-allow-crds-mismatch")
    if order.only:
        return [*found, "-run-test", order.only]
    found += ["-conformance-profiles", ",".join(PROFILES)]
    if order.report is not None:
        found += ["-report-output", str(order.report.absolute()), *_ABOUT, "-version", order.version]
    return found


async def judge(flags: Sequence[str], kubeconfig: Path, log: Path, reading: Reading) -> int:
    """Run the suite to its end; answers its exit code. Cancelled, it is stopped. All that it says is in `log`, and read."""
    process = await asyncio.create_subprocess_exec(
        str(binary("suite")), "-test.v=test2json", "-test.run", "^TestConformance$", "-test.timeout", f"{_MINUTES}m", *flags,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)}, cwd=log.parent, limit=_LINE_BYTES,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with log.open("wb") as file:
            async for raw in process.stdout:
                file.write(raw)
                reading.line(raw.decode(errors="replace").rstrip("\n"))
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
