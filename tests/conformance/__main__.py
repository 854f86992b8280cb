"""`make conformance`: the suite against penstock. Exit code 0 when every test passed, 1 when not, 3 without a verdict."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table

from streams.cli.roles import said
from tests.conformance.bed import bed, build, missing
from tests.conformance.binaries import inventory
from tests.conformance.judge import Order, Reading, Verdict, judge, words
from tests.conformance.network import Network, node_network

_NO_VERDICT = 3
_TAIL = 30


class Output(StrEnum):
    """How the verdict is printed."""

    table = "table"
    json = "json"


class _Told:
    """What is heard of a run, on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._start = time.monotonic()
        self._count = 0

    def seconds(self) -> float:
        return time.monotonic() - self._start

    def say(self, what: str) -> None:
        self._console.print(f"{self.seconds():6.1f} s  {what}", markup=False, soft_wrap=True)

    def hear(self, verdict: Verdict) -> None:
        # What was not asked for is skipped: that is nothing to read.
        if verdict.word == "SKIP":
            return
        self._count += 1
        self.say(f"{self._count:3} {verdict.word} {verdict.test} ({verdict.seconds:.1f} s)")


def main(
    core: Annotated[bool, typer.Option("--core", help="Only the core features of the profiles.")] = False,  # noqa: FBT002  an option
    run: Annotated[str, typer.Option(metavar="NAME", help="Only this test of the suite.")] = "",
    output: Annotated[Output, typer.Option(help="How the verdict is printed.")] = Output.table,
    report: Annotated[Path | None, typer.Option(help="Where the suite's own report goes (YAML).")] = None,
    keep: Annotated[Path | None, typer.Option(help="A new folder for all logs; else they are kept for a failure.")] = None,
    times: Annotated[int, typer.Option(min=1, help="How many runs in a row, each on a bed of its own.")] = 1,
    deny: Annotated[str, typer.Option(metavar="VERB:RESOURCE", help="A permission to take from the chart's roles.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only say what this machine lacks for it; 0: nothing.")] = False,  # noqa: FBT002
) -> None:
    """Bring up the bed and run the suite against penstock."""
    if lacking := missing():
        sys.stderr.write("".join(f"{line}\n" for line in lacking))
        raise typer.Exit(_NO_VERDICT)
    if check:
        return
    build()
    asks = inventory()
    if run and run not in asks.tests:
        sys.stderr.write(f"{run} is no test of gateways in the suite {asks.version}: it has {', '.join(sorted(asks.tests))}\n")
        raise typer.Exit(2)
    folder = (keep or Path(tempfile.mkdtemp(prefix="penstock-conformance-"))).absolute()
    flags, codes = words(Order(version("penstock"), core, run, report), asks), []
    for number in range(1, times + 1):
        root = folder / f"run-{number}" if times > 1 else folder
        root.mkdir(parents=True, exist_ok=True)
        codes.append(_once(_Try(root, flags, deny), output))
        if not codes[-1] and keep is None:
            shutil.rmtree(root)
        else:
            sys.stderr.write(f"logs are in {root}\n")
        if codes[-1] == _NO_VERDICT:
            break
    if times > 1:
        sys.stderr.write(f"{codes.count(0)} of {times} runs passed\n")
    if not any(codes) and keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(max(codes))


@dataclass(frozen=True, slots=True)
class _Try:
    """One run: where all of its logs are, what the suite is told, and what penstock is denied."""

    root: Path
    flags: list[str]
    denied: str


def _once(one: _Try, output: Output) -> int:
    told = _Told()
    code, reading = _NO_VERDICT, Reading(told.hear)
    try:
        with node_network() as network:
            code = asyncio.run(_judged(network, one, reading, told))
    except KeyboardInterrupt:
        told.say("stopped")
    except asyncio.CancelledError:
        told.say("terminated")
    except Exception as error:  # noqa: BLE001  whatever it is, a person reads what it was
        told.say(said(error))
    _print(reading, told.seconds(), output)
    return code


async def _judged(network: Network, one: _Try, reading: Reading, told: _Told) -> int:
    """Until it is judged, or a signal comes, or a role ends."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    told.say("bringing up the cluster and penstock")
    async with bed(network, one.root, one.denied) as found:
        told.say("penstock's class is accepted; the suite starts")
        judging = asyncio.create_task(judge(one.flags, found.kubeconfig, one.root / "suite.log", reading))
        ended = asyncio.create_task(found.controller.ended())
        try:
            await asyncio.wait({judging, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not judging.done():
                await ended
            code = await judging
            complaints = found.controller.complaints()
        finally:
            judging.cancel()
            ended.cancel()
            await asyncio.gather(judging, ended, return_exceptions=True)
    if code and not reading.failed():
        lines = (one.root / "suite.log").read_text(errors="replace").splitlines()[-_TAIL:]
        told.say("the suite ended before its tests:\n" + "\n".join(lines))
        return _NO_VERDICT
    if complaints:
        told.say("penstock itself complains, though no test may have noticed:\n" + "\n".join(complaints[:_TAIL]))
    return 1 if code or complaints else 0


def _print(reading: Reading, seconds: float, output: Output) -> None:
    counts = {word: sum(one.word == word for one in reading.verdicts.values()) for word in ("PASS", "FAIL", "SKIP")}
    failed = reading.failed()
    if output is Output.json:
        found = {
            "passed": counts["PASS"], "failed": counts["FAIL"], "skipped": counts["SKIP"], "seconds": round(seconds, 1),
            "failures": [{"test": one.test, "seconds": one.seconds, "said": one.said} for one in failed],
        }  # fmt: skip
        sys.stdout.write(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    console = Console(highlight=False)
    if failed:
        table = Table(Column("failed test", no_wrap=True), "seconds", "what it said")
        for one in failed:
            table.add_row(one.test, f"{one.seconds:.1f}", "\n".join(one.said))
        console.print(table)
    console.print(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped in {seconds:.0f} s")


if __name__ == "__main__":
    typer.run(main)
