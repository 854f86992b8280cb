"""`penstock quarantine`: what it lists and shows, and that a lift is a fact of the log with who and why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from engine.engine import VERSION, Engine, EngineSettings
from engine.events import CONTROL, ChangeSet, Lift, Put, Quarantine
from engine.ref import Ref
from engine.seal import Sealer
from engine.update import FragmentKind, parse_fragment_key
from streams.codec import decode_change_set, encode_change_set
from streams.domain import Domain, DomainOptions
from streams.identity import sealing_key
from streams.kafka import KafkaLog
from streams.pins import Teller
from streams.topics import Topic
from streams.view import read_table
from tests.cli.log import TIME, Place, resolved
from tests.support.running import until
from tests.support.signing import ROOT, signer

pytestmark = pytest.mark.kafka
_ROUTE = Ref("local", "gateway.networking.k8s.io", "HTTPRoute", "default", "twice")
_WORDS = "missing ]:\nin a regular expression"


@pytest.fixture
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.fixture(autouse=True)
def trusted(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Keys of a resolver: who waits for one is it."""
    keys: list[tuple[str, str]] = []
    applied = Teller.applied

    async def resolved_first(teller: Teller, offset: int) -> None:
        await _told(place, keys=tuple(keys))
        await applied(teller, offset)

    monkeypatch.setattr("streams.pins.Teller.applied", resolved_first)
    return keys


async def _told(place: Place, *changes: Any, keys: tuple[tuple[str, str], ...] = ()) -> None:
    log = KafkaLog(place.brokers, place.prefix)
    sealer = Sealer(sealing_key(place.data / "keys" / "sealing.key"))
    if changes:
        async with log.writer("source-local") as writer:
            said = ChangeSet("default", "local", "files", f"n{changes}"[:60], TIME, "ann", changes)
            await writer.write(encode_change_set(said))
    domain = Domain(log, lambda: Engine(sealer, EngineSettings(trusted_keys=keys)), DomainOptions(version=VERSION))
    await domain.acquire()
    await domain.release()


async def _condemned(place: Place) -> Quarantine:
    """The route's second generation is rejected."""
    log = KafkaLog(place.brokers, place.prefix)
    spec = {
        "parentRefs": [{"name": "gw"}],
        "rules": [{"filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "d.example"}}]}],
    }
    metadata = {"name": "twice", "namespace": "default", "generation": 2, "creationTimestamp": TIME}
    object_ = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}
    await _told(place, Put(_ROUTE, object_))
    table = (await read_table(log, Topic.XDS, 0)).rows
    name = next(one for one in table if f"/{FragmentKind.ROUTE.value}/" in one and "default/twice" in one)
    key = parse_fragment_key(name)
    found = Quarantine(key.gateway, name, table[name].header("version"), ((_ROUTE, 2),), _WORDS, "1.40.0")
    await _told(place, found)
    return found


def test_what_is_held_is_listed_shown_and_lifted_with_who_and_why(place: Place) -> None:
    assert place.prints("quarantine", "list") == "nothing is in quarantine\n"
    assert place.prints("quarantine", "list", "--gateway", "default/gw") == "nothing of Gateway default/gw is in quarantine\n"
    assert place.tells("quarantine", "list", "--gateway", "gw") == []
    held = asyncio.run(_condemned(place))
    text = place.prints("quarantine")
    assert "HTTPRoute/default/twice" in text
    assert "generation 1" in text
    assert "generation 2" in text
    assert "missing ]: in a regular expression" in text

    shown = place.prints("quarantine", "show", "HTTPRoute/twice")
    assert f"fragment   {held.fragment}" in shown
    assert "HTTPRoute/default/twice  held: runs generation 1, not generation 2; changed at offset" in shown
    assert "by ann" in shown
    assert place.prints("quarantine", "show", held.fragment) == shown
    (told,) = place.tells("quarantine", "show", "-g", "default/gw")  # type: ignore[misc]
    assert (told["error"], told["time"], told["objects"][0]["runs"]) == (_WORDS, TIME, 1)

    status = place.prints("status", "HTTPRoute/twice")
    assert "serves the last good revision (generation 1), because a proxy rejected this one (missing ]:" in status

    assert place.run("quarantine", "lift", "HTTPRoute/twice").exit_code == 2
    absent = place.run("quarantine", "lift", "HTTPRoute/good", "-m", "why not", "-y")
    assert (absent.exit_code, absent.stderr) == (
        1,
        "penstock: HTTPRoute/good is not in quarantine: see `penstock quarantine list`\n",
    )
    assert place.run("quarantine", "show", "-g", "other").stderr == "penstock: there is no Gateway other: see `penstock get gateways`\n"
    assert place.run("quarantine", "show", "-g", "other").exit_code == 1
    assert place.run("quarantine", "list", "--cluster", "elsewhere").stdout == "nothing is in quarantine\n"
    said = place.prints("quarantine", "lift", "HTTPRoute/twice", "-m", "Envoy was mended", "-y")
    assert "HTTPRoute/default/twice, tried once more" in said

    (lift,) = _said(place)
    assert (lift.source, bool(lift.actor)) == (CONTROL, True)
    assert lift.changes == (Lift(held.gateway, held.fragment, "1.40.0", "Envoy was mended"),)
    assert place.prints("quarantine", "list") == "nothing is in quarantine\n"
    assert "Envoy was mended" in place.prints("log", "-o", "json")


def test_a_lift_that_nobody_signed_is_told_and_lifts_nothing(place: Place, trusted: list[tuple[str, str]]) -> None:
    asyncio.run(_condemned(place))
    trusted.append(("", signer(ROOT).public))
    done = place.run("quarantine", "lift", "HTTPRoute/twice", "-m", "why not", "-y")
    assert done.exit_code == 3
    assert "and was rejected there: it says to be of source control" in done.stderr
    assert "not signed" in done.stderr
    assert "lifted" not in done.stdout
    assert "HTTPRoute/default/twice" in place.prints("quarantine")


def _said(place: Place) -> list[ChangeSet]:
    """What people told the log; what is committed is seen a moment later."""
    found: list[ChangeSet] = []

    async def read() -> list[ChangeSet]:
        log = KafkaLog(place.brokers, place.prefix)
        there = [one async for batch in log.read(Topic.CHANGES, 0) for one in batch if one.value != b"{garbage"]
        return [one for one in map(decode_change_set, there) if one.source == CONTROL]

    def is_there() -> bool:
        found[:] = asyncio.run(read())
        return bool(found)

    until(is_there)
    return found
