"""What streams hear of a publication: every offset that concerns their gateway is acknowledged in the end."""

from __future__ import annotations

from engine.seal import KEY_BYTES, Sealer
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ROUTES, Node, Request, parse_response
from streams.xds.stream import Publication, Report, Stream
from tests.xds.test_session import GATEWAY, world


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
