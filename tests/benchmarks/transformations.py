"""What a transformation costs a request: Envoy's CPU, in one run with and without. `python -m tests.benchmarks.transformations`."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
from pathlib import Path
from typing import Any

from tests.support.rendering import Site, rendering

_ROUNDS, _REQUESTS = 15, 400
_SMALL = json.dumps(
    {"model": "m-1", "items": [{"name": f"n{number}", "price": number} for number in range(20)]}
).encode()
_LARGE = json.dumps({"items": [{"name": f"n{number}", "price": number} for number in range(3000)]}).encode()
_HEADERS = [{"name": f"x-{number}", "value": "v"} for number in range(4)]
_MADE = [
    {
        "name": f"x-{number}",
        "value": '{% if request_header("a") == "b" %}{{ request_header("c") }}{% else %}{{ header(":path") }}{% endif %}',
    }
    for number in range(4)
]
CASES: dict[str, tuple[dict[str, Any], bytes]] = {
    "nothing": ({}, b""),
    "4 constant headers": ({"request": {"set": _HEADERS}}, b""),
    "4 headers of templates": ({"request": {"set": _MADE}}, b""),
    "nothing, a body of 600 bytes": ({}, _SMALL),
    "a header of its JSON": (
        {"request": {"set": [{"name": "x", "value": "{{ model }}"}], "body": {"parseAs": "AsJson"}}},
        _SMALL,
    ),
    "its body anew, by a loop": (
        {
            "request": {
                "body": {"parseAs": "AsJson", "value": "[{% for i in items %}{{ i.name|tojson }},{% endfor %}0]"}
            }
        },
        _SMALL,
    ),
    "nothing, a body of 100 kB": ({}, _LARGE),
    "a header of 100 kB of JSON": (
        {"request": {"set": [{"name": "x", "value": "{{ items|length }}"}], "body": {"parseAs": "AsJson"}}},
        _LARGE,
    ),
    "100 kB anew, by a loop": (
        {
            "request": {
                "body": {"parseAs": "AsJson", "value": "[{% for i in items %}{{ i.name|tojson }},{% endfor %}0]"}
            }
        },
        _LARGE,
    ),
}


def _cpu(process: int) -> float:
    """Seconds, of all threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _round(site: Site, number: int, body: bytes, many: int) -> float:
    before = _cpu(site.process)
    for _ in range(many):
        answer = await site.ask(number, "POST" if body else "GET", body=body)
        assert answer.status == 200
    return (_cpu(site.process) - before) / many * 1e6


async def _measured() -> None:
    found: dict[str, list[float]] = {name: [] for name in CASES}
    async with rendering([block for block, _ in CASES.values()]) as site:
        for _ in range(_ROUNDS):
            for number, (name, (_, body)) in enumerate(CASES.items()):
                found[name].append(
                    await _round(site, number, body, _REQUESTS // 8 if len(body) > 10_000 else _REQUESTS)
                )
    base = 0.0
    for name, times in found.items():
        # Ticks of the clock are long: of one round a mean would say little.
        middle = statistics.fmean(times)
        base = middle if name.startswith("nothing") else base
        print(f"{name:32} {middle:8.1f} µs   {middle / base:5.2f}")  # noqa: T201  its purpose


if __name__ == "__main__":
    asyncio.run(_measured())
