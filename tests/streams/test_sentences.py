"""What became of requests, told from nodes alone: each match by itself, with all that it asks for, as `diff` tells it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jsonschema
import pytest

from engine.engine import Engine
from engine.events import Change
from engine.history.diff import Moment, diff
from engine.seal import KEY_BYTES, Sealer
from streams.cli.schemas import schemas
from streams.client import sentences
from streams.client.following import update_events
from streams.client.values import NodeChanged
from streams.memory import MemoryLog
from tests.streams.test_client import _BASE, _closed, resolved, taken
from tests.support.manifests import API, change_set, put, route

_HOST = "host shop.example.com:"
_V1, _V2 = "default/pay-v1:80", "default/pay-v2:80"
_NODE = f"route/local/{API}/{{}}/default/shop"
_CANARY = {"headers": [{"name": "X-Canary", "value": "1"}]}


def rule(backend: str, **match: Any) -> dict[str, Any]:
    return {"matches": [match] if match else [], "backendRefs": [{"name": backend, "port": 80}]}


def shop(*rules: dict[str, Any], generation: int = 1, kind: str = "HTTPRoute") -> Change:
    if kind == "HTTPRoute":
        return route("shop", generation=generation, hostnames=["shop.example.com"], rules=list(rules))
    spec = {"parentRefs": [{"name": "gw"}], "hostnames": ["shop.example.com"], "rules": list(rules)}
    return put(API, "v1", kind, "shop", {"spec": spec}, generation)


async def told(*steps: Change) -> list[list[str]]:
    """The sentences of each step, as who reads penstock.updates has them."""
    log = MemoryLog()
    await resolved(log, _BASE, *([one] for one in steps))
    found = await taken(update_events(log, 0), 2 + len(steps))
    return [[word for change in one.value.routing for word in sentences(change)] for one in found[2:]]


def moment(*changes: Change) -> Moment:
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    engine.apply(change_set(*_BASE, *changes), 0)
    update = engine.everything()
    return Moment(0, {}, update.fragments.set, update.infra.set)


def differs(before: Change, after: Change) -> list[str]:
    """The sentences of `penstock diff` of matches, without the Gateway."""
    at = "Gateway default/gw port 8080 "
    found = diff(moment(before), moment(after)).routing
    return [one.removeprefix(at) for one in found if one.startswith(f"{at}{_HOST}")]


def ways(change: Change, kind: str = "HTTPRoute") -> dict[str, Any]:
    """The node of route shop."""
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    engine.apply(change_set(*_BASE, change), 0)
    return dict(engine.everything().nodes.set[_NODE.format(kind)])


@pytest.mark.parametrize("first", [True, False], ids=["canary first", "canary last"])
async def test_a_canary_by_a_header_comes_and_takes_all(*, first: bool) -> None:
    def canary(all_to: str, header_to: str) -> list[dict[str, Any]]:
        rules = [rule(header_to, **_CANARY), rule(all_to)]
        return rules if first else rules[::-1]

    found = await told(
        shop(rule("pay-v1")),
        shop(*canary("pay-v1", "pay-v2"), generation=2),
        shop(*canary("pay-v2", "pay-v2"), generation=3),
        shop(*canary("pay-v2", "pay-v1"), generation=4),
    )
    assert found == [
        [f"{_HOST} / is new, goes to {_V1}"],
        [f"{_HOST} / with header x-canary: 1 is new, goes to {_V2}"],
        [f"{_HOST} / moved from {_V1} to {_V2}"],
        [f"{_HOST} / with header x-canary: 1 moved from {_V2} to {_V1}"],
    ]


async def test_another_value_of_a_header_is_another_match() -> None:
    other = {"headers": [{"name": "x-canary", "value": "2"}]}
    (_, found) = await told(shop(rule("pay-v2", **_CANARY)), shop(rule("pay-v2", **other)))
    canary = f"{_HOST} / with header x-canary:"
    assert found == [f"{canary} 1 is gone, went to {_V2}", f"{canary} 2 is new, goes to {_V2}"]


async def test_rules_of_one_match_are_told_apart() -> None:
    one, two, three = (shop(*(rule(name) for name in some)) for some in (["pay-v1"], ["pay-v2", "pay-v1"], ["pay-v2"]))
    found = await told(one, two, three)
    assert found[1:] == [
        [
            f"{_HOST} / (1st of 2 rules) moved from {_V1} to {_V2}",
            f"{_HOST} / (2nd of 2 rules) is new, goes to {_V1}",
        ],
        [f"{_HOST} / (2nd of 2 rules) is gone, went to {_V1}"],
    ]


async def test_a_match_that_a_rule_says_twice_is_one() -> None:
    twice = {**rule("pay-v1"), "matches": [{"path": {"value": "/a"}}, {"path": {"value": "/a/"}}]}
    assert await told(shop(twice)) == [[f"{_HOST} /a is new, goes to {_V1}"]]


async def test_a_backend_that_gets_no_share_any_more_is_told() -> None:
    nobody = {**rule("pay-v1"), "backendRefs": [{"name": "pay-v1", "port": 80, "weight": 0}]}
    (_, found) = await told(shop(rule("pay-v1")), shop(nobody))
    assert found == [f"{_HOST} / moved from {_V1} to an error (all weights are 0)"]


_MATCHES: list[tuple[dict[str, Any], str]] = [
    ({"path": {"value": "/"}}, "/"),
    ({"path": {"value": "/a/"}}, "/a"),
    ({"path": {"type": "Exact", "value": "/a"}}, "= /a"),
    ({"path": {"type": "RegularExpression", "value": "/a.*"}}, "~ /a.*"),
    ({"path": {"value": "/a"}, "method": "GET"}, "/a GET"),
    (_CANARY, "/ with header x-canary: 1"),
    ({"headers": [{"name": "a", "type": "RegularExpression", "value": "t.*"}]}, "/ with header a ~ t.*"),
    ({"queryParams": [{"name": "Q", "value": "1"}]}, "/ with query Q: 1"),
    ({"queryParams": [{"name": "q", "type": "RegularExpression", "value": "1|2"}]}, "/ with query q ~ 1|2"),
    (
        {
            "path": {"value": "/a"},
            "method": "POST",
            "headers": [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}],
            "queryParams": [{"name": "q", "value": "x y"}],
        },
        "/a POST with header a: 1 and header b: 2 and query q: x y",
    ),
]
_CALLS: list[tuple[dict[str, Any], str]] = [
    ({"method": {"service": "s", "method": "m"}, **_CANARY}, "= /s/m with header x-canary: 1"),
    ({"method": {"service": "s"}}, "/s"),
]


@pytest.mark.parametrize(
    ("kind", "match", "words"),
    [*(("HTTPRoute", *one) for one in _MATCHES), *(("GRPCRoute", *one) for one in _CALLS)],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_readers_and_diff_say_a_match_in_the_same_words(kind: str, match: dict[str, Any], words: str) -> None:
    """They share no code, since who reads the stream has no engine."""
    other = rule("pay-v1", **({"path": {"value": "/other"}} if kind == "HTTPRoute" else {"method": {"service": "other"}}))
    before, after = shop(other, kind=kind), shop(other, rule("pay-v2", **match), kind=kind, generation=2)
    change = NodeChanged(node=_NODE.format(kind), before=ways(before, kind), after=ways(after, kind))
    said = [[one.partition(", ")[0] for one in some] for some in (sentences(change), differs(before, after))]
    assert said == [[f"{_HOST} {words} is new"]] * 2


def test_the_order_of_headers_is_no_difference() -> None:
    some = [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
    before, after = (shop(rule("pay-v1", headers=one)) for one in (some, some[::-1]))
    assert ways(before) == ways(after)
    assert differs(before, after) == []


def test_a_node_says_what_is_asked_for_and_nothing_more() -> None:
    def match(**more: Any) -> dict[str, Any]:
        node = ways(shop(rule("pay-v1", **more)))
        jsonschema.Draft202012Validator(_closed(schemas()["node.v1"])).validate(node)
        (found,) = node["rules"][0]["matches"]
        return dict(found)

    plain = {"path": {"type": "PathPrefix", "value": "/"}, "method": ""}
    assert match() == plain
    header = {"name": "X-A", "type": "RegularExpression", "value": "t.*"}
    query = {"name": "Q", "value": "1"}
    assert match(headers=[header], queryParams=[query]) == {
        **plain,
        "headers": [{"name": "x-a", "type": "RegularExpression", "value": "t.*"}],
        "queryParams": [query],
    }


def test_a_route_that_is_only_told_more_exactly_has_not_changed() -> None:
    """Nodes of before had no headers: an upgrade of the engine moves nobody's requests."""
    exact = ways(shop(rule("pay-v2", **_CANARY), rule("pay-v1")))
    path = {"path": {"type": "PathPrefix", "value": "/"}, "method": ""}
    bare = {**exact, "rules": [{**one, "matches": [path]} for one in exact["rules"]]}
    for before, after in pairwise((bare, exact, bare)):
        assert sentences(NodeChanged(node=_NODE.format("HTTPRoute"), before=before, after=after)) == ()
    edited = {**exact, "generation": 2}
    assert sentences(NodeChanged(node=_NODE.format("HTTPRoute"), before=bare, after=edited)) != ()
