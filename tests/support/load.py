"""Starts traffic, steers it, and collects what it saw; the traffic itself is a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.support.running import SECONDS, until
from tests.support.traffic import Answer, Plan, Seen

Places = Mapping[str, tuple[str, str]]
"""Host and path by target."""


class Traffic:
    """The traffic of one test. `agreed` is what all kept connections last answered alike, by target."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.agreed: dict[str, Answer] = {}
        self._ready = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.traffic", json.dumps(asdict(plan))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        self._reader = threading.Thread(target=self._hear)
        self._reader.start()
        until(self._ready.is_set, says=lambda: f"traffic ended with {self.process.poll()}")

    def _hear(self) -> None:
        for line in self.process.stdout or ():
            news = json.loads(line)
            if "agreed" in news:
                self.agreed[news["agreed"]] = Answer(*news["answer"])
            else:
                self._ready.set()

    def tell(self, **command: Any) -> None:
        """Send a command: steady, changed, dropped, sockets, connect."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def all_answer(self, target: str, answer: Answer, seconds: float = SECONDS) -> None:
        """Wait until all kept connections answer so."""
        until(
            lambda: self.agreed.get(target) == answer,
            seconds,
            lambda: f"{target} must answer {answer}, last all answered {self.agreed.get(target)}",
        )

    def end(self) -> list[Seen]:
        """End it, and answer everything that it saw, in the order in which answers came."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(SECONDS)
        self._reader.join()
        assert code == 0, f"traffic ended with {code}"
        rows = (json.loads(line) for line in Path(self.plan.out).read_text().splitlines())
        return [Seen(*row[:-1], Answer(*row[-1])) for row in rows]

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def traffic(plan: Plan) -> Iterator[Traffic]:
    """Traffic that ends with the block."""
    one = Traffic(plan)
    try:
        yield one
    finally:
        one.close()
