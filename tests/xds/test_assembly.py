"""What is assembled depends on the fragments that are there, not on those that were."""

from __future__ import annotations

from engine.envoy.fragment import fragment
from engine.envoy.route_config import route_config, virtual_host
from engine.ref import Ref
from engine.resolve.values import VirtualHost
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.xds.assembly import Assembly
from streams.xds.messages import ROUTES

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
