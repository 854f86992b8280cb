"""The property of the publisher: once quiet, each proxy has exactly what is published of what it wants.

On the way nothing breaks before it is made, whatever changed, came late, was rejected, or was cut off.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from tests.xds.config import (
    CLUSTERS,
    GATEWAYS,
    HOSTS,
    SEALER,
    TABLES,
    Certificate,
    Cluster,
    Host,
    Listener,
    Route,
    Written,
    clusters_of_table,
    fragments,
)
from tests.xds.proxy import FORM, MEANING, WILD, Proxy, names_sent, twice

T = TypeVar("T")
_EXAMPLES = int(os.environ.get("STREAM_EXAMPLES", "150"))
_PROXIES = (0, 0, 1)
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
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
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
        self.connections = [self._connected(Proxy(number)) for number, _ in enumerate(_PROXIES)]

    def _connected(self, proxy: Proxy) -> Connection:
        node = Node(f"p{proxy.number}", str(GATEWAYS[_PROXIES[proxy.number]]), "1.40.0")
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
        elif flight is not None and len(flight[1]) == 1:
            connection.refused |= {(type_url, name): version for name, version in flight[1].items()}
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
        for name, (version, _) in given.items():
            assert connection.refused.pop((type_url, name), None) != version, f"{name} was refused as it is"
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
                assert extra <= (used if type_url == CLUSTER else set()), f"{extra} of {type_url} were not removed"

    def _is_blind(self, connection: Connection) -> bool:
        """Whether the proxy keeps routes that it came with and cannot replace: then no cluster may be taken from it."""
        for name, (version, _) in connection.proxy.held[ROUTES].items():
            now = connection.assembly.get(ROUTES, name)
            if connection.brought.get(name) == version and (now is None or now.version != version):
                return True
        return False

    def _settle(self) -> None:
        for _ in range(_ENOUGH):
            moved = [
                any([self._answer(one), self._write(one), self._deliver(one)])  # all three, in any case
                for one in self.connections
            ]
            if not any(moved):
                return
        pytest.fail("it never becomes quiet")

    def end(self) -> None:
        self._settle()
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
        if proxy.wild == set(WILD) and not any(map(proxy.refuses, bodies)):
            assert connection.stream.session.acknowledged == assembly.offset


# -- what happens -----------------------------------------------------------------------------------------------------

_revisions = st.integers(0, 2)
_marks = st.sampled_from(["", "", "", "", FORM, MEANING, "odd0"])
_clusters = st.lists(st.sampled_from(CLUSTERS), max_size=3, unique=True).map(tuple)
_ends = st.none() | st.tuples(_revisions, _marks)
_secrets = st.lists(st.sampled_from(["s0", "s1"]), max_size=2, unique=True).map(tuple)
_tables = st.lists(st.sampled_from(TABLES), min_size=1, max_size=2, unique=True).map(tuple)


def _piece(kind: str, names: tuple[str, ...], shape: Any) -> st.SearchStrategy[Any]:
    return st.tuples(st.tuples(st.just(kind), st.sampled_from(names)), st.one_of(shape, shape, shape, st.none()))


_pieces = st.one_of(
    _piece("cluster", CLUSTERS, st.builds(Cluster, _revisions, _marks, st.sampled_from([False, False, True]), _ends)),
    _piece("listener", ("l0", "l1"), st.builds(Listener, _revisions, _marks, _tables, _secrets)),
    _piece("certificate", ("s0", "s1"), st.builds(Certificate, _revisions, _marks)),
    _piece("host", HOSTS, st.builds(Host, _revisions, _marks, st.sampled_from(TABLES))),
    _piece(
        "route",
        ("r0", "r1", "r2", "r3"),
        st.builds(Route, _revisions, _marks, st.sampled_from(HOSTS), st.sampled_from("01"), _clusters),
    ),
)
_change = st.lists(
    st.tuples(st.sampled_from([0, 0, 1]), _pieces).map(lambda one: (one[0], *one[1])), min_size=1, max_size=4
)
_BASE = [
    (0, ("cluster", "c0"), Cluster(0, "", dns=False, endpoints=(0, ""))),
    (0, ("cluster", "c1"), Cluster(0, "", dns=False, endpoints=None)),
    (0, ("listener", "l0"), Listener(0, "", ("rc0",), ("s0",))),
    (0, ("host", "h0"), Host(0, "", "rc0")),
    (0, ("route", "r0"), Route(0, "", "h0", "0", ("c0",))),
]


@st.composite
def _swap(draw: Any) -> list[Any]:
    """A route goes elsewhere, in the same offset in which its cluster goes, and perhaps its listener changes."""
    old, new = draw(st.permutations(CLUSTERS))[:2]
    shape = st.builds(Cluster, _revisions, _marks, st.just(False), _ends)
    batch: list[Any] = [
        (0, ("cluster", old), None),
        (0, ("cluster", new), draw(shape)),
        (
            0,
            ("route", "r0"),
            Route(
                draw(_revisions),
                draw(_marks),
                "h0",
                "0",
                draw(st.sampled_from([(new,), (new, new, "c2"), ("c2", "c2", new)])),
            ),
        ),
    ]
    if draw(st.booleans()):
        batch.append((0, ("listener", "l0"), Listener(draw(_revisions), draw(_marks), draw(_tables), ())))
    return batch


_numbers = st.sampled_from(range(len(_PROXIES)))
_moves = st.tuples(st.sampled_from(["write", "deliver", "answer"]), _numbers)
_steps = st.one_of(
    st.tuples(st.just("change"), _change),
    st.tuples(st.just("change"), _swap()),
    *[_moves] * 5,
    st.tuples(st.just("cut"), _numbers),
    st.tuples(st.just("renew"), _numbers, st.sampled_from([one for one in ORDER if one not in WILD])),
    st.tuples(st.just("wildcard"), _numbers),
    st.tuples(st.just("quiet")),
)


@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.booleans(), st.lists(_steps, max_size=60))
def test_a_proxy_ends_with_what_is_published_and_nothing_breaks_on_the_way(is_based: bool, steps: list[Any]) -> None:  # noqa: FBT001
    site = Site()
    if is_based:
        site.step("change", _BASE)
        site._settle()
    for verb, *rest in steps:
        if verb == "quiet":
            site._settle()
        else:
            site.step(verb, *rest)
    site.end()
