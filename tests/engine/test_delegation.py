"""Delegation as a proxy's rejections and the counters see it: what is held, and what runs again."""

from __future__ import annotations

from typing import Any

import pytest

from engine.engine import Engine
from engine.events import Change, Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from tests.support.manifests import API, change_set, delete, gateway, put, service
from tests.support.story import Story

_HTTP = {"group": API, "kind": "HTTPRoute"}
_LABEL = "delegation.kgateway.dev/label"


def _rule(path: str, *refs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"matches": [{"path": {"value": path}}], "backendRefs": list(refs), **more}


def _header(value: str) -> dict[str, Any]:
    change = {"set": [{"name": "x-from", "value": value}]}
    return {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": change}]}


def _parent(header: str = "good", generation: int = 1) -> Put:
    rules = [_rule("/a", {**_HTTP, "name": "child"}, **_header(header)), _rule("/b", {"name": "s", "port": 80})]
    spec = {"parentRefs": [{"name": "gw"}], "hostnames": ["p.example.com"], "rules": rules}
    return put(API, "v1", "HTTPRoute", "parent", {"spec": spec}, generation)


def _child(path: str = "/a/1", generation: int = 1) -> Put:
    return put(API, "v1", "HTTPRoute", "child", {"spec": {"rules": [_rule(path, {"name": "s", "port": 80})]}}, generation)


def _payload(story: Story, within: str = "/child/") -> bytes:
    found = story.one(FragmentKind.ROUTE, within)
    assert found is not None
    return found.payload


def test_a_rejected_change_of_a_child_leaves_its_parent_as_it_is() -> None:
    story = Story(_parent(), _child())
    story.tell(_parent("newer", 2))
    story.tell(_child("/a/2", 2))
    story.reject(FragmentKind.ROUTE, "/child/")
    assert b"/a/1" in _payload(story)
    assert b"newer" in _payload(story)
    assert "Fall Back" in story.says(_child())
    assert "Fall Back" not in story.says(_parent())
    story.tell(_child("/a/3", 3))
    assert b"/a/3" in _payload(story)
    assert not story.quarantines()


def test_a_rejected_change_of_a_parent_leaves_its_child_as_it_is() -> None:
    story = Story(_parent(), _child())
    story.tell(_child("/a/2", 2))
    story.tell(_parent("newer", 2))
    story.reject(FragmentKind.ROUTE, "/child/")
    assert b"/a/2" in _payload(story)
    assert b"good" in _payload(story)
    assert "Fall Back" in story.says(_parent())
    assert "Fall Back" not in story.says(_child())


def test_when_what_is_served_instead_is_rejected_too_the_next_one_falls_back() -> None:
    """Each alone, and then both."""
    story = Story(_parent(), _child())
    story.tell(_parent("newer", 2))
    story.tell(_child("/a/2", 2))
    for child, parent in ((b"/a/1", b"newer"), (b"/a/2", b"good"), (b"/a/1", b"good")):
        story.reject(FragmentKind.ROUTE, "/child/")
        assert child in _payload(story)
        assert parent in _payload(story)
    story.tell(_parent("newest", 3))
    assert not story.quarantines()


def test_a_child_without_an_earlier_revision_answers_500_and_its_parent_serves_on() -> None:
    story = Story(_parent(), _child())
    story.reject(FragmentKind.ROUTE, "/child/")
    assert "Quarantined" in story.says(_child())
    assert "Quarantined" not in story.says(_parent())
    assert b"kube_default_s_80" in _payload(story, "/parent/1/")


_SIZES = (10, 2_000)
_ALL = {"group": "delegation.kgateway.dev", "kind": "label", "name": "x", "namespace": "all"}
_BASE: list[Change] = [gateway("gw"), service("s"), service("t")]


def _member(at: int, path: str = "/", generation: int = 1, **metadata: Any) -> Put:
    metadata = {"labels": {_LABEL: "x"}, **metadata}
    spec = {"rules": [_rule(f"/a/{at}{path}", {"name": "s", "port": 80})]}
    return put(API, "v1", "HTTPRoute", f"m{at}", {"metadata": metadata, "spec": spec}, generation)


def _root(name: str, *rules: dict[str, Any], generation: int = 1) -> Put:
    spec = {"parentRefs": [{"name": "gw"}], "hostnames": [f"{name}.example.com"], "rules": list(rules)}
    return put(API, "v1", "HTTPRoute", name, {"spec": spec}, generation)


def _family(children: int) -> Engine:
    """One parent of many by a label, beside one of a single child."""
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    engine.apply(change_set(*_BASE, _root("many", _rule("/a", _ALL)), _root("one", _rule("/a", {**_HTTP, "name": "c"}))), 0)
    single = put(API, "v1", "HTTPRoute", "c", {"spec": {"rules": [_rule("/a/c", {"name": "t", "port": 80})]}})
    engine.apply(change_set(single, *(_member(at) for at in range(children)), number=1), 1)
    return engine


_EDITS: dict[str, Change] = {
    "a child's path": _member(5, "/edited", 2),
    "a child comes": _member(9_999),
    "a child goes": delete(_member(6)),
    "a child's label goes": _member(7, labels={}),
    "a child's label comes back": _member(7),
    "a child's annotation": _member(8, annotations={"delegation.kgateway.dev/inherit-parent-matcher": "true"}),
    "another parent": _root("one", _rule("/a", {**_HTTP, "name": "c"}, timeouts={"request": "1s"}), generation=2),
}


def _work(engine: Engine, edit: Change, offset: int) -> tuple[int, int]:
    before = engine.graph.work.reruns, engine.graph.work.items
    update = engine.apply(change_set(edit, number=offset), offset)
    assert not update.warnings
    return engine.graph.work.reruns - before[0], engine.graph.work.items - before[1]


@pytest.fixture(scope="module")
def costs() -> tuple[dict[str, tuple[int, int]], ...]:
    families = [_family(size) for size in _SIZES]
    return tuple({name: _work(one, edit, at + 2) for at, (name, edit) in enumerate(_EDITS.items())} for one in families)


@pytest.mark.parametrize("edit", _EDITS)
def test_an_edit_costs_the_same_beside_any_number_of_siblings(
    edit: str, costs: tuple[dict[str, tuple[int, int]], ...]
) -> None:
    few, many = costs
    assert few[edit] == many[edit]


def test_a_parent_that_changes_runs_its_own_children() -> None:
    """Two or three queries each: nothing of them is asked twice."""
    reruns = []
    for size in (100, 200):
        engine = _family(size)
        edit = _root("many", _rule("/a", _ALL, timeouts={"request": "1s"}), generation=2)
        reruns.append(_work(engine, edit, 2)[0])
    assert 100 <= reruns[1] - reruns[0] <= 300
