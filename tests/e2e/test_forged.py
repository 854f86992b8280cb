"""Somebody who may write to Kafka forges changes of a cluster that signs: nothing changes at the edge, and all is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.engine import VERSION, Engine, EngineSettings
from engine.events import Change, ChangeSet, Delete, Pin, Put, Tick
from engine.ref import Ref
from engine.seal import Sealer
from streams.codec import decode_change_set, encode_change_set
from streams.domain import Domain, DomainOptions
from streams.identity import sealing_key
from streams.kafka import KafkaLog
from streams.memory import MemoryLog
from streams.ports import Outgoing, Record
from streams.rejected import rejected_offsets
from streams.signing import Signer, make_key, private_key, public_key
from streams.topics import Topic
from streams.trust import trusted_keys
from tests.e2e.site import Site, answering, asked_all_along, offsets, route
from tests.e2e.trouble import log_of
from tests.streams.toy import things
from tests.support.running import tidy, until

pytestmark = [pytest.mark.kafka, pytest.mark.envoy]
_ROUTE = Ref("local", "gateway.networking.k8s.io", "HTTPRoute", "default", "r")


def _trusted(site: Site) -> str:
    ours = public_key(private_key(site.data / "keys" / "signing.key"))
    return f"{ours},cluster/local={ours}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with tidy(tmp_path), answering() as backend:
        yield Site(tmp_path, backend)


def test_forgeries_change_nothing_and_are_told_with_their_reasons(site: Site, tmp_path: Path) -> None:
    make_key(site.data / "keys" / "signing.key")
    site.populate()
    site.start(env={"PENSTOCK_TRUSTED_KEYS": _trusted(site)})
    site.serves("one")
    site.write("route.yaml", route("two"))
    site.serves("two")
    last = offsets(site)[0]
    with asked_all_along(site) as seen:
        many = asyncio.run(_forge(log_of(site), Signer(lambda: make_key(tmp_path / "mallory.key"))))
        until(lambda: offsets(site)[1] > last and len(set(offsets(site))) == 1, 60, lambda: site.printed)
    assert set(seen) == {(200, "two")}
    rejected = site.tells("status")["rejected"]
    reasons = [row["reason"] for row in rejected]
    assert sum(row["records"] for row in rejected) == many, reasons
    for words in (
        "source files of cluster local: not signed",
        "source control: not signed",
        "source clock: not signed",
        "which is not registered for it",
        "the signature does not fit the record",
        "its signature cannot be read",
        "a copy of what was said before",
        "cannot say tick",
    ):
        assert any(words in one for one in reasons), (words, reasons)
    assert "rejected    " in site.call("status").stdout
    # The site itself goes on, after a start anew too.
    site.write("route.yaml", route("three"))
    site.serves("three")
    until(lambda: len(set(offsets(site))) == 1, 60, lambda: site.printed)
    asyncio.run(_replayed(site))
    site.ends()


def _said(source: str, *changes: Change, cluster: str = "local") -> ChangeSet:
    return ChangeSet("default", cluster, source, "forged", "2026-11-27T10:00:00.000Z", "mallory", changes)


async def _forge(log: KafkaLog, own: Signer) -> int:
    """Write forged records, as anybody with Kafka's leave can; answers how many."""
    there = [one async for batch in log.read(Topic.CHANGES, 0) for one in batch]
    old = next(one for one in there if _puts_route(one))
    (gone,) = encode_change_set(_said("files", Delete(_ROUTE)))
    bad = gone._replace(headers=(*gone.headers, ("signature", b"\xffx" * (1 << 19))))
    good = Outgoing(Topic.CHANGES, 0, old.key, old.value, old.headers)
    flipped = own.signed(gone)._replace(value=(gone.value or b"").replace(b"forged", b"forgee"))
    stolen = gone._replace(headers=_late(old))
    (pin,) = encode_change_set(_said("control", Pin("p", None, 0, "forged"), cluster=""))
    (tick,) = encode_change_set(_said("clock", Tick(), cluster=""))
    (odd,) = encode_change_set(_said("files", Tick()))
    headless = good._replace(headers=tuple(one for one in good.headers if one[0] != "signature"))
    forged = [gone, own.signed(gone), flipped, stolen, bad, headless, good, pin, own.signed(pin), tick, odd]
    async with log.appender() as writer:
        await writer.write(forged)
    return len(forged)


def _late(record: Record) -> tuple[tuple[str, bytes], ...]:
    """Its headers with the signature of another record, and a sequence that is still to come."""
    words = next(value for name, value in record.headers if name == "signature").split(b" ")
    return tuple(
        (name, b" ".join((words[0], b"9" * 18, words[2])) if name == "signature" else value) for name, value in record.headers
    )


def _puts_route(record: Record) -> bool:
    return any(isinstance(one, Put) and one.ref == _ROUTE for one in decode_change_set(record).changes)


async def _replayed(site: Site) -> None:
    """The log in another place: rejected offsets known or not, the fragments are the same bytes."""
    live = log_of(site)
    made = EngineSettings(trusted_keys=trusted_keys(_trusted(site)), domain="default")
    wanted = await things(live)
    for topics in ((Topic.CHANGES,), (Topic.CHANGES, Topic.REJECTED)):
        copy = MemoryLog()
        for topic in topics:
            found = [one async for batch in live.read(topic, 0) for one in batch]
            copy._records[topic, 0] = found  # noqa: SLF001  with the offsets that they have
            copy._ends[topic, 0] = found[-1].offset + 1  # noqa: SLF001
        sealer = Sealer(sealing_key(site.data / "keys" / "sealing.key"))
        domain = Domain(copy, lambda: Engine(sealer, made), DomainOptions(version=VERSION))
        await domain.acquire()
        assert await things(copy) == wanted
        assert await rejected_offsets(copy, 0) == await rejected_offsets(live, 0)
