"""How long a real Envoy waits before it tries again, against the backoff of a route. It is no part of `make bench`.

`python -m tests.benchmarks.backoff`: the waits before the first and the second retry of many requests, as shares of the
backoff that their route asks for, and how many are shorter than that.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import typer

from engine.engine import Engine
from engine.seal import KEY_BYTES, Sealer
from tests.benchmarks.world import percentile
from tests.support.backend import Backend, Headers
from tests.support.client import Ask, ask
from tests.support.manifests import change_set, endpoints, gateway, route, service
from tests.support.proxy import proxies

REQUESTS = 300
AT_ONCE = 10
BACKOFF_MS = 50
_ADDRESS, _PORT = "127.3.0.254", 9000


@dataclass(slots=True)
class Failing(Backend):
    """Answers every try with 503, and keeps when it came."""

    tries: dict[str, list[float]] = field(default_factory=dict)

    async def answer(self, method: str, path: str, headers: Headers, protocol: str) -> tuple[int, bytes]:
        """Requests are told apart by their path."""
        self.tries.setdefault(path, []).append(time.monotonic())
        return 503, b""


async def _tries() -> list[list[float]]:
    sealer = Sealer(bytes(KEY_BYTES))
    engine = Engine(sealer)
    rule = {
        "backendRefs": [{"name": "s", "port": 80}],
        "retry": {"codes": [503], "attempts": 2, "backoff": f"{BACKOFF_MS}ms"},
    }
    engine.apply(change_set(gateway(), service(), endpoints("s", "127.3.0.1", port=_PORT), route("r", rules=[rule])), 0)
    backend = Failing("1")
    server = await asyncio.start_server(backend.connected, "127.3.0.1", _PORT)
    async with server, proxies(engine.everything().fragments.set, sealer, _ADDRESS):
        for first in range(0, REQUESTS, AT_ONCE):
            paths = [f"/{number}" for number in range(first, first + AT_ONCE)]
            await asyncio.gather(*(ask(_ADDRESS, 8080, Ask("example.com", path)) for path in paths))
    return list(backend.tries.values())


def main() -> None:
    """Print the shares."""
    tries = asyncio.run(_tries())
    for number, word in ((1, "first"), (2, "second")):
        waits = [(one[number] - one[number - 1]) * 1000 / BACKOFF_MS for one in tries if len(one) > number]
        short = sum(wait < 1 for wait in waits) / len(waits)
        shown = ", ".join(f"p{round(share * 100)} {percentile(waits, share):.2f}" for share in (0.05, 0.25, 0.5, 0.95))
        mean = sum(waits) / len(waits)
        typer.echo(f"{word} retry: {len(waits)} waits, mean {mean:.2f}, {shown} backoffs; {short:.0%} shorter than one")


if __name__ == "__main__":
    main()
