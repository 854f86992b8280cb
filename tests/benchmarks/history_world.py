"""A long log: endpoints and routes that change, written as sources and the resolver write them.

Nothing is derived on the way, or a million change sets would take hours: rows of the state are folded by the engine,
and what penstock.updates tells is said here. A test holds both against a resolver's.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain, islice
from random import Random

from engine.engine import VERSION, Engine
from engine.events import ChangeSet, Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import Delta, Update
from streams.codec import change_summary, encode_change_set, encode_update
from streams.ports import Log, Outgoing
from streams.topics import Topic
from tests.benchmarks.world import edited, world
from tests.support.manifests import CLUSTER, endpoints

TEAMS = 20
_STEP = 500
"""Change sets that are appended at once, then folded."""
_FIRST = 1_000
"""Objects of a change set that brings the world."""
_BEGINS = 1_795_000_000
"""Seconds since 1970."""
_GATEWAY = f"{CLUSTER}/gateway.networking.k8s.io/Gateway/default/gw"
_ROUTES_SHARE = 0.4
"""Of change sets; the others move endpoints, as most do."""


def make() -> Engine:
    """An engine, empty."""
    return Engine(Sealer(bytes(KEY_BYTES)))


def change_sets(many: int, routes: int) -> Iterator[ChangeSet]:
    """The world, then so many change sets of one object each, of as many teams in turn."""
    first = world(routes)
    for start in range(0, len(first), _FIRST):
        yield _change_set(tuple(first[start : start + _FIRST]), start // _FIRST)
    chance = Random(6)
    for number in range(many):
        one, generation = chance.randrange(routes), number + 2
        if chance.random() < _ROUTES_SHARE:
            yield _change_set((edited(one, generation),), _FIRST + number)
        else:
            address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
            yield _change_set((endpoints(f"s{one}", address, generation=generation),), _FIRST + number)


def _change_set(puts: tuple[Put, ...], number: int) -> ChangeSet:
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(_BEGINS + number))
    return ChangeSet("default", CLUSTER, "files", str(number), at, f"team-{number % TEAMS}", puts)


async def write(log: Log, sets: Iterable[ChangeSet]) -> AsyncIterator[int]:
    """Write them step by step; answers how many are written, each time when a checkpoint may be due."""
    engine, done, coming = make(), 0, iter(sets)
    async with log.writer("bench-source") as source, log.writer("bench-resolver") as resolver:
        while step := list(islice(coming, _STEP)):
            offsets = await source.write(chain.from_iterable(encode_change_set(one) for one in step))
            for one, offset in zip(step, offsets, strict=True):
                engine.fold(one, offset)
            told = [record for one, at in zip(step, offsets, strict=True) for record in _told(one, at)]
            await resolver.write([*_state(engine, step), *told])
            done += len(step)
            yield done


def _state(engine: Engine, step: Iterable[ChangeSet]) -> list[Outgoing]:
    rows = engine.state()
    touched = {f"resource/{change.ref}" for one in step for change in one.changes if isinstance(change, Put)}
    state = {name: row for name, row in rows.items() if name in touched or not name.startswith("resource/")}
    update = Update(engine.offset, str(rows["clock"]["time"]), state=Delta(state))
    return [one for one in encode_update("default", 0, update, {}) if one.topic is Topic.STATE]


def _told(one: ChangeSet, offset: int) -> list[Outgoing]:
    fragments: dict[str, None] = {}
    nodes: dict[str, None] = {}
    statuses: dict[str, None] = {}
    for put in one.changes:
        if not isinstance(put, Put):
            continue
        if put.ref.kind == "HTTPRoute":
            host = put.object["spec"]["hostnames"][0].replace(".", "_")
            name = f"HTTPRoute/{put.ref.namespace}/{put.ref.name}/0/0"
            fragments[f"{_GATEWAY}/route/listener~8080~{host}/{name}"] = None
            nodes[f"route/{put.ref}"] = statuses[str(put.ref)] = None
        elif put.ref.kind == "EndpointSlice":
            service = put.ref.name.removesuffix("-1")
            fragments[f"{_GATEWAY}/endpoints/kube_default_{service}_80"] = None
            nodes[f"backend/{CLUSTER}//Service/default/{service}/80/{_GATEWAY}"] = None
    update = Update(offset, one.time, Delta(fragments), Delta(nodes), Delta(statuses))
    encoded = encode_update("default", 0, update, {**change_summary(one), "engine": VERSION})
    return [record for record in encoded if record.topic is Topic.UPDATES]
