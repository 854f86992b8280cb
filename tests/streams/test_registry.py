"""What a source takes for its cluster's is what the resolver takes, wherever in the log the resolver has got to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from engine.engine import Engine
from engine.events import ChangeSet, Delete, Put, SyncBegin, SyncEnd
from engine.seal import KEY_BYTES, Sealer
from streams.codec import encode_change_set
from streams.domain import Domain, DomainOptions
from streams.memory import MemoryLog
from streams.ports import Outgoing
from streams.sources.logged import logged
from tests.streams.toy import TIME
from tests.support.manifests import service
from tests.support.signing import EAST, HUB, TRUSTING, Signers, cluster_object, of, said, signer, written


async def _resolve(log: MemoryLog) -> None:
    domain = Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES)), TRUSTING), DomainOptions(clock=lambda: TIME))
    await domain.acquire()
    await domain.release()


async def _write(log: MemoryLog, some: Sequence[Outgoing]) -> None:
    async with log.appender() as writer:
        for one in some:
            await writer.write([one])


def _service(name: str) -> Put:
    return of("east", service(name))


async def _believed(records: Sequence[Outgoing]) -> set[str]:
    """Names of the objects; the same wherever the resolver stands, and those of the resolver itself at the end."""
    found = []
    for resolved in range(len(records) + 1):
        log = MemoryLog()
        log.trust = TRUSTING
        log.signer = signer(EAST, start=-100)
        signing, log.signer = log.signer, None
        await _write(log, records[:resolved])
        if resolved:
            await _resolve(log)
        await _write(log, records[resolved:])
        log.signer = signing
        found.append({ref.name for ref in (await logged(log, "east", 0)).objects})
    assert found == [found[-1]] * len(found)
    return found[-1]


async def test_a_key_of_a_cluster_object_that_is_not_resolved_yet_counts_from_where_it_stands() -> None:
    by = Signers()
    records = [
        written(said("east", "files", _service("before")), None),
        written(said(HUB, "kubernetes", cluster_object("east", by.east.public)), by.root),
        written(said("east", "files", _service("forged")), None),
        written(said("east", "files", _service("strange")), by.stranger),
        written(said("east", "files", Delete(_service("before").ref)), None),
        written(said("east", "files", _service("own")), by.east),
    ]
    assert await _believed(records) == {"before", "own"}


async def test_nobody_registers_or_takes_out_a_key_for_another() -> None:
    by = Signers()
    registered = cluster_object("east", by.east.public)
    records = [
        written(said(HUB, "kubernetes", cluster_object("east", by.stranger.public)), by.stranger),
        written(said(HUB, "kubernetes", registered), by.root),
        written(said(HUB, "kubernetes", cluster_object("east", by.stranger.public, generation=2)), None),
        written(said("east", "files", Delete(registered.ref)), by.east),
        written(said("east", "files", _service("strange")), by.stranger),
        written(said("east", "files", _service("unsigned")), None),
        written(said("east", "files", _service("own")), by.east),
    ]
    assert await _believed(records) == {"own"}


async def test_keys_go_by_the_object_as_the_fold_has_it() -> None:
    """Put and deleted, in parts, and of a revision that its model refuses the one before it."""
    by = Signers()
    second = cluster_object("east", by.west.public, generation=2)
    refused = replace(second, object={**second.object, "spec": {"publicKeys": 7}})
    parts = (SyncBegin(), *(of(HUB, put) for put in _large()), cluster_object("east", by.east.public), SyncEnd())
    halves = encode_change_set(said(HUB, "kubernetes", *parts))
    assert len(halves) == 2
    records = [
        by.root.signed(halves[0]),
        written(said("east", "files", _service("meanwhile")), None),
        by.root.signed(halves[1]),
        written(said("east", "files", _service("unsigned")), None),
        written(said(HUB, "kubernetes", replace(second, object=refused.object)), by.root),
        written(said("east", "files", _service("first")), by.east),
        written(said("east", "files", _service("none")), by.west),
        written(said(HUB, "kubernetes", cluster_object("east", by.west.public, generation=3)), by.root),
        written(said("east", "files", _service("old")), by.east),
        written(said("east", "files", _service("new")), by.west),
        written(said(HUB, "kubernetes", Delete(second.ref)), by.root),
        written(said("east", "files", _service("again")), None),
    ]
    assert await _believed(records) == {"meanwhile", "first", "new", "again"}


async def test_a_part_that_a_stranger_left_is_neither_completed_nor_taken_for_said() -> None:
    """Left while nobody had to sign: of an id that east is going to use, and of one that nobody does."""
    by = Signers()
    forged = [of("east", put) for put in (service("forged"), service("own", generation=9))]
    left = [_part(said("east", "files", *forged, name=name), part, 2) for name in ("a", "b") for part in (0, 1)]
    halves = [_part(said("east", "files", _service(name), name="a"), part, 2) for part, name in enumerate(("own", "more"))]
    records = [
        left[1],
        left[0],
        left[2],
        written(said(HUB, "kubernetes", cluster_object("east", by.east.public)), by.root),
        by.east.signed(left[3]),
        *map(by.east.signed, halves),
        written(said("east", "files", _service("last"), name="c"), by.east),
    ]
    assert await _believed(records) == {"own", "more", "last"}
    # Of its own change set what was left is not the start.
    assert await _believed([left[0], records[3], by.east.signed(halves[1])]) == set()


async def test_the_parts_before_one_that_is_refused_are_not_taken_for_said() -> None:
    """A key is taken out between two parts of what it signed: the watcher has to say both again."""
    by = Signers()
    halves = [_part(said("east", "files", _service(name)), part, 2) for part, name in enumerate(("one", "two"))]
    records = [
        written(said(HUB, "kubernetes", cluster_object("east", by.east.public, by.west.public)), by.root),
        by.east.signed(halves[0]),
        written(said(HUB, "kubernetes", cluster_object("east", by.west.public, generation=2)), by.root),
        by.east.signed(halves[1]),
    ]
    assert await _believed(records) == set()
    # Nor do those of one that signs on complete them.
    assert await _believed([*records, by.west.signed(halves[1])]) == set()
    again = [by.west.signed(one) for one in halves]
    assert await _believed([*records, *again]) == {"one", "two"}


def _part(change_set: ChangeSet, part: int, parts: int) -> Outgoing:
    whole = written(change_set, None)
    words = b'"part":%d,"parts":%d' % (part, parts)
    return whole._replace(value=(whole.value or b"").replace(b'"part":0,"parts":1', words))


def _large() -> list[Put]:
    body = service("big").object
    return [
        Put(
            service(f"big{n}").ref,
            {**body, "metadata": {**body["metadata"], "name": f"big{n}", "annotations": {"a": "x" * 400_000}}},
        )
        for n in range(3)
    ]


@pytest.mark.parametrize("signs", [True, False])
async def test_without_trusted_keys_only_a_key_of_ours_that_counted_guards(signs: bool) -> None:  # noqa: FBT001
    log, by = MemoryLog(), Signers()
    await _write(log, [written(said("east", "files", _service("forged")), None)])
    log.signer = by.east if signs else None
    assert {ref.name for ref in (await logged(log, "east", 0)).objects} == {"forged"}
