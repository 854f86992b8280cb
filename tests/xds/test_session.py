"""Delta ADS without I/O: what a session sends, and never too early."""

from __future__ import annotations

from engine.envoy.wire import frame
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.xds.assembly import Assembly
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ROUTES, Request, Response, parse_response
from streams.xds.session import Rejection, Session

GATEWAY = Ref("local", "gateway.networking.k8s.io", "Gateway", "default", "gw")


def piece(kind: FragmentKind, name: str, payload: bytes, parent: str = "") -> Fragment:
    """A fragment whose version is its payload."""
    return Fragment(FragmentKey(GATEWAY, kind, name), payload, payload.hex(), parent, "0")


def route(cluster: str) -> Fragment:
    """The one route, to a cluster."""
    return piece(FragmentKind.ROUTE, "r", frame(2, frame(1, cluster.encode())), "h")


def world(cluster: str) -> dict[FragmentKey, Fragment | None]:
    """A gateway whose one route goes to a cluster."""
    pieces = [
        piece(FragmentKind.CLUSTER, cluster, frame(1, cluster.encode())),
        piece(FragmentKind.ROUTE_CONFIG, "rc", frame(1, b"rc")),
        piece(FragmentKind.VIRTUAL_HOST, "h", frame(1, b"h"), "rc"),
        route(cluster),
    ]
    return {one.key: one for one in pieces}


def answers(session: Session) -> list[Response]:
    """What the session sends now."""
    return [parse_response(one) for one in session.responses()]


def connect() -> tuple[Assembly, Session]:
    """A proxy that has everything of `world("a")`."""
    assembly = Assembly(Sealer(bytes(KEY_BYTES)))
    assembly.apply(world("a"), 0)
    session = Session(assembly)
    for type_url, names in ((CLUSTER, []), (LISTENER, []), (ENDPOINTS, ["a", "b"]), (ROUTES, ["rc"])):
        session.received(Request(type_url=type_url, subscribe=names))
    drain(session)
    return assembly, session


def drain(session: Session) -> list[Response]:
    """Acknowledge everything until nothing more comes."""
    seen: list[Response] = []
    while sent := answers(session):
        for one in sent:
            session.received(Request(type_url=one.type_url, nonce=one.nonce))
        seen += sent
    return seen


def test_new_cluster_gets_an_empty_assignment_in_the_same_turn() -> None:
    """A cluster without endpoints would warm for 15 s."""
    assembly, session = connect()
    session.changed(assembly.apply(world("b"), 1))
    assert [one.type_url for one in answers(session)] == [CLUSTER, ENDPOINTS]


def test_backend_swap_makes_before_it_breaks() -> None:
    """The cluster, then the route, then the removal of the old cluster."""
    assembly, session = connect()
    gone = FragmentKey(GATEWAY, FragmentKind.CLUSTER, "a")
    session.changed(assembly.apply({**world("b"), gone: None}, 1))
    sent = drain(session)
    steps = [(one.type_url, sorted(one.resources), one.removed) for one in sent if one.type_url != ENDPOINTS]
    assert steps == [(CLUSTER, ["b"], []), (ROUTES, ["rc"], []), (CLUSTER, [], ["a"])]
    assert session.acknowledged == 1


def test_rejected_bytes_are_not_sent_again_and_a_fix_is() -> None:
    """A NACK never loops, and a fix arrives on the same stream."""
    assembly, session = connect()
    before = session.acknowledged
    session.changed(assembly.apply({route("x").key: route("x")}, 1))
    (sent,) = answers(session)
    rejection = session.received(Request(type_url=ROUTES, nonce=sent.nonce, error="no"))
    assert rejection is not None
    assert rejection.error == "no"
    assert answers(session) == []
    assert session.acknowledged == before
    session.changed(assembly.apply({route("a").key: piece(FragmentKind.ROUTE, "r", route("y").payload, "h")}, 2))
    assert [one.type_url for one in drain(session)] == [ROUTES]
    assert session.acknowledged == 2


def rejected(session: Session) -> Rejection:
    """The one cluster that comes is refused."""
    (sent,) = [one for one in answers(session) if one.type_url == CLUSTER]
    found = session.received(Request(type_url=CLUSTER, nonce=sent.nonce, error="no"))
    assert found is not None
    return found


def cluster(revision: bytes) -> dict[FragmentKey, Fragment | None]:
    one = piece(FragmentKind.CLUSTER, "extra", frame(1, b"extra") + revision)
    return {one.key: one}


def test_what_was_rejected_is_of_the_past_once_something_else_is_rejected() -> None:
    """Neither does it stand against the proxy, nor is anything tried again for its sake."""
    assembly, session = connect()
    session.changed(assembly.apply(cluster(b"1"), 1))
    first = rejected(session)
    assert session.refuses(first)
    session.changed(assembly.apply(cluster(b"2"), 2))
    second = rejected(session)
    assert not session.refuses(first)
    assert session.refuses(second)
    session.again(first)
    assert answers(session) == []
    session.again(second)
    assert rejected(session) == second


def test_what_was_rejected_is_asked_again_when_it_comes_again() -> None:
    """Else it would be published to everybody, and judged by nobody."""
    assembly, session = connect()
    session.changed(assembly.apply(cluster(b"1"), 1))
    drain(session)
    session.changed(assembly.apply(cluster(b"2"), 2))
    first = rejected(session)
    session.changed(assembly.apply(cluster(b"1"), 3))
    assert answers(session) == []
    assert not session.refuses(first)
    assert session.acknowledged == 3
    session.changed(assembly.apply(cluster(b"2"), 4))
    assert rejected(session) == first
    assert answers(session) == []
    assert session.acknowledged == 3


def test_reconnect_with_what_is_held_sends_nothing() -> None:
    """Versions are content hashes, so a restarted publisher has nothing to say."""
    assembly, _ = connect()
    session = Session(assembly)
    versions = {"rc": assembly.get(ROUTES, "rc").version}  # type: ignore[union-attr]
    clusters = {"a": assembly.get(CLUSTER, "a").version, "gone": "1"}  # type: ignore[union-attr]
    session.received(Request(type_url=CLUSTER, versions=clusters))
    assert answers(session) == []
    session.received(Request(type_url=LISTENER))
    session.received(Request(type_url=ROUTES, subscribe=["rc"], versions=versions))
    assert [(one.type_url, sorted(one.resources), one.removed) for one in drain(session)] == [(CLUSTER, [], ["gone"])]


def test_a_cluster_changed_while_the_proxy_was_away_gets_its_endpoints_again() -> None:
    """The proxy says that it has them, but the changed cluster waits 15 s for them all the same."""
    assembly, _ = connect()
    ends = {"a": assembly.get(ENDPOINTS, "a").version}  # type: ignore[union-attr]
    session = Session(assembly)
    session.received(Request(type_url=CLUSTER, versions={"a": "old"}))
    assert [one.type_url for one in answers(session)] == [CLUSTER]
    session.received(Request(type_url=ENDPOINTS, subscribe=["a"], versions=ends))
    assert [(one.type_url, sorted(one.resources)) for one in answers(session)] == [(ENDPOINTS, ["a"])]


def test_a_cluster_stays_while_the_route_that_uses_it_cannot_be_replaced() -> None:
    """The new route was rejected, so the old one is still served."""
    assembly, session = connect()
    gone = FragmentKey(GATEWAY, FragmentKind.CLUSTER, "a")
    session.changed(assembly.apply({**world("b"), gone: None}, 1))
    seen: list[Response] = []
    while sent := answers(session):
        for one in sent:
            error = "no" if one.type_url == ROUTES else None
            session.received(Request(type_url=one.type_url, nonce=one.nonce, error=error))
        seen += sent
    assert [one.type_url for one in seen if one.type_url != ENDPOINTS] == [CLUSTER, ROUTES]
    session.changed(assembly.apply({route("b").key: piece(FragmentKind.ROUTE, "r", route("b").payload * 2, "h")}, 2))
    assert [(one.type_url, one.removed) for one in drain(session)] == [(ROUTES, []), (CLUSTER, ["a"])]


def test_a_rejected_removal_is_not_acknowledged_nor_told_again() -> None:
    """Nothing stood in the response: what the proxy may hold of it is not what is published."""
    assembly, session = connect()
    extra = piece(FragmentKind.CLUSTER, "extra", frame(1, b"extra"))
    session.changed(assembly.apply({extra.key: extra}, 1))
    drain(session)
    assert session.acknowledged == 1
    session.changed(assembly.apply({extra.key: None}, 2))
    (sent,) = answers(session)
    assert (sent.resources, sent.removed) == ({}, ["extra"])
    rejection = session.received(Request(type_url=CLUSTER, nonce=sent.nonce, error="no"))
    assert rejection is not None
    assert list(rejection.resources) == ["extra"]
    assert session.refuses(rejection)
    assert drain(session) == []
    session.received(Request(type_url=CLUSTER, subscribe=["*"]))
    assert drain(session) == []
    assert session.acknowledged == 1
    session.changed(assembly.apply({extra.key: extra}, 3))
    assert [one.resources.keys() for one in drain(session) if one.type_url == CLUSTER] == [{"extra"}]
    assert session.acknowledged == 3
    session.changed(assembly.apply({extra.key: None}, 4))
    assert [one.removed for one in drain(session)] == [["extra"]]
    assert session.acknowledged == 4


def test_of_removals_that_were_rejected_together_each_is_told_alone() -> None:
    assembly, session = connect()
    extras = [piece(FragmentKind.CLUSTER, name, frame(1, name.encode())) for name in ("x", "y")]
    session.changed(assembly.apply({one.key: one for one in extras}, 1))
    drain(session)
    session.changed(assembly.apply(dict.fromkeys(one.key for one in extras), 2))
    (sent,) = answers(session)
    assert sent.removed == ["x", "y"]
    assert session.received(Request(type_url=CLUSTER, nonce=sent.nonce, error="no")) is None
    assert [one.removed for one in drain(session)] == [["x"], ["y"]]
    assert session.acknowledged == 2


def test_a_proxy_that_holds_config_is_told_nothing_that_may_be_older() -> None:
    """From the snapshot on disk only a proxy that starts is served: another one may hold more than it knows."""
    assembly, _ = connect()
    session = Session(assembly, may_be_old=True)
    session.received(Request(type_url=CLUSTER))
    (sent,) = answers(session)
    session.received(Request(type_url=CLUSTER, nonce=sent.nonce))
    session.received(Request(type_url=LISTENER, versions={"l": "newer"}))
    session.received(Request(type_url=ROUTES, subscribe=["rc"], versions={"rc": "newer"}))
    assert answers(session) == []
    assert session.acknowledged == -1
    session.may_be_old = False
    assert {one.type_url for one in drain(session)} == {LISTENER, ROUTES}
