"""100,000 random manifests of kgateway's kinds: nothing raises, and Envoy takes all that the engine takes (`make fuzz`)."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from engine.engine import Engine, EngineSettings
from engine.events import Put
from engine.ref import parse_ref
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKey, Update, parse_fragment_key
from tests.cli.test_reasons import in_page
from tests.fuzz.world import Author, kinds, standing
from tests.support.manifests import change_set
from tests.support.proxy import Proxies, proxies

_MANIFESTS = int(os.environ.get("FUZZ_MANIFESTS", "600"))
_SEED = int(os.environ.get("FUZZ_SEED", "1"))
_PLACES = 100
_TOLD = 50
_WANTED = 0.5
"""Of the manifests that their schemas take at least so many must be in force: else mostly refusals would be tried."""
Row = tuple[str, str, str]


@pytest.mark.timeout(600 + _MANIFESTS // 10)  # a hundred thousand take longer than a test may that hangs
def test_random_manifests() -> None:
    """The acceptance rate is printed; FUZZ_MANIFESTS says how many, FUZZ_SEED which."""
    counted = asyncio.run(_fuzz(_MANIFESTS, _SEED))
    told = sum(counted.values())
    said = ", ".join(f"{name} {n}" for name, n in counted.most_common())
    print(f"\n{_MANIFESTS} manifests, seed {_SEED}; of those with a status: {said}")  # noqa: T201  the rate is the evidence
    assert counted["accepted"] > _WANTED * told


async def _fuzz(many: int, seed: int) -> Counter[str]:
    sealer = Sealer(bytes(KEY_BYTES))
    # Each Gateway on an address of its own: alone on its port Envoy cannot change the options of a socket (docs/weaknesses.md).
    engine = Engine(sealer, EngineSettings(shared_address=False))
    engine.apply(change_set(*standing(_PLACES, sealer)), 0)
    author, counted, page = Author(seed), Counter[str](), in_page()
    address = f"127.{random.SystemRandom().randrange(2, 250)}.3.1"
    async with proxies(engine.everything().fragments.set, sealer, address) as running:
        for number in range(1, -(-many // _PLACES) + 1):
            written = {put.ref: put for kind, at in kinds(_PLACES) for put in author.write(kind, at, number)}
            update = engine.apply(change_set(*written.values(), number=number), number)
            assert not update.warnings, update.warnings
            counted += Counter(_judged(update, written, page))
            await _taken(running, update, number, written)
            if number % _TOLD == 0:
                print(f"\n{number * _PLACES} manifests: {dict(counted)}", end="", flush=True)  # noqa: T201  it takes its time
    return counted


def _judged(update: Update, written: Mapping[Any, Put], page: set[Row]) -> Iterator[str]:
    """Of each manifest with a status whether it is accepted; each reason must be known."""
    for text, wanted in update.statuses.set.items():
        ref = parse_ref(text)
        if ref not in written:
            continue
        conditions = list(_conditions(wanted["status"]))
        for one in conditions:
            row = (ref.kind, f"{one['type']}={one['status']}", one["reason"])
            assert row in page or one["status"] == "True", f"{row} is not in docs/how-to/troubleshoot.md: {one}"
        accepted = all(one["status"] == "True" for one in conditions if one["type"] == "Accepted")
        yield "accepted" if accepted else "refused"


def _conditions(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from status.get("conditions") or ()
    for one in status.get("ancestors") or ():
        yield from one["conditions"]


async def _taken(running: Proxies, update: Update, number: int, written: Mapping[Any, Put]) -> None:
    keys: dict[str, FragmentKey] = {name: one.key for name, one in update.fragments.set.items()}
    keys |= {name: parse_fragment_key(name) for name in update.fragments.removed}
    running.apply({**update.fragments.set, **dict.fromkeys(update.fragments.removed)}, keys, number + 1)
    gateways = {str(one.gateway) for one in keys.values()}
    try:
        await running.taken(gateways, number + 1)
    except (AssertionError, TimeoutError) as error:
        guilty = {ref for one in update.fragments.set.values() for ref, _ in one.provenance} & written.keys()
        words = str(error).replace("_", " ").split()
        shown = [written[ref].object for ref in sorted(guilty) if ref.name in words]
        msg = f"batch {number}: {error}\n{shown}"
        raise AssertionError(msg) from error

