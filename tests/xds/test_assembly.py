"""What is assembled depends on the fragments that are there, not on those that were."""

from __future__ import annotations

from engine.envoy.fragment import fragment
from engine.envoy.route_config import route_config, virtual_host
from engine.ref import Ref
from engine.resolve.values import VirtualHost
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.xds.assembly import Assembly, empty_assignment
from streams.xds.messages import CLUSTER, ENDPOINTS, ROUTES

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
