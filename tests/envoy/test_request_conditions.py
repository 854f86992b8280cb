"""Conditions in CEL of TrafficPolicy.rbac: Envoy takes what is taken, and what is refused as never true never is."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from envoy_data_plane.envoy.config.rbac.v3 import Action, RbacAction
from envoy_data_plane.envoy.config.route.v3 import DirectResponseAction, Route, RouteMatch, VirtualHost
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac, RbacPerRoute
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.envoy.matcher import condition, extension, first_of
from engine.envoy.typed import packed
from engine.envoy.wire import construct, encode
from engine.models.cel import _environment, _judged, _Right, request_condition
from engine.models.cel_tree import tree
from engine.policies.rbac import NAME
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from tests.envoy.judge import verdict
from tests.support.client import Ask, ask
from tests.support.manifests import change_set, gateway, route, service
from tests.support.proxy import proxies

_TYPE = "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
GOOD = (
    "true",
    "request.headers['x'] == 'a'",
    "has(request.headers.x) || 'x' in request.headers",
    "request.path.matches('^/a.*') ? true : !(request.size > 3)",
    "re.extract(request.path, '/(.*)', '\\\\1') == 'x'",
    "duration('1s') + duration('1s') < duration('3s') && timestamp('2020-01-01T00:00:00Z') < request.time",
    "metadata.filter_metadata['envoy.filters.http.jwt_authn']['payload']['sub'] == 'x'",
    "filter_state['a'] == b'a' || {'a': [1, 2u, 2.5, null]}.a[0] == 1",
    "!" * 31 + "true",
    "(" * 31 + "true" + ")" * 31,
    "[" * 30 + "1" + "]" * 30 + " == []",
    "{1: " * 28 + "1" + "}" * 28 + " == {}",
    " + ".join(["1"] * 31) + " > 0",
    " && ".join(["request.headers['x'] == 'a'"] * 500),
    "request.headers" + "['a']" * 28 + " == ''",
)
NEVER = {
    "request.header == request.header": "column 9: request has no header when a request comes",
    "true &&\n request.duration == request.duration": "line 2, column 10: request has no duration",
    "[source.name] == [source.name]": "column 9: source has no name",
    "xds.nodes == xds.nodes": "column 5: xds has no nodes",
    "response.code == response.code": "column 10: response.code is not known yet",
    "upstream.address == upstream.address": "column 10: upstream.address is not known yet",
    "'a' + 'b' == 'ab'": "column 5: Envoy joins neither texts nor lists",
    "[1] + [2] == [1, 2]": "column 5: Envoy joins neither texts nor lists",
    "b'a' + b'b' == b'ab'": "column 6: Envoy joins neither texts nor lists",
}
UNSEEN = ("request.path + request.path == request.path + request.path",)
"""Never true either, which is not seen: the types are not known."""


def _judged_route(number: int, expression: bytes) -> Route:
    allow = extension("allow", "envoy.config.rbac.v3.Action", construct(Action, name="a", action=RbacAction.ALLOW))
    deny = extension("deny", "envoy.config.rbac.v3.Action", construct(Action, name="d", action=RbacAction.DENY))
    rbac = construct(RbacPerRoute, rbac=construct(Rbac, matcher=first_of([(condition(expression), allow)], deny)))
    return construct(
        Route,
        name=f"r{number}",
        match=construct(RouteMatch, prefix=f"/{number}/"),
        direct_response=construct(DirectResponseAction, status=200),
        typed_per_filter_config={NAME: packed(_TYPE, rbac)},
    )


def _parsed(text: str) -> bytes:
    found = _judged(text)
    assert isinstance(found, _Right), text
    return tree(found.checked).expression


async def test_envoy_takes_what_is_taken() -> None:
    """At their deepest, too: Envoy reads no message that is more than 100 levels deep."""
    found = [request_condition(text) for text in GOOD]
    assert not [one for one in found if isinstance(one, str)]
    routes = [_judged_route(number, one) for number, one in enumerate(found) if isinstance(one, bytes)]
    taken, said = await verdict(construct(VirtualHost, name="judged", domains=["*"], routes=routes))
    assert taken, said


def test_what_is_never_true_is_refused_with_its_place() -> None:
    for text, said in NEVER.items():
        found = request_condition(text)
        assert isinstance(found, str), text
        assert found.startswith(said), found


async def test_envoy_never_finds_them_true() -> None:
    """Each says true of whatever it speaks of, and so do those that were taken."""
    texts = [*NEVER, *UNSEEN, "request.headers == request.headers", "1 + 2 == 3"]
    address = f"127.6.{random.randrange(1, 250)}.254"
    sealer = Sealer(bytes(KEY_BYTES))
    engine = Engine(sealer)
    routes = [route(f"r{number}", path=f"/{number}/") for number in range(len(texts))]
    engine.apply(change_set(gateway(), service(), *routes), 0)
    fragments = {}
    for name, one in engine.everything().fragments.set.items():
        number = int(name.rsplit("/HTTPRoute/default/r", 1)[1].split("/")[0]) if "/HTTPRoute/" in name else -1
        ours = one.key.kind is FragmentKind.ROUTE and number >= 0
        fragments[name] = replace(one, payload=encode(_judged_route(number, _parsed(texts[number])))) if ours else one
    async with proxies(fragments, sealer, address):
        statuses = [(await ask(address, 8080, Ask("a", f"/{n}/"))).status for n in range(len(texts))]
    assert statuses == [403] * (len(texts) - 2) + [200, 200]


_ATOMS = st.sampled_from(
    ["true", "1", "2u", "1.5", "'a'", "b'a'", "null", "request.path", "request.headers['a']", "request.size", "[1, 'a']",
     "{'a': 1}", "source.port", "request.time", "duration('1s')", "filter_state.a", "has(request.headers.a)"]
)  # fmt: skip
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["==", "!=", "<", "&&", "||", "+", "-", "*", "in"]), inner).map(
            lambda one: f"({one[0]} {one[1]} {one[2]})"
        ),
        st.tuples(
            st.sampled_from(["size", "int", "uint", "double", "type", "dyn", "!", "-", "bytes", "duration"]), inner
        ).map(lambda one: f"{one[0]}({one[1]})"),
        st.tuples(inner, st.sampled_from(["startsWith", "contains", "endsWith", "matches"]), inner).map(
            lambda one: f"{one[0]}.{one[1]}({one[2]})"
        ),
        st.tuples(inner, inner, inner).map(lambda one: f"({one[0]} ? {one[1]} : {one[2]})"),
        st.tuples(inner, inner).map(lambda one: f"{one[0]}[{one[1]}]"),
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_EXPRESSIONS, min_size=5, max_size=5))
def test_envoy_takes_whatever_is_taken(texts: list[str]) -> None:
    found = [one for text in texts if isinstance(one := request_condition(f"({text}) == ({text})"), bytes)]
    routes = [_judged_route(number, one) for number, one in enumerate(found)]
    if routes:
        taken, said = asyncio.run(verdict(construct(VirtualHost, name="judged", domains=["*"], routes=routes)))
        assert taken, f"{texts}: {said}"


def test_the_same_text_gives_the_same_bytes() -> None:
    """Those of the library are ordered by chance."""
    text = "request.headers['x'] == 'a' && request.path in ['a', 'b', 'c']"
    assert len({_environment().compile(text).serialize() for _ in range(20)} | {b""}) > 1
    assert len({request_condition(text) for _ in range(20)}) == 1
