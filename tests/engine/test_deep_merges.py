"""Blocks of several policies that count together: whose order it is that decides, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import Put
from engine.policies.acl import merge
from engine.ref import Ref
from engine.resolve.policy import Block, over
from engine.update import FragmentKind
from tests.support.manifests import API, delete, put
from tests.support.story import Story

_TIMES = tuple(f"2026-01-0{day}T00:00:00.000Z" for day in range(1, 5))


def _policy(name: str, created: str, target: tuple[str, str] = ("Gateway", "gw"), **acl: Any) -> Put:
    body = {
        "metadata": {"creationTimestamp": created},
        "spec": {"targetRefs": [{"group": API, "kind": target[0], "name": target[1]}], "acl": acl},
    }
    return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", name, body)


def _rule(name: str, action: str = "allow") -> dict[str, Any]:
    return {"name": name, "cidrs": ["10.0.0.0/8", f"192.168.{len(name)}.0/24"], "action": action}


_THREE = (
    _policy("c", _TIMES[0], defaultAction="deny", rules=[_rule("old", "deny")]),
    _policy("a", _TIMES[1], defaultAction="deny", rules=[_rule("middle"), _rule("other", "deny")]),
    _policy("b", _TIMES[2], defaultAction="allow", rules=[_rule("against")]),
)


def _policed(story: Story) -> dict[str, str]:
    """Without secrets: each story has a certificate of its own."""
    return {name: version for name, version in story.versions().items() if "/secret/" not in name}


@pytest.mark.parametrize("order", list(permutations(_THREE)))
def test_the_order_of_creation_decides_and_not_that_of_arrival(order: Sequence[Put]) -> None:
    one, other = Story(), Story()
    one.tell(*_THREE)
    for each in order:
        other.tell(each)
    assert _policed(one) == _policed(other)


def test_one_that_was_added_and_removed_leaves_nothing() -> None:
    story = Story(*_THREE[1:])
    before = story.versions()
    story.tell(_THREE[0])
    assert story.versions() != before
    story.tell(delete(_THREE[0]))
    assert story.versions() == before


def test_one_that_cannot_be_met_closes_though_another_can() -> None:
    story = Story(*_THREE)
    closed = b"penstock.dev/closed"
    found = story.one(FragmentKind.ROUTE_CONFIG)
    assert found is not None
    assert closed not in found.payload
    story.tell(_policy("d", _TIMES[3], defaultAction="deny", rules=[{"cidrs": ["nonsense"], "action": "deny"}]))
    found = story.one(FragmentKind.ROUTE_CONFIG)
    assert found is not None
    assert closed in found.payload


_RULES = st.lists(st.sampled_from([_rule(name, action) for name in ("a", "b") for action in ("allow", "deny")]), max_size=3)
_ANSWERS = st.fixed_dictionaries(
    {}, optional={"statusCode": st.just(404), "headers": st.lists(st.sampled_from([{"name": "x", "value": "1"}, {"name": "y", "value": "2"}]), min_size=1)}
)  # fmt: skip
_ACLS = st.fixed_dictionaries(
    {"defaultAction": st.just("deny")}, optional={"rules": _RULES, "denyResponse": _ANSWERS.filter(bool)}
)


@given(_ACLS, _ACLS, _ACLS)
def test_merging_is_associative(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    assert merge(merge(one, two) or {}, three) == merge(one, merge(two, three) or {})


@pytest.mark.parametrize(
    "other",
    [
        {"defaultAction": "allow"},
        {"defaultAction": "deny", "denyResponse": {"statusCode": 404}},
        {"defaultAction": "deny", "denyResponse": {"blockedByHeaderName": "y"}},
    ],
)
def test_what_contradicts_is_no_merge(other: dict[str, Any]) -> None:
    assert merge({"defaultAction": "deny", "denyResponse": {"statusCode": 403, "blockedByHeaderName": "x"}}, other) is None


_FIELDS = ("acl", "cors", "rbac")
_REFS = [Ref("local", "g", "TrafficPolicy", "n", name) for name in "abcde"]
_LEVELS = st.lists(
    st.dictionaries(st.sampled_from(_FIELDS), st.sampled_from(_REFS)).map(
        lambda one: tuple(Block(field, ref) for field, ref in sorted(one.items()))
    ),
    min_size=3, max_size=3,
)  # fmt: skip


@given(_LEVELS, st.sets(st.sampled_from(_FIELDS)))
def test_levels_can_be_put_together_in_any_grouping(levels: list[tuple[Block, ...]], deep: set[str]) -> None:
    low, middle, high = levels
    assert over(over(low, middle, deep), high, deep) == over(low, over(middle, high, deep), deep)
    joint = {one.field: one for one in reduce(lambda lower, higher: over(lower, higher, deep), levels)}
    for field, one in joint.items():
        there = [block.policy for level in reversed(levels) for block in level if block.field == field]
        wanted = tuple(dict.fromkeys(there)) if field in deep else (there[0],)
        assert tuple(part.policy for part in one.parts) == wanted
