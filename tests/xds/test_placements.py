"""What proxies of a Gateway that are in another cluster are served: all that the others are, but endpoints of theirs."""

from __future__ import annotations

import pytest

from engine.envoy.wire import frame
from engine.placement import Placement
from engine.update import Fragment, FragmentKind
from streams.identity import is_proxy_token, proxy_token
from streams.xds.authority import Authority
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, Node, Request, parse_response
from streams.xds.parts import parts
from streams.xds.stream import Publication, Report, Stream
from tests.xds.config import SEALER
from tests.xds.test_session import GATEWAY, piece, world

_WEST = str(Placement(GATEWAY, "west"))


def _ends(name: str, text: bytes) -> Fragment:
    return piece(FragmentKind.ENDPOINTS, name, frame(1, b"a") + frame(2, text))


_PLACED = {one.key: one for one in (_ends("@west", b""), _ends("@north", b""))}
"""What says that the Gateway has proxies there."""


async def _connected(publication: Publication, placement: str, proxy: str = "p") -> Stream:
    stream = await publication.open(Node(proxy, placement, "1.40.0"))
    for type_url, names in ((CLUSTER, []), (LISTENER, []), (ENDPOINTS, ["a"]), (ROUTES, ["rc"])):
        await stream.received(Request(type_url=type_url, subscribe=names))
    return stream


def _taken(stream: Stream) -> dict[str, bytes]:
    """By type and name what was sent last; all of it is acknowledged."""
    found: dict[str, bytes] = {}
    stream.wake.clear()
    while sent := stream.responses():
        for one in map(parse_response, sent):
            found |= {f"{one.type_url.rpartition('.')[2]} {name}": body for name, (_, body) in one.resources.items()}
            stream.session.received(Request(type_url=one.type_url, nonce=one.nonce))
    return found


async def test_each_is_given_the_endpoints_of_its_cluster() -> None:
    publication = Publication(SEALER, lambda _: None)
    mine, others = _ends("a", b"east"), _ends("a@west", b"west")
    publication.apply({**world("a"), **_PLACED, mine.key: mine, others.key: others}, 1)
    own, west, north = [await _connected(publication, one) for one in (str(GATEWAY), _WEST, f"{GATEWAY}@north")]
    seen = [_taken(one) for one in (own, west, north)]
    name = "ClusterLoadAssignment a"
    assert [one[name] for one in seen] == [mine.payload, others.payload, mine.payload]
    assert len({str(sorted(set(one) - {name})) for one in seen}) == 1
    assert "ClusterLoadAssignment a@west" not in seen[1]


async def test_a_change_goes_to_those_whom_it_concerns_and_is_acknowledged_by_all() -> None:
    reports: list[Report] = []
    publication = Publication(SEALER, reports.append)
    mine, others = _ends("a", b"east"), _ends("a@west", b"west")
    publication.apply({**world("a"), **_PLACED, mine.key: mine, others.key: others}, 1)
    own, west = [await _connected(publication, one) for one in (str(GATEWAY), _WEST)]
    for one in (own, west):
        _taken(one)
    moved = _ends("a@west", b"moved")
    publication.apply({moved.key: moved}, 2)
    assert [_taken(one) for one in (own, west)] == [{}, {"ClusterLoadAssignment a": moved.payload}]
    assert [one.session.acknowledged for one in (own, west)] == [2, 2]
    # It has no own any more: that of the others is its own again.
    publication.apply({moved.key: None}, 3)
    assert [_taken(one) for one in (own, west)] == [{}, {"ClusterLoadAssignment a": mine.payload}]
    publication.apply({mine.key: None, others.key: others}, 4)
    assert _taken(west) == {"ClusterLoadAssignment a": others.payload}
    # One of one name is there twice: whoever goes takes nothing from the other.
    await publication.close(own)
    assert [(one.event, one.node.placement) for one in reports if one.event == "disconnected"] == [
        ("disconnected", str(GATEWAY))
    ]


async def test_each_is_given_what_proves_where_it_is() -> None:
    publication = Publication(SEALER, lambda _: None)
    mine, others = piece(FragmentKind.SECRET, "id", b"east"), piece(FragmentKind.SECRET, "id@west", b"west")
    publication.apply({**world("a"), **_PLACED, mine.key: mine, others.key: others}, 1)
    own, west = [await _connected(publication, one) for one in (str(GATEWAY), _WEST)]
    for one in (own, west):
        await one.received(Request(type_url=SECRET, subscribe=["id"]))
    assert [_taken(one)["Secret id"] for one in (own, west)] == [b"east", b"west"]
    moved = piece(FragmentKind.SECRET, "id@west", b"moved")
    publication.apply({moved.key: moved}, 2)
    assert [_taken(one) for one in (own, west)] == [{}, {"Secret id": b"moved"}]
    assert set(parts(publication.assembly(str(GATEWAY)), (SECRET, "id"))) == {mine, moved}


async def test_what_a_proxy_elsewhere_rejects_is_sought_in_its_own_endpoints_too() -> None:
    publication = Publication(SEALER, lambda _: None)
    mine, others = _ends("a", b"east"), _ends("a@west", b"west")
    publication.apply({mine.key: mine, others.key: others}, 1)
    assert set(parts(publication.assembly(str(GATEWAY)), (ENDPOINTS, "a"))) == {mine, others}


async def test_a_proxy_that_is_left_where_its_gateway_is_no_more_is_told_nothing() -> None:
    """What others ask may be somebody else's address there, and new keys are not for it."""
    publication = Publication(SEALER, lambda _: None)
    mine, others = _ends("a", b"east"), _ends("a@west", b"west")
    publication.apply({**world("a"), **_PLACED, mine.key: mine, others.key: others}, 1)
    west = await _connected(publication, _WEST)
    _taken(west)
    publication.apply({others.key: None, **dict.fromkeys(_PLACED)}, 2)
    publication.apply(world("b"), 3)
    assert _taken(west) == {}
    assert _taken(await _connected(publication, _WEST)) == {}
    publication.apply({**_PLACED, others.key: others}, 4)
    assert _taken(west)["Cluster b"]


@pytest.mark.parametrize("asks", [str(GATEWAY), _WEST, f"{GATEWAY}@north", ""])
def test_a_proxy_proves_where_it_is(asks: str) -> None:
    """What it shows is good for its own cluster, and for no other."""
    key = bytes(32)
    assert is_proxy_token(key, asks, proxy_token(key, _WEST)) == (asks == _WEST)
    authority = Authority(key)
    assert (asks in authority.proof(authority.proxy(_WEST).certificate).gateways) == (asks == _WEST)
