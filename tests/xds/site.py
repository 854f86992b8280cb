"""Gateways, their proxies and every promise of the publisher's streams, checked on the way; it draws nothing."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from engine.update import Fragment, FragmentKey
from streams.xds.assembly import Assembly
from streams.xds.messages import (
    CLUSTER,
    ENDPOINTS,
    ORDER,
    ROUTES,
    Node,
    Request,
    encode_request,
    parse_request,
    parse_response,
)
from streams.xds.stream import Publication, Stream
from tests.xds.config import GATEWAYS, SEALER, Written, clusters_of_table, fragments
from tests.xds.proxy import WILD, Proxy, names_sent, twice

T = TypeVar("T")
PROXIES = (0, 0, 1)
"""The gateway of each proxy: two share one."""
_ENOUGH = 3_000


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    msg = "it waits"
    raise AssertionError(msg)


@dataclass
class Connection:
    """A proxy with its stream, what is on the way, and what the stream may know of it by now."""

    proxy: Proxy
    stream: Stream
    inbox: list[bytes] = field(default_factory=list)
    acked: dict[str, dict[str, str]] = field(default_factory=lambda: {one: {} for one in ORDER})
    asked: dict[str, set[str]] = field(default_factory=lambda: {one: set() for one in ORDER})
    flights: dict[str, tuple[str, dict[str, str], list[str]]] = field(default_factory=dict)
    refused: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """(type, name) -> the version that it rejected, None for its removal."""
    brought: dict[str, str] = field(default_factory=dict)
    """Route configurations that the proxy came with, by version: the stream cannot know where they go."""
    claimed: int = -1

    @property
    def assembly(self) -> Assembly:
        return self.stream.publication.assembly(self.stream.node.gateway)


class Site:
    """Gateways, their proxies, and every promise that is checked on the way."""

    def __init__(self) -> None:
        self.publication = Publication(SEALER, lambda _: None)
        self.written: list[Written] = [{} for _ in GATEWAYS]
        self.fragments: list[dict[FragmentKey, Fragment]] = [{} for _ in GATEWAYS]
        self.offset = 0
        self.publication.apply({}, 0)
        self.connections = [self._connected(Proxy(number)) for number, _ in enumerate(PROXIES)]

    def _connected(self, proxy: Proxy) -> Connection:
        node = Node(f"p{proxy.number}", str(GATEWAYS[PROXIES[proxy.number]]), "1.40.0")
        connection = Connection(proxy, at_once(self.publication.open(node)))
        proxy.connect()
        return connection

    # -- steps ------------------------------------------------------------------------------------------------------

    def step(self, verb: str, *rest: Any) -> None:
        match verb, *rest:
            case "change", batch:
                self._change(batch)
            case "write", number:
                self._write(self.connections[number])
            case "deliver", number:
                self._deliver(self.connections[number])
            case "answer", number:
                self._answer(self.connections[number])
            case "cut", number:
                at_once(self.publication.close(self.connections[number].stream))
                self.connections[number] = self._connected(self.connections[number].proxy)
            case "renew", number, type_url:
                self.connections[number].proxy.renew(type_url)
            case "wildcard", number:
                self.connections[number].proxy.turn_wildcard()

    def _change(self, batch: list[tuple[int, tuple[str, str], Any]]) -> None:
        """One offset, or several seen at once."""
        rows: dict[FragmentKey, Fragment | None] = {}
        for number, key, piece in batch:
            self.offset += 1
            written = self.written[number]
            if piece is None:
                written.pop(key, None)
            else:
                written[key] = piece
            old, new = self.fragments[number], fragments(GATEWAYS[number], written)
            rows |= dict.fromkeys(old.keys() - new.keys())
            rows |= {key: one for key, one in new.items() if old.get(key) != one}
            self.fragments[number] = new
        self.publication.apply(rows, self.offset)
        for connection in self.connections:
            # What is published again later may be sent again.
            for (type_url, name), version in list(connection.refused.items()):
                now = connection.assembly.get(type_url, name)
                if (now.version if now is not None else None) != version:
                    del connection.refused[type_url, name]

    def _deliver(self, connection: Connection) -> bool:
        if not connection.inbox:
            return False
        connection.proxy.receive(connection.inbox.pop(0))
        return True

    def _answer(self, connection: Connection) -> bool:
        """The stream hears the next request."""
        if not connection.proxy.outbox:
            return False
        request = parse_request(encode_request(connection.proxy.outbox.pop(0)))
        self._heard(connection, request)
        at_once(connection.stream.received(request))
        return True

    def _heard(self, connection: Connection, request: Request) -> None:
        type_url = request.type_url
        acked, asked = connection.acked[type_url], connection.asked[type_url]
        flight = connection.flights.pop(request.nonce, None)
        if flight is not None and request.error is None:
            acked |= flight[1]
            for name in flight[2]:
                acked.pop(name, None)
        elif flight is not None:
            if len(told := {**flight[1], **dict.fromkeys(flight[2])}) == 1:
                connection.refused |= {(type_url, name): version for name, version in told.items()}
            for name in flight[2]:
                acked.pop(name, None)  # It may have gone all the same.
        acked |= request.versions
        if type_url == ROUTES:
            connection.brought |= request.versions
        asked |= set(request.subscribe)
        asked -= set(request.unsubscribe)
        renewed = {*request.subscribe, *request.unsubscribe}
        for key in [one for one in connection.refused if one[0] == type_url and (one[1] in renewed or "*" in renewed)]:
            del connection.refused[key]

    # -- what is sent -----------------------------------------------------------------------------------------------

    def _write(self, connection: Connection) -> bool:
        sent = connection.stream.responses()
        for number, data in enumerate(sent):
            self._allowed(connection, data, sent[number + 1 :])
            response = parse_response(data)
            versions = {name: version for name, (version, _) in response.resources.items()}
            connection.flights[response.nonce] = response.type_url, versions, response.removed
        connection.inbox += sent
        self._claims(connection)
        return bool(sent)

    def _allowed(self, connection: Connection, data: bytes, later: list[bytes]) -> None:
        response = parse_response(data)
        type_url, given = response.type_url, response.resources
        assert not twice(names_sent(data)), "a name stands twice in a response"
        if type_url != ENDPOINTS:
            flying = [one for one, *_ in connection.flights.values() if one == type_url]
            assert not flying, f"a second response of {type_url} before the first was answered"
        told = {name: version for name, (version, _) in given.items()} | dict.fromkeys(response.removed)
        for name, version in told.items():
            assert connection.refused.pop((type_url, name), "") != version, f"{name} was refused as it is"
        if type_url == ROUTES:
            assert len(given) == 1, "more than one route configuration in a response"
            self._made_before(connection, *given.values())
        if type_url == CLUSTER:
            self._ends_follow(connection, set(given), later)
            self._broken_after(connection, set(response.removed))

    def _made_before(self, connection: Connection, table: tuple[str, bytes]) -> None:
        for name in clusters_of_table(table[1]):
            cluster = connection.assembly.get(CLUSTER, name)
            if cluster is None or connection.proxy.refuses(b"".join(cluster.encoded)):
                continue
            has = connection.acked[CLUSTER].get(name)
            assert has == cluster.version, f"a route goes to {name} before the proxy has it as it is"

    def _ends_follow(self, connection: Connection, clusters: set[str], later: list[bytes]) -> None:
        turn = [parse_response(one) for one in later]
        again = {name for one in turn if one.type_url == ENDPOINTS for name in one.resources}
        wanted = clusters & connection.asked[ENDPOINTS]
        assert wanted <= again, f"clusters {wanted - again} were sent without their endpoints in the same turn"
        for name in wanted:
            connection.refused.pop((ENDPOINTS, name), None)

    def _broken_after(self, connection: Connection, removed: set[str]) -> None:
        held = [body for _, body in connection.proxy.held[ROUTES].values()]
        coming = [parse_response(one) for one in connection.inbox]
        held += [body for one in coming if one.type_url == ROUTES for _, body in one.resources.values()]
        used = set().union(*map(clusters_of_table, held))
        assert not removed & used, f"clusters {removed & used} were removed while a route goes there"

    def _claims(self, connection: Connection) -> None:
        """What is acknowledged is what the proxy has."""
        claim = connection.stream.session.acknowledged
        assert claim >= connection.claimed
        if claim > connection.claimed:
            connection.claimed = claim
            assert claim == connection.assembly.offset
            self._has_all(connection, refusals=False)

    # -- the end ----------------------------------------------------------------------------------------------------

    def _has_all(self, connection: Connection, *, refusals: bool) -> None:
        """The proxy has every resource that it wants as it is, but (with `refusals`) for those that it refuses."""
        proxy, assembly = connection.proxy, connection.assembly
        used = set().union(*(clusters_of_table(body) for _, body in proxy.held[ROUTES].values()))
        if not refusals:  # It may have let go of routes, and the stream has not heard of it.
            used |= set().union(*map(assembly.clusters, connection.asked[ROUTES]))
        for type_url in ORDER:
            wanted = {name for name in assembly.names(type_url) if proxy.wants(type_url, name)}
            wanted |= {one for one in proxy.names[type_url] if assembly.get(type_url, one) is not None}
            for name in wanted:
                if (type_url, name) in proxy.renewing or (type_url, "*") in proxy.renewing:
                    continue
                resource = assembly.get(type_url, name)
                assert resource is not None
                has = proxy.held[type_url].get(name)
                if refusals and proxy.refuses(b"".join(resource.encoded)):
                    assert has is None or has[0] != resource.version
                    continue
                assert has is not None, f"{proxy.number} lacks {name} of {type_url}"
                assert has[0] == resource.version, f"{proxy.number} has {name} of {type_url} as it is not"
                assert b"".join(resource.encoded).count(has[1]) == 1
            if type_url in WILD and (type_url, "*") not in proxy.renewing:
                extra = set(proxy.held[type_url]) - wanted
                if type_url == CLUSTER and self._is_blind(connection):
                    continue
                if refusals:
                    extra -= {name for kind, name in proxy.unmoved if kind == type_url}
                assert extra <= (used if type_url == CLUSTER else set()), f"{extra} of {type_url} were not removed"

    def _is_blind(self, connection: Connection) -> bool:
        """Whether the proxy keeps routes that it came with and cannot replace: then no cluster may be taken from it."""
        for name, (version, _) in connection.proxy.held[ROUTES].items():
            now = connection.assembly.get(ROUTES, name)
            if connection.brought.get(name) == version and (now is None or now.version != version):
                return True
        return False

    def settle(self) -> None:
        for _ in range(_ENOUGH):
            moved = [
                any([self._answer(one), self._write(one), self._deliver(one)])  # all three, in any case
                for one in self.connections
            ]
            if not any(moved):
                return
        pytest.fail("it never becomes quiet")

    def end(self) -> None:
        self.settle()
        for connection in self.connections:
            self._has_all(connection, refusals=True)
            assert not connection.flights, f"{connection.proxy.number} never answers {connection.flights}"
            self._claimed_at_last(connection)
        for gateway, pieces in zip(GATEWAYS, self.fragments, strict=True):
            assembly, scratch = self.publication.assembly(str(gateway)), Assembly(SEALER)
            scratch.apply(pieces, 0)
            for type_url in ORDER:
                assert set(assembly.names(type_url)) == set(scratch.names(type_url))
                for name in scratch.names(type_url):
                    assert assembly.get(type_url, name) == scratch.get(type_url, name)

    def _claimed_at_last(self, connection: Connection) -> None:
        """Nothing that it refuses, and all that is published wanted: then all of it is acknowledged."""
        assembly, proxy = connection.assembly, connection.proxy
        bodies = [
            b"".join(one.encoded)
            for type_url in ORDER
            for name in assembly.names(type_url)
            if (one := assembly.get(type_url, name)) is not None
        ]
        if proxy.wild == set(WILD) and not proxy.unmoved and not any(map(proxy.refuses, bodies)):
            assert connection.stream.session.acknowledged == assembly.offset
