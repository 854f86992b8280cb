"""A route that no Envoy takes costs itself only, before the log has heard of it."""

from __future__ import annotations

from dataclasses import replace

from engine.envoy.fragment import fragment
from engine.envoy.route import Place, route
from engine.envoy.route_config import route_config, virtual_host
from engine.ref import Ref
from engine.resolve.values import Match, PathType, RouteEntry, Rule, VirtualHost
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.xds.assembly import Assembly
from streams.xds.messages import ROUTES

_GATEWAY = Ref("c", "g", "Gateway", "n", "gw")


def _route(name: str, path: str) -> Fragment:
    entry = RouteEntry(Ref("c", "g", "HTTPRoute", "n", name), 1, 0, 0, Match(PathType.EXACT, path), Rule(), "0", name)
    key = FragmentKey(_GATEWAY, FragmentKind.ROUTE, name)
    return fragment(key, route(entry, str, Place(80, False, "*")), parent="host", order="0")


def _base() -> list[Fragment]:
    host = VirtualHost("host", "rc", "*", ("*",))
    return [
        fragment(FragmentKey(_GATEWAY, FragmentKind.ROUTE_CONFIG, "rc"), route_config("rc")),
        fragment(FragmentKey(_GATEWAY, FragmentKind.VIRTUAL_HOST, "host"), virtual_host(host), parent="rc"),
        _route("good", "/good"),
    ]


def _assembly(*more: Fragment) -> Assembly:
    assembly = Assembly(Sealer(bytes(KEY_BYTES)))
    assembly.apply({one.key: one for one in (*_base(), *more)}, 0)
    return assembly


def test_without_an_earlier_version_it_is_left_out() -> None:
    bad = _route("bad", "/bad")
    assembly = _assembly(bad)
    assert assembly.withhold([bad]) == {(ROUTES, "rc")}
    assert assembly.get(ROUTES, "rc") == _assembly().get(ROUTES, "rc")


def test_an_earlier_version_is_served_in_its_place() -> None:
    first, bad, mended = _route("r", "/first"), _route("r", "/bad"), _route("r", "/mended")
    assembly = _assembly(first)
    assembly.apply({bad.key: bad}, 1)
    assembly.withhold([bad])
    assert assembly.get(ROUTES, "rc") == _assembly(first).get(ROUTES, "rc")
    assembly.apply({mended.key: mended}, 2)
    assert assembly.get(ROUTES, "rc") == _assembly(mended).get(ROUTES, "rc")


def test_an_earlier_version_that_is_guilty_too_is_left_out() -> None:
    """Two bad edits came before the first verdict."""
    first, second, mended = _route("r", "/first"), _route("r", "/second"), _route("r", "/mended")
    assembly = _assembly(first)
    assembly.apply({second.key: second}, 1)
    assembly.withhold([second])
    assert assembly.withhold([first]) == {(ROUTES, "rc")}
    assert assembly.get(ROUTES, "rc") == _assembly().get(ROUTES, "rc")
    assert not assembly.withhold([first, second])
    assembly.apply({mended.key: mended}, 2)
    assert assembly.get(ROUTES, "rc") == _assembly(mended).get(ROUTES, "rc")


def test_it_may_be_removed_while_withheld() -> None:
    bad = _route("bad", "/bad")
    assembly = _assembly(bad)
    assembly.withhold([bad])
    assembly.apply({bad.key: None}, 1)
    assert assembly.get(ROUTES, "rc") == _assembly().get(ROUTES, "rc")
    assert not assembly.withhold([bad])


def test_without_its_head_a_table_would_look_as_if_it_were_not_wanted() -> None:
    """A proxy that refuses it would count as one that has everything."""
    base = {one.key: one for one in _base()}
    head = next(one for one in base.values() if one.key.kind is FragmentKind.ROUTE_CONFIG)
    assembly = _assembly()
    assert not assembly.withhold([head])
    assert assembly.get(ROUTES, "rc") == _assembly().get(ROUTES, "rc")
    bad = replace(head, payload=head.payload + b"\x10", version="bad")
    assembly.apply({bad.key: bad}, 1)
    assert assembly.withhold([bad]) == {(ROUTES, "rc")}
    assert assembly.get(ROUTES, "rc") == _assembly().get(ROUTES, "rc")
