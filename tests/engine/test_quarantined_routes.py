"""A search of whose fault a route's rejection is, while its policy is held and the route goes on being edited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.events import Put, Quarantine
from engine.quarantine import held, suspected
from engine.update import Fragment, FragmentKind
from tests.support.manifests import API, put, route
from tests.support.story import KGATEWAY, Story

BAD, MENDED = "bad", "mended"
_STEPS = 8
"""In which every search here must have ended."""


def _policy(word: str, generation: int = 1) -> Put:
    """One of two routes."""
    targets = [{"group": API, "kind": "HTTPRoute", "name": name} for name in ("two", "other")]
    set_ = {"response": {"set": [{"name": "policy", "value": f"policy-{word}"}]}}
    return put(KGATEWAY, "v1alpha1", "TrafficPolicy", "p", {"spec": {"targetRefs": targets, "headerModifiers": set_}}, generation)


def _route(name: str, first: str, second: str, generation: int = 1) -> Put:
    """Of two rules, each with a word of its own."""
    return route(name, generation=generation, rules=[_rule(name, "first", first), _rule(name, "second", second)])


def _rule(name: str, place: str, word: str) -> dict[str, Any]:
    header = {"set": [{"name": "rule", "value": f"{place}-{word}"}]}
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}/{place}"}}],
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": header}],
        "backendRefs": [{"name": "s", "port": 80}],
    }


P, TWO = _policy("").ref, _route("two", "", "").ref


class _World(Story):
    """What has the word bad in it is rejected, of each table one piece: `first` where it is bad, in one record or two."""

    def __init__(self, first: str, *, together: bool) -> None:
        self._first = first
        self._together = together
        super().__init__(_route("two", "good", "good"), _route("other", "good", "good"), _policy("good"))

    def judge(self) -> None:
        """Until nothing is rejected that was not told before: the same piece is not judged twice."""
        told: dict[str, str] = {}
        for _ in range(_STEPS):
            now = self.versions()
            told = {key: one for key, one in told.items() if now.get(key) == one}
            verdicts = [one for one in self._verdicts() if one.fragment not in told]
            if not verdicts:
                break
            told |= {one.fragment: one.version for one in verdicts}
            for some in [verdicts] if self._together else [[one] for one in verdicts]:
                self.tell(*some)
        assert not list(self._bad()), "the search has ended before what is bad was found"

    def _verdicts(self) -> Iterator[Quarantine]:
        for table in ("listener~8080", "tls"):
            bad = [one for one in self._bad() if one.parent.startswith(table)]
            for one in sorted(bad, key=lambda each: (self._first not in each.key.name, each.key.name))[:1]:
                yield Quarantine(one.key.gateway, str(one.key), one.version, one.provenance, "no", "1.40.0")

    def _bad(self) -> Iterator[Fragment]:
        found = self.engine.everything().fragments.set.values()
        return (one for one in found if one.key.kind is FragmentKind.ROUTE and b"-bad" in one.payload)

    def held(self) -> set[str]:
        rows = [row for key, row in self.engine.state().items() if key.startswith("quarantine/")]
        return {one for row in rows for one in held(row)}

    def serves(self, word: str) -> int:
        """In how many pieces a word is served."""
        found = self.engine.everything().fragments.set.values()
        return sum(word.encode() in one.payload for one in found if one.key.kind is FragmentKind.ROUTE)


@pytest.fixture(params=[("other/0", True), ("two/0", True), ("two/1", False)])
def world(request: pytest.FixtureRequest) -> _World:
    first, together = request.param
    return _World(first, together=together)


@pytest.mark.parametrize("edit", [("good", "edited"), ("edited", "good")])
def test_an_edit_of_one_route_of_a_held_policy_is_served_and_the_policy_stays_held(
    world: _World, edit: tuple[str, str]
) -> None:
    world.tell(_policy(BAD, 2))
    world.judge()
    assert world.held() == {str(P)}
    world.tell(_route("two", *edit, 2))
    world.judge()
    assert world.held() == {str(P)}
    assert world.serves("edited") == 2, "in each of two tables"
    assert world.serves("policy-good") == 8, "of both routes"
    world.tell(_policy(MENDED, 3))
    world.judge()
    assert not world.quarantines()
    assert (world.serves("policy-mended"), world.serves("edited")) == (8, 2)


def test_a_policy_that_was_bad_before_another_rule_was_edited_is_found(world: _World) -> None:
    """Before the first verdict: the route changed last, and holding it makes no difference to the other rule."""
    world.tell(_policy(BAD, 2))
    world.tell(_route("two", "good", "edited", 2))
    world.judge()
    assert world.held() == {str(P)}
    assert (world.serves("second-edited"), world.serves("policy-good")) == (2, 8)


@pytest.mark.parametrize("is_policy_last", [False, True])
@pytest.mark.parametrize("is_policy_mended_first", [False, True])
def test_a_bad_route_of_a_bad_policy_is_held_beside_it_and_each_is_let_go_of_alone(
    world: _World, *, is_policy_last: bool, is_policy_mended_first: bool
) -> None:
    bad = [_route("two", "good", BAD, 2), _policy(BAD, 2)]
    for one in bad if is_policy_last else reversed(bad):
        world.tell(one)
    world.judge()
    assert world.held() == {str(P), str(TWO)}
    mended = [_policy(MENDED, 3), _route("two", MENDED, MENDED, 3)]
    first, second = mended if is_policy_mended_first else reversed(mended)
    world.tell(first)
    world.judge()
    assert world.held() == {str(second.ref)}
    assert world.serves("mended") == (8 if is_policy_mended_first else 4)
    world.tell(second)
    world.judge()
    assert not world.quarantines()
    assert (world.serves("policy-mended"), world.serves("first-mended")) == (8, 2)


def test_where_nothing_mends_a_rule_only_what_changed_last_is_held(world: _World) -> None:
    """It was bad in the revision before, too; a publisher that starts anew judges the same once more."""
    world.tell(_policy("good", 2))
    for generation, word in enumerate(("good", "edited"), start=2):
        world.tell(_route("two", BAD, word, generation))
    for _ in range(2):
        world.reject(FragmentKind.ROUTE, "two/0/0")
        assert world.held() == {str(TWO)}
        assert world.serves("first-bad") == 2


def test_of_three_each_is_held_alone_before_some_are_together() -> None:
    key = "local/gateway.networking.k8s.io/Gateway/default/gw/route/tls~*/HTTPRoute/default/two/0/0"
    changed = {f"local/{API}/HTTPRoute/default/{name}": at for at, name in enumerate(("one", "two", "three"))}
    row = {"fragment": key, "objects": [[one, 1] for one in sorted(changed)], "version": "first"}
    now, seen = suspected(row, None, changed.__getitem__), []
    for turn in range(6):
        seen.append([one.rpartition("/")[2] for one in held(now)])
        now = suspected({**row, "version": str(turn)}, now, changed.__getitem__)
    together = ["three", "two", "one"]
    assert seen == [["three"], ["two"], ["one"], together[:2], together, together]
