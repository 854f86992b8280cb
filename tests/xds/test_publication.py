"""What streams hear of a publication: every offset that concerns their gateway is acknowledged in the end."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from engine.envoy.wire import frame
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.ports import Record
from streams.topics import Topic
from streams.view import Batch
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, Node, Request, parse_response
from streams.xds.publisher import _take
from streams.xds.server import serve
from streams.xds.stream import Publication, Report, Stream
from tests.support.odd_proxy import odd_proxy
from tests.xds.config import SEALER
from tests.xds.test_session import GATEWAY, piece, world


def take(stream: Stream) -> None:
    """Acknowledge everything until nothing more comes."""
    stream.wake.clear()
    while sent := stream.responses():
        for one in map(parse_response, sent):
            stream.session.received(Request(type_url=one.type_url, nonce=one.nonce))


async def test_what_changes_nothing_is_acknowledged_too() -> None:
    """Gone and back between two looks: nobody has anything to take, and Programmed waits for the offset."""
    reports: list[Report] = []
    publication = Publication(Sealer(bytes(KEY_BYTES)), reports.append)
    publication.apply(world("a"), 1)
    stream = await publication.open(Node("p", str(GATEWAY), "1.40.0"))
    for type_url, names in ((CLUSTER, []), (LISTENER, []), (ENDPOINTS, ["a"]), (ROUTES, ["rc"])):
        await stream.received(Request(type_url=type_url, subscribe=names))
    take(stream)
    assert reports[-1].offset == 1
    publication.apply(world("a"), 7)
    assert stream.wake.is_set()
    take(stream)
    assert (reports[-1].event, reports[-1].offset) == ("ack", 7)
    publication.apply({}, 9)
    assert not stream.wake.is_set()


async def test_a_gateway_of_which_nothing_is_published_runs_the_offset_all_the_same() -> None:
    """With no listener accepted there are no fragments: its proxy has all there is."""
    reports: list[Report] = []
    publication = Publication(Sealer(bytes(KEY_BYTES)), reports.append)
    publication.apply(world("a"), 7)
    empty = GATEWAY._replace(name="empty")
    stream = await publication.open(Node("p", str(empty), "1.40.0"))
    await stream.received(Request(type_url=CLUSTER))
    take(stream)
    assert [one.event for one in reports] == ["connected"]
    await stream.received(Request(type_url=LISTENER))
    take(stream)
    assert [(one.event, one.offset) for one in reports[1:]] == [("ack", 7)]
    listener = piece(FragmentKind.LISTENER, "l", frame(1, b"l"))
    listener = replace(listener, key=listener.key._replace(gateway=empty))
    publication.apply({listener.key: listener}, 9)
    take(stream)
    assert [(one.event, one.offset) for one in reports[2:]] == [("ack", 9)]


async def test_a_proxy_that_hangs_up_in_the_middle_of_its_end_is_gone_all_the_same(tmp_path: Path) -> None:
    """One that counts as connected for ever would keep quarantines of its Envoy, and its row, alive."""
    publication, reports = Publication(Sealer(bytes(KEY_BYTES)), lambda one: reports.append(one.event)), list[str]()
    publication.apply(world("a"), 1)
    async with serve(publication, f"unix:{tmp_path / 'xds.sock'}", lambda *_: True):
        for number in range(20):
            async with odd_proxy(tmp_path / "xds.sock", str(GATEWAY), version="1.40.0", name=str(number)) as one:
                await one.ask(CLUSTER, "a")
        async with asyncio.timeout(240):
            while publication.versions(str(GATEWAY)):
                await asyncio.sleep(0.02)
    assert reports.count("disconnected") == 20


async def test_the_log_is_heard_before_the_disk() -> None:
    """A snapshot is for proxies that start while the log is away; after the log it changes nothing."""
    publication = Publication(Sealer(bytes(KEY_BYTES)), lambda _: None)
    publication.restore({key: one for key, one in world("a").items() if one}, 1)
    stream = await publication.open(Node("p", str(GATEWAY), "1.40.0"))
    await stream.received(Request(type_url=CLUSTER, versions={"a": "newer"}))
    assert stream.responses() == []
    stream.wake.clear()
    publication.apply(world("b"), 2)
    assert stream.wake.is_set()
    (sent,) = stream.responses()
    assert set(parse_response(sent).resources) == {"a", "b"}
    served = publication.fragments()
    publication.restore({key: one for key, one in world("a").items() if one}, 1)
    assert publication.fragments() == served


async def test_garbage_in_a_whole_table_takes_nothing_away() -> None:
    """Read anew, a row that is no fragment any more is no row that is gone: what is served of its key stays."""
    publication = Publication(Sealer(bytes(KEY_BYTES)), lambda _: None)
    good = piece(FragmentKind.CLUSTER, "a", frame(1, b"a"))
    publication.apply({good.key: good}, 1)
    garbage = Record(Topic.XDS, 0, 9, b"", b"x", (("provenance", b"nope"),), 0)
    stranger = Record(Topic.XDS, 0, 9, b"", b"x", (), 0)
    batch = Batch({str(good.key): garbage, "no key": stranger}, 2, snapshot=True)
    taken = _take(batch, publication, defaultdict(set))
    assert batch.rows == {}, "what was read is held no longer"
    assert (taken, publication.fragments()) == ({}, [good])


OTHER = Sealer(b"1" * KEY_BYTES)
_SECRET = piece(FragmentKind.SECRET, "s", b"")
_HOST = piece(FragmentKind.VIRTUAL_HOST, "h", b"\x0a\x01h", parent="rc")


def record(one: Fragment, provenance: bytes = b"[]") -> Record:
    headers = (
        ("version", b"v"),
        ("parent", one.parent.encode()),
        ("order", one.order.encode()),
        ("provenance", provenance),
        ("sealed", b"1" if one.sealed else b"0"),
    )
    return Record(Topic.XDS, 0, 9, b"default/" + str(one.key).encode(), one.payload, headers, 0)


@pytest.mark.parametrize(
    ("bad", "provenance", "reason"),
    [
        (piece(FragmentKind.CLUSTER, "c", b"x"), b"[[5,1]]", "not a fragment"),
        (piece(FragmentKind.CLUSTER, "c", b"x"), b"7", "not a fragment"),
        (
            replace(_SECRET, payload=OTHER.seal(b"x", str(_SECRET.key).encode()), sealed=True),
            b"[]",
            "sealed with another key, or damaged: .* Copy the key of the machine that resolves to /keys/mine, and start",
        ),
        (replace(_SECRET, payload=b"x", sealed=True), b"[]", "sealed with another key, or damaged"),
        (piece(FragmentKind.ROUTE, "r", b"\xff\xff", parent="h"), b"[]", "not an Envoy route"),
        (piece(FragmentKind.ROUTE, "r", frame(2, frame(3, b"\xff")), parent="h"), b"[]", "not an Envoy route"),
        (piece(FragmentKind.ROUTE, "r", frame(2, frame(1, b"\xff")), parent="h"), b"[]", "not an Envoy route"),
        (piece(FragmentKind.VIRTUAL_HOST, "h", b"\xff", parent="rc"), b"[]", "not an Envoy virtual_host"),
        (piece(FragmentKind.ROUTE_CONFIG, "rc", b"\xff"), b"[]", "not an Envoy route_config"),
    ],
)
def test_a_fragment_that_cannot_be_served_is_left_out_and_told_of(bad: Fragment, provenance: bytes, reason: str) -> None:
    """Each of them killed the publisher, at every start."""
    publication = Publication(Sealer(bytes(KEY_BYTES)), lambda _: None, "/keys/mine")
    good = [piece(FragmentKind.CLUSTER, "a", frame(1, b"a")), _HOST]
    rows: dict[str, Record | None] = {str(one.key): record(one) for one in good if one.key != bad.key}
    rows[str(bad.key)] = record(bad, provenance)
    with capture_logs() as told:
        _take(Batch(rows, 2, snapshot=True), publication, defaultdict(set))
    assert {one.key for one in publication.fragments()} == {one.key for one in good} - {bad.key}
    assert [one["key"] for one in told] == [str(bad.key)]
    assert re.search(reason, told[0]["reason"])


def test_what_another_key_sealed_is_told_of_in_one_line() -> None:
    """A publisher with another sealing key would say the same of every certificate there is."""
    publication = Publication(Sealer(bytes(KEY_BYTES)), lambda _: None, "/keys/mine")
    sealed = [
        replace(one, payload=OTHER.seal(b"x", str(one.key).encode()), sealed=True)
        for one in (piece(FragmentKind.SECRET, f"s{number}", b"") for number in range(50))
    ]
    bad = piece(FragmentKind.ROUTE, "r", b"\xff\xff", parent="h")
    with capture_logs() as told:
        _take(Batch({str(one.key): record(one) for one in (*sealed, bad)}, 2, snapshot=True), publication, defaultdict(set))
    assert sorted(one["records"] for one in told) == [1, 50]
    assert {one["key"] for one in told} == {str(sealed[0].key), str(bad.key)}


def _piece(gateway: Ref, kind: FragmentKind, name: str, parent: str = "") -> Fragment:
    """One that says whose it is."""
    key = FragmentKey(gateway, kind, name)
    body = frame(1, name.encode()) + frame(99, gateway.name.encode())
    is_secret = kind is FragmentKind.SECRET
    payload = SEALER.seal(body, str(key).encode()) if is_secret else body
    return Fragment(key, payload, f"{gateway.name} {name}", parent, "0", sealed=is_secret)


async def test_no_name_leads_to_another_gateways_config() -> None:
    """Every type by the other's names, those that both have too, and by "*", then with another node on the stream."""
    other = GATEWAY._replace(name="other")
    publication = Publication(SEALER, lambda _: None)
    types = {
        CLUSTER: FragmentKind.CLUSTER, ENDPOINTS: FragmentKind.ENDPOINTS, SECRET: FragmentKind.SECRET,
        LISTENER: FragmentKind.LISTENER, ROUTES: FragmentKind.ROUTE_CONFIG,
    }  # fmt: skip
    for gateway in (GATEWAY, other):
        pieces = [_piece(gateway, kind, name) for kind in types.values() for name in ("same", f"of {gateway.name}")]
        publication.apply({one.key: one for one in pieces}, 1)
    stream = await publication.open(Node("p", str(GATEWAY), "1.40.0"))
    got: dict[tuple[str, str], bytes] = {}
    for node in (Node("p", str(GATEWAY), "1.40.0"), Node("q", str(other), "1.40.0")):
        for type_url in types:
            await stream.received(Request(type_url, node, subscribe=["*", "same", "of other", f"{other}/of other"]))
        while sent := stream.responses():
            for one in map(parse_response, sent):
                got |= {(one.type_url, name): body for name, (_, body) in one.resources.items()}
                await stream.received(Request(one.type_url, nonce=one.nonce))
    assert got.keys() == {(one, name) for one in types for name in ("same", "of gw")}
    assert all(b"other" not in body for body in got.values())
    assert stream.node.gateway == str(GATEWAY)
