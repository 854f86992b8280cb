"""What is assembled depends on the fragments that are there, not on those that were."""

from __future__ import annotations

from engine.envoy.fragment import fragment
from engine.envoy.route_config import route_config, virtual_host
from engine.ref import Ref
from engine.resolve.values import VirtualHost
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.xds.assembly import Assembly, empty_assignment
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ROUTES

_GATEWAY = Ref("c", "g", "Gateway", "n", "gw")


def _host(name: str) -> Fragment:
    key = FragmentKey(_GATEWAY, FragmentKind.VIRTUAL_HOST, name)
    return fragment(key, virtual_host(VirtualHost(name, "rc", name, (name,))), parent="rc")


def test_hosts_that_came_and_went_leave_no_trace_in_the_version() -> None:
    table = fragment(FragmentKey(_GATEWAY, FragmentKind.ROUTE_CONFIG, "rc"), route_config("rc"))
    stays, passing = _host("stays.example"), [_host(f"passes-{number}.example") for number in range(40)]
    assembly, fresh = Assembly(Sealer(bytes(KEY_BYTES))), Assembly(Sealer(bytes(KEY_BYTES)))
    fresh.apply({one.key: one for one in (table, stays)}, 9)
    for number, one in enumerate(passing):
        assembly.apply({each.key: each for each in (table, stays, one)}, 2 * number)
        assert assembly.get(ROUTES, "rc") != fresh.get(ROUTES, "rc")
        assembly.apply({one.key: None}, 2 * number + 1)
        assert assembly.get(ROUTES, "rc") == fresh.get(ROUTES, "rc")


def test_filter_chains_stand_in_their_listener_and_leave_no_trace() -> None:
    listener = Fragment(FragmentKey(_GATEWAY, FragmentKind.LISTENER, "l"), b"\x0a\x01l", "1")
    chains = [Fragment(FragmentKey(_GATEWAY, FragmentKind.FILTER_CHAIN, one), one.encode(), one, "l") for one in "ab"]
    assembly, alone = Assembly(Sealer(bytes(KEY_BYTES))), Assembly(Sealer(bytes(KEY_BYTES)))
    alone.apply({listener.key: listener}, 0)
    assert assembly.apply({chains[1].key: chains[1]}, 0) == {(LISTENER, "l")}
    assert assembly.get(LISTENER, "l") is None
    assert list(assembly.names(LISTENER)) == []
    assembly.apply({listener.key: listener}, 1)
    one = assembly.get(LISTENER, "l")
    assert assembly.apply({chains[0].key: chains[0]}, 2) == {(LISTENER, "l")}
    both = assembly.get(LISTENER, "l")
    assert one is not None
    assert both is not None
    assert one.version != both.version
    assert b"\x0a\x01l\x1a\x01a\x1a\x01b" in b"".join(both.encoded)
    assembly.apply({chains[0].key: None}, 3)
    assert assembly.get(LISTENER, "l") == one
    assembly.apply({chains[1].key: None}, 4)
    assert assembly.get(LISTENER, "l") == alone.get(LISTENER, "l")
    assert list(assembly.names(LISTENER)) == ["l"]


def test_a_sealed_listener_is_opened_and_its_chains_stand_in_it() -> None:
    """A value of a Secret may stand in it."""
    sealer = Sealer(bytes(KEY_BYTES))
    key = FragmentKey(_GATEWAY, FragmentKind.LISTENER, "l")
    listener = Fragment(key, sealer.seal(b"\x0a\x01l", str(key).encode()), "1", sealed=True)
    chain = Fragment(FragmentKey(_GATEWAY, FragmentKind.FILTER_CHAIN, "a"), b"a", "2", "l")
    assembly = Assembly(sealer)
    assembly.apply({one.key: one for one in (listener, chain)}, 0)
    found = assembly.get(LISTENER, "l")
    assert found is not None
    assert b"\x0a\x01l\x1a\x01a" in b"".join(found.encoded)


def test_an_empty_assignment_comes_and_goes_with_its_cluster() -> None:
    """A proxy may hold endpoints of a cluster that was gone for a moment: unless told, it keeps them for good."""
    cluster = Fragment(FragmentKey(_GATEWAY, FragmentKind.CLUSTER, "c"), b"c", "1")
    ends = Fragment(FragmentKey(_GATEWAY, FragmentKind.ENDPOINTS, "c"), b"e", "1")
    assembly = Assembly(Sealer(bytes(KEY_BYTES)))
    assembly.apply({cluster.key: cluster, ends.key: ends}, 0)
    assert assembly.apply({cluster.key: None, ends.key: None}, 1) == {(CLUSTER, "c"), (ENDPOINTS, "c")}
    assert assembly.apply({cluster.key: cluster}, 2) == {(CLUSTER, "c"), (ENDPOINTS, "c")}
    assert assembly.get(ENDPOINTS, "c") == empty_assignment("c")
    assert assembly.apply({ends.key: ends}, 3) == {(ENDPOINTS, "c")}
