"""TrafficPolicies in the engine: what an edit costs, what a refused one closes, what a rejected one falls back to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from engine.engine import Engine
from engine.events import Change, Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service
from tests.support.story import Story

_SEALER = Sealer(bytes(KEY_BYTES))
_SIZES = (100, 2_000)
_USERS = {"users": ["ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="]}


def _policy(name: str, target: tuple[str, str], generation: int = 1, **spec: Any) -> Put:
    kind, _, section = target[1].partition("#")
    named = {"group": API, "kind": target[0], "name": kind, **({"sectionName": section} if section else {})}
    body = {"spec": {"targetRefs": [named], **spec}}
    return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", name, body, generation)


def _sets(value: str) -> dict[str, Any]:
    return {"headerModifiers": {"request": {"set": [{"name": "x-at", "value": value}]}}}


_GATEWAY, _LISTENER, _ROUTE = ("Gateway", "gw"), ("Gateway", "gw#http"), ("HTTPRoute", "r5")
_THERE = (
    *(_policy(f"g{at}", _GATEWAY, **_sets(str(at))) for at in range(3)),
    _policy("g3", _GATEWAY, **_sets("3"), timeouts={"request": "9s"}),
    *(_policy(f"l{at}", _LISTENER, **_sets(str(at))) for at in range(3)),
    *(_policy(f"r{at}", _ROUTE, **_sets(str(at))) for at in range(3)),
)
"""Ten, at every level; one has what each route is given, since Envoy has it in routes alone."""
_EDITS: dict[str, Change] = {
    "at the Gateway": _policy("g0", _GATEWAY, 2, **_sets("edited")),
    "at the listener": _policy("l0", _LISTENER, 2, **_sets("edited")),
    "at the route": _policy("r0", _ROUTE, 2, **_sets("edited")),
    "new at the route": _policy("new", ("HTTPRoute", "r6"), **_sets("new")),
    "gone at the Gateway": delete(_policy("g0", _GATEWAY)),
    "a route": route("r5", "s5", "/edited", 2, hostnames=["*.example.com"]),
    "a route without policies of its own": route("r8", "s8", "/edited", 2, hostnames=["*.example.com"]),
    "a new route": route("more", "s7", "/more", hostnames=["*.example.com"]),
    "an endpoint": endpoints("s5", "127.0.0.2", generation=2),
}
_RERUNS = {
    "at the Gateway": 9,
    "at the listener": 10,
    "at the route": 7,
    "new at the route": 12,
    "gone at the Gateway": 28,  # What it said is in force no more, and the three others there are told so.
    "a route": 7,  # With three policies of its own.
    "a route without policies of its own": 4,
    "a new route": 7,
    "an endpoint": 4,
}
"""Of each edit, at any size. Who makes one less need not ask; who makes one more must know why."""
_BARE = ("a route", "a route without policies of its own", "a new route", "an endpoint")
"""Edits that are none of a policy."""


def _engine(routes: int, policies: Iterable[Put] = _THERE) -> Engine:
    engine = Engine(_SEALER)
    changes: list[Change] = [gateway(), *policies]
    for at in range(routes):
        changes += [service(f"s{at}"), endpoints(f"s{at}"), route(f"r{at}", f"s{at}", f"/{at}", hostnames=["*.example.com"])]
    assert not engine.apply(change_set(*changes), 0).warnings
    return engine


def _work(engine: Engine, edit: Change, offset: int) -> tuple[int, int]:
    work = engine.graph.work
    reruns = work.reruns
    update = engine.apply(change_set(edit, number=offset), offset)
    assert not update.warnings
    assert update.fragments.set or update.fragments.removed
    return work.reruns - reruns, sum(len(one.payload) for one in update.fragments.set.values())


@pytest.fixture(scope="module")
def costs() -> list[dict[str, tuple[int, int]]]:
    """What each edit costs with few and with many routes below ten policies."""
    engines = [_engine(size) for size in _SIZES]
    return [{name: _work(engine, edit, at) for at, (name, edit) in enumerate(_EDITS.items(), 1)} for engine in engines]


@pytest.mark.parametrize("edit", _EDITS)
def test_an_edit_costs_the_same_at_any_size(edit: str, costs: list[dict[str, tuple[int, int]]]) -> None:
    few, many = costs
    assert few[edit] == many[edit]
    assert few[edit][0] == _RERUNS[edit]


def test_ten_policies_cost_other_edits_nothing() -> None:
    """But the route at which three of them stand."""
    engine = _engine(_SIZES[0], ())
    bare = {name: _work(engine, _EDITS[name], at)[0] for at, name in enumerate(_BARE, 1)}
    assert bare == {name: _RERUNS[name] for name in _BARE} | {"a route": 4}


def _closed(story: Story, kind: FragmentKind) -> bool:
    fragment = story.one(kind)
    return fragment is not None and b"penstock.dev/closed" in fragment.payload


def test_one_that_guards_and_was_never_taken_closes() -> None:
    """From an API server whose CRD lets more in than we take: what it says cannot be known, so nobody comes in."""
    story = Story()
    story.tell(_policy("p", _GATEWAY, basicAuth={"users": 5}))
    assert _closed(story, FragmentKind.ROUTE_CONFIG)
    story.tell(_policy("p", _GATEWAY, 2, basicAuth=_USERS))
    assert not _closed(story, FragmentKind.ROUTE_CONFIG)


def test_one_that_guards_nothing_and_was_never_taken_is_left_out() -> None:
    story = Story()
    good = story.versions()
    story.tell(_policy("p", _GATEWAY, buffer={"maxRequestSize": "nonsense"}))
    assert story.versions() == good


def test_the_last_good_revision_of_one_that_is_refused_later_guards_on() -> None:
    story = Story()
    story.tell(_policy("p", _GATEWAY, basicAuth=_USERS))
    good = story.versions()
    story.tell(_policy("p", _GATEWAY, 2, basicAuth={"users": 5}))
    assert story.versions() == good
    assert not _closed(story, FragmentKind.ROUTE_CONFIG)


def test_a_listener_does_not_change_with_policies() -> None:
    """Its connections would drain, and those that last would go on without the policy."""
    story = Story()
    before = story.one(FragmentKind.LISTENER, "8080")
    story.tell(_policy("p", _GATEWAY, basicAuth=_USERS, buffer={"maxRequestSize": "1Ki"}, timeouts={"request": "1s"}))
    assert story.one(FragmentKind.LISTENER, "8080") == before


def test_a_bad_route_does_not_close_the_others_of_its_policy() -> None:
    """What changed last pays first: the policy guards on, and only the route goes back."""
    chosen = {"group": API, "kind": "HTTPRoute", "matchLabels": {"app": "shop"}}
    body = {"spec": {"targetSelectors": [chosen], "basicAuth": _USERS}}
    policy = put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", "p", body)

    def labelled(name: str, path: str, generation: int = 1) -> Put:
        made = route(name, "s", path, generation)
        return Put(made.ref, {**made.object, "metadata": {**made.object["metadata"], "labels": {"app": "shop"}}})

    story = Story(labelled("r1", "/one"), labelled("r2", "/two"), policy)
    other = story.one(FragmentKind.ROUTE, "default/r2/")
    story.tell(labelled("r1", "/bad", 2))
    story.reject(FragmentKind.ROUTE, "default/r1/")
    assert story.one(FragmentKind.ROUTE, "default/r2/") == other
    held = [row["held"] for key, row in story.engine.state().items() if key.startswith("quarantine/")]
    assert held == [[str(labelled("r1", "/").ref)]]


def test_a_rejected_policy_says_what_runs_and_why() -> None:
    """One verdict on one of its routes; with no revision before it nothing of it runs."""
    first, second = (_policy("p", ("HTTPRoute", "r"), generation, **_sets(f"{generation}")) for generation in (1, 2))
    story = Story(first)
    good = story.one(FragmentKind.ROUTE, "default/r/")
    assert "Policy accepted" in story.says(first)
    story.tell(second)
    story.reject(FragmentKind.ROUTE, "default/r/", words="missing ]: [")
    now = story.one(FragmentKind.ROUTE, "default/r/")
    assert now is not None
    assert good is not None
    assert now.version == good.version
    assert "serves the last good revision (generation 1), because a proxy rejected this one (missing ]: [" in story.says(second)
    story = Story()
    story.tell(second)
    story.reject(FragmentKind.ROUTE, "default/r/", words="missing ]: [")
    assert "serves nothing of it, because a proxy rejected this one" in story.says(second)
