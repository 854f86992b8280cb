"""Traffic as a process of its own: backends, and a client that asks all the time and writes every answer down.

`python -m tests.support.traffic PLAN` (JSON, see `Plan`); commands come in and news go out as JSON lines; it ends when
its input does. It judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TextIO

from tests.support.backend import backends
from tests.support.client import Ask, Connection
from tests.support.written import below

_LOST = (OSError, EOFError, asyncio.LimitOverrunError, ValueError, IndexError)
_AGAIN_SECONDS = 0.05
_SOCKET_SECONDS = 0.05
_FRESH_SHARE, _CHANGING_SHARE = 0.5, 0.75


class Answer(NamedTuple):
    """What tells answers apart: `version` is what the route's own header says. Status 0: the connection was lost."""

    status: int
    backend: str = ""
    version: str = ""


class Seen(NamedTuple):
    """An answer as it came: on which connection, whether that one is kept open, and when (seconds, monotonic)."""

    connection: int
    kept: bool
    target: str
    sent: float
    received: float
    answer: Answer


@dataclass(frozen=True)
class Plan:
    """`port` is the gateway's; `rate` of kept and of new connections together, in requests a second."""

    port: int
    out: str
    places: dict[str, int]
    connections: int = 12
    rate: float = 400.0
    new_rate: float = 50.0
    seed: int = 0


@dataclass
class _Client:
    plan: Plan
    out: TextIO
    news: Callable[[dict[str, Any]], None]
    steady: dict[str, tuple[str, str]] = field(default_factory=dict)
    changing: dict[str, tuple[str, str]] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    """Changed, and not yet answered alike on all connections."""
    last: dict[str, dict[int, Answer]] = field(default_factory=dict)
    agreed: dict[str, Answer] = field(default_factory=dict)
    slots: int = 0
    numbers: int = 0

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def take(self, command: dict[str, Any], tasks: asyncio.TaskGroup) -> None:
        for name, (host, path) in command.get("steady", {}).items():
            self.steady[name] = (host, path)
        for name, (host, path) in command.get("changed", {}).items():
            self.changing[name] = (host, path)
            self.fresh.add(name)
        for name in command.get("dropped", ()):
            self.changing.pop(name, None)
            self.fresh.discard(name)
        for name, host in command.get("sockets", {}).items():
            tasks.create_task(self.socket(name, host))
        for _ in range(command.get("connect", 0)):
            tasks.create_task(self.keep(self.slots))
            self.slots += 1

    def choose(self, dice: random.Random) -> tuple[str, tuple[str, str]] | None:
        """What was just changed is asked most, what changes at times often, and the rest in turn."""
        roll = dice.random()
        if self.fresh and roll < _FRESH_SHARE:
            name = dice.choice(sorted(self.fresh))
            return name, self.changing[name]
        pool = self.changing if self.changing and (roll < _CHANGING_SHARE or not self.steady) else self.steady
        return dice.choice(list(pool.items())) if pool else None

    async def keep(self, slot: int) -> None:
        """One connection kept open, and opened again should it be lost."""
        dice, pace = random.Random(f"{self.plan.seed}-{slot}"), self.plan.connections / self.plan.rate
        connection: Connection | None = None
        number = 0
        while True:
            await asyncio.sleep(pace * dice.uniform(0.5, 1.5))
            chosen = self.choose(dice)
            if chosen is None:
                continue
            name, place = chosen
            sent = time.monotonic()
            try:
                if connection is None:
                    number = self.number()
                    connection = await Connection.open("127.0.0.1", self.plan.port)
                answer = await _ask(connection, place, lower=dice.random() < 0.5)
            except _LOST as error:
                answer = Answer(0, "", repr(error))
                if connection is not None:
                    connection.close()
                connection = None
            self.note(Seen(number, True, name, sent, time.monotonic(), answer))
            self.compare(slot, name, answer)
            if connection is None:
                await asyncio.sleep(_AGAIN_SECONDS)

    def compare(self, slot: int, name: str, answer: Answer) -> None:
        answers = self.last.setdefault(name, {})
        answers[slot] = answer
        if self.agreed.get(name) == answer or len(answers) < self.slots or set(answers.values()) != {answer}:
            return
        self.agreed[name] = answer
        self.fresh.discard(name)
        self.news({"agreed": name, "answer": answer})

    async def renew(self) -> None:
        """A new connection for each request."""
        dice = random.Random(f"{self.plan.seed}-new")
        while True:
            await asyncio.sleep(dice.uniform(0.5, 1.5) / self.plan.new_rate)
            chosen = self.choose(dice)
            if chosen is None:
                continue
            sent = time.monotonic()
            try:
                connection = await Connection.open("127.0.0.1", self.plan.port)
                try:
                    answer = await _ask(connection, chosen[1], lower=dice.random() < 0.5)
                finally:
                    connection.close()
            except _LOST as error:
                answer = Answer(0, "", repr(error))
            self.note(Seen(self.number(), False, chosen[0], sent, time.monotonic(), answer))

    async def socket(self, name: str, host: str) -> None:
        """A WebSocket that is held open: what is sent must come back."""
        ask = Ask(host, headers={"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-key": "eA=="})
        while True:
            number, sent = self.number(), time.monotonic()
            try:
                connection = await Connection.open("127.0.0.1", self.plan.port)
                opened = await connection.ask(ask)
                answer = Answer(opened.status, opened.header("x-backend") or "", opened.header("x-version") or "")
                while True:
                    self.note(Seen(number, True, name, sent, time.monotonic(), answer))
                    await asyncio.sleep(_SOCKET_SECONDS)
                    sent = time.monotonic()
                    said = f"{sent:020.9f}".encode()
                    connection.writer.write(said)
                    echo = await asyncio.wait_for(connection.reader.readexactly(len(said)), 15)
                    if echo != said:
                        answer = Answer(0, "", f"{said!r} came back as {echo!r}")
            except _LOST as error:
                self.note(Seen(number, True, name, sent, time.monotonic(), Answer(0, "", repr(error))))
                await asyncio.sleep(_AGAIN_SECONDS)

    def note(self, seen: Seen) -> None:
        self.out.write(json.dumps(seen) + "\n")


async def _ask(connection: Connection, place: tuple[str, str], *, lower: bool) -> Answer:
    """Ask at the place or below it: two rules of one route, whose change is seen in both or in none."""
    host, path = place
    found = await connection.ask(Ask(host, below(path) if lower else path))
    return Answer(found.status, found.header("x-backend") or "", found.header("x-version") or "")


def _say(news: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


async def main(plan: Plan) -> None:
    """Serve and ask until the input ends."""
    commands = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    places = {("127.0.0.1", port): name for name, port in plan.places.items()}
    with open(plan.out, "w", encoding="utf-8") as out:  # noqa: ASYNC230, PTH123  buffered; nothing else to do meanwhile
        client = _Client(plan, out, _say)
        async with backends(places, forget=True):
            _say({"ready": True})
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(client.renew())
                while line := await commands.readline():
                    client.take(json.loads(line), tasks)
                # Not cancelled and waited for: Python 3.11's wait_for forgets a cancellation that meets a finished
                # answer, and its task would ask for ever. Nor is there anything to wait for in open connections.
                out.close()
                os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(Plan(**json.loads(sys.argv[1]))))
