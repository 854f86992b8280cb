"""transformation of several policies that count together: whose headers, and who makes whom wait for a body."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.envoy.typed import unpacked
from engine.policies.transformation import merge
from tests.engine.test_joined_policies import _DEEP, _policy, _route, _whose
from tests.support.story import Story


def test_transformations_of_several_policies_are_one() -> None:
    def made(value: str) -> dict[str, Any]:
        return {"request": {"set": [{"name": "x-at", "value": value}], "add": [{"name": "x-all", "value": value}]}}

    policies = [_policy(one, "HTTPRoute/r", at, transformation=made(one)) for at, one in enumerate(("first", "second"))]
    story = Story(*policies, settings=_DEEP)
    shown = str(unpacked(_route(story).typed_per_filter_config["transformation/headers"]).to_dict())
    assert shown.count("'x-at'") == 1
    assert shown.count("'x-all'") == 2  # noqa: PLR2004
    assert shown.index("first") < shown.index("second")
    assert _whose(_route(story)) == {"transformation": ["first", "second"]}


def test_one_that_reads_bodies_otherwise_is_left_out_and_told() -> None:
    first = _policy("first", "HTTPRoute/r", 0, transformation={"request": {"body": {"value": "{{ body() }}!"}}})
    other = _policy("other", "HTTPRoute/r", 1, transformation={"request": {"body": {"parseAs": "AsJson"}}})
    story = Story(first, other, settings=_DEEP)
    assert _whose(_route(story)) == {"transformation": ["first"]}
    assert "overridden" in story.says(other).lower()
    assert merge({"response": {"set": [{"name": "x", "value": "{{ body() }}"}]}}, {"response": {"body": {"parseAs": "None"}}}) is None


_ROWS = st.lists(
    st.sampled_from([{"name": name, "value": value} for name in ("x", "Y", "host", ":authority") for value in ("1", "2")]),
    max_size=3, unique_by=lambda one: one["name"],
)  # fmt: skip
_METADATA = st.lists(
    st.sampled_from([{"namespace": "n", "key": key, "value": {"stringValue": key}} for key in ("a", "b")]), max_size=2
)
_SIDES = st.fixed_dictionaries(
    {},
    optional={
        "set": _ROWS,
        "add": _ROWS,
        "remove": st.lists(st.sampled_from(["x", "X", "y"]), max_size=2),
        "body": st.sampled_from([{}, {"parseAs": "AsJson"}, {"parseAs": "AsJson", "value": "1"}, {"parseAs": "AsJson", "value": "2"}]),
        "dynamicMetadata": _METADATA,
    },
)
_TRANSFORMATIONS = st.fixed_dictionaries({}, optional={"request": _SIDES, "response": _SIDES})


@given(_TRANSFORMATIONS, _TRANSFORMATIONS, _TRANSFORMATIONS)
def test_merging_transformations_is_associative(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    """Where none contradicts another."""
    both, others = merge(one, two), merge(two, three)
    assume(both is not None)
    assume(others is not None)
    assume(merge(one, three) is not None)
    assert merge(both, three) == merge(one, others)


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize(
    "first",
    [{"remove": ["x-admin"]}, {"set": [{"name": "x-user", "value": "trusted"}]}, {"add": [{"name": "x-user", "value": "{{ header('x') }}"}]}],
)  # fmt: skip
def test_a_lesser_policy_cannot_make_a_preferred_one_wait_for_json(side: str, first: dict[str, Any]) -> None:
    """Where the body is none, nothing is transformed: that is for who wants JSON to say, and for those behind it."""
    lesser = {side: {"body": {"parseAs": "AsJson"}}}
    assert merge({side: first}, lesser) is None
    assert merge(lesser, {side: first}) == {side: {**lesser[side], **first}}
    other = "response" if side == "request" else "request"
    assert merge({other: first, side: {}}, lesser) == {other: first, **lesser}


def test_of_one_header_the_first_policys_counts_and_no_other_takes_it_away_or_adds_to_what_it_sets() -> None:
    first = {"request": {"set": [{"name": "X", "value": "1"}, {"name": "host", "value": "h"}], "add": [{"name": "y", "value": "1"}]}}
    other = {"request": {"set": [{"name": "x", "value": "2"}, {"name": ":authority", "value": "a"}, {"name": "z", "value": "2"}],
                         "add": [{"name": "Y", "value": "2"}, {"name": "x", "value": "3"}, {"name": "z", "value": "3"}],
                         "remove": ["x", "y", "w"]}}  # fmt: skip
    assert merge(first, other) == {
        "request": {
            "set": [*first["request"]["set"], {"name": "z", "value": "2"}],
            "add": [{"name": "y", "value": "1"}, {"name": "Y", "value": "2"}, {"name": "z", "value": "3"}],
            "remove": ["w"],
        }
    }
