"""What the fold keeps through syncs, quarantines and refused revisions."""

from __future__ import annotations

from typing import Any

import pytest

from engine.engine import Engine
from engine.events import Lift, Put, Quarantine, SyncBegin, SyncEnd
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKind
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service

_REFUSED = {"spec": {"nonsense": True}}


class _Story:
    """An engine that is told one change set after the other."""

    def __init__(self, *puts: Put) -> None:
        self.engine = Engine(Sealer(bytes(KEY_BYTES)))
        self.number = -1
        self.tell(gateway(), service(), endpoints(), *puts)

    def tell(self, *changes: Any) -> tuple[str, ...]:
        self.number += 1
        return self.engine.apply(change_set(*changes, number=self.number), self.number).warnings

    def routes(self) -> list[Fragment]:
        found = self.engine.everything().fragments.set.values()
        return [one for one in found if one.key.kind is FragmentKind.ROUTE]

    def reject(self, generation: int) -> Quarantine:
        one = self.routes()[0]
        ref = route("r").ref
        rejection = Quarantine(one.key.gateway, str(one.key), one.version, ((ref, generation),), "no such thing", "1")
        self.tell(rejection)
        return rejection

    def served(self) -> list[str]:
        rules = self.engine.everything().nodes.set[f"route/{route('r').ref}"]["rules"]
        return [match["path"]["value"] for rule in rules for match in rule["matches"]]

    def conditions(self) -> dict[str, dict[str, Any]]:
        status = self.engine.everything().statuses.set[str(route("r").ref)]["status"]
        return {one["type"]: one for one in status["parents"][0]["conditions"]}

    def reloaded(self) -> Engine:
        loaded = Engine(Sealer(bytes(KEY_BYTES)))
        loaded.load(self.engine.state().items())
        return loaded


def _moved(of: Put, namespace: str) -> Put:
    return Put(
        of.ref._replace(namespace=namespace),
        {**of.object, "metadata": {**of.object["metadata"], "namespace": namespace}},
    )


def test_two_routes_whose_envoy_names_agree_are_both_served() -> None:
    """Route a-b of namespace c and a of b-c have one Envoy name; deleting one leaves the other."""
    parents = [{"name": "gw", "namespace": "default"}]
    one = _moved(route("a-b", path="/x", parentRefs=parents), "c")
    other = _moved(route("a", path="/y", parentRefs=parents), "b-c")
    listener = {"name": "http", "port": 8080, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    story = _Story(gateway("gw", listener), one, other)
    assert len(story.routes()) == 2
    story.tell(delete(other))
    assert [found.provenance[0][0] for found in story.routes()] == [one.ref]


def test_a_rejected_revision_falls_back_and_says_so() -> None:
    """The last good revision serves, through a second bad one and a restart, and the condition names the reason."""
    story = _Story(route("r", path="/good"))
    for generation in (2, 3):
        story.tell(route("r", path=f"/bad{generation}", generation=generation))
        story.reject(generation)
        assert story.served() == ["/good"]
    condition = story.conditions()["PartiallyInvalid"]
    assert condition["status"] == "True"
    assert condition["message"].startswith("Fall Back")
    assert "no such thing" in condition["message"]
    assert story.reloaded().everything() == story.engine.everything()
    story.tell(route("r", path="/mended", generation=4))
    assert story.served() == ["/mended"]
    assert "PartiallyInvalid" not in story.conditions()


def test_a_quarantine_lifted_by_hand_serves_the_present_revision() -> None:
    """A Lift ends it though nothing else changed."""
    story = _Story(route("r", path="/good"), route("r", path="/new", generation=2))
    rejection = story.reject(2)
    assert story.served() == ["/good"]
    story.tell(Lift(rejection.gateway, rejection.fragment))
    assert story.served() == ["/new"]


def test_with_no_good_revision_the_share_is_refused() -> None:
    """Nothing to fall back to: the rule answers 500, and the route is not accepted."""
    story = _Story(route("r", path="/bad"))
    story.reject(1)
    assert story.served() == ["/bad"]
    assert story.conditions()["Accepted"]["reason"] == "Quarantined"


@pytest.mark.parametrize("before", [(), (route("r", path="/good"),)])
def test_a_revision_that_its_model_refused_is_never_fallen_back_to(before: tuple[Put, ...]) -> None:
    """Good, refused, bad: the good one serves; refused, bad: none does. Nothing fails on the way."""
    story = _Story(*before, put(API, "v1", "HTTPRoute", "r", _REFUSED, 2))
    assert story.tell(route("r", path="/bad", generation=3)) == ()
    story.reject(3)
    assert story.served() == (["/good"] if before else ["/bad"])


def test_a_second_listing_changes_nothing_until_it_ends() -> None:
    """A source that lists anew, and a restart in the middle of it, take nothing away."""
    story = _Story(route("r", path="/old"), route("gone", path="/gone"))
    before = story.engine.everything().fragments
    story.tell(SyncBegin())
    story.tell(route("r", path="/new", generation=2))
    story.tell(delete(route("gone")))
    assert story.engine.everything().fragments == before
    loaded = story.reloaded()
    assert loaded.everything() == story.engine.everything()
    loaded.apply(change_set(SyncEnd(), number=9), 9)
    story.tell(SyncEnd())
    assert story.served() == ["/new"]
    assert len(story.routes()) == 1
    assert loaded.everything().fragments == story.engine.everything().fragments
    assert not [key for key in story.engine.state() if key.startswith("pending/")]


def test_what_an_older_version_judged_is_judged_again() -> None:
    """A boot takes this version's own judgement from the state, and no other version's."""
    story = _Story(route("r", path="/good"))
    state = story.engine.state()
    key = f"resource/{route('r').ref}"
    trusted = {**state, key: {**state[key], "refusal": "said before"}}
    older = {**state, key: {**trusted[key], "judged": "0"}}
    for rows, refused in ((trusted, "said before"), (older, "")):
        loaded = Engine(Sealer(bytes(KEY_BYTES)))
        loaded.load(rows.items())
        resource = loaded.graph.resource(route("r").ref)
        assert resource is not None
        assert resource.refusal == refused


def test_what_is_folded_alone_is_shown_to_queries_once_and_only_when_they_are_asked() -> None:
    """Whoever reads a moment wants the rows first: to index each revision on the way took half of the time."""
    story = _Story(route("r"), route("other"))
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    shown: list[Any] = []
    put = engine.graph.put

    def counted(ref: Any, resource: Any) -> None:
        shown.append(ref)
        put(ref, resource)

    engine.graph.put = counted  # type: ignore[method-assign]
    engine.load(story.engine.state().items(), settle=False)
    for number in range(2, 6):
        one = route("r", path=f"/{number}", generation=number)
        engine.fold(change_set(one, number=10 + number), 10 + number)
        story.engine.apply(change_set(one, number=10 + number), 10 + number)
    assert not shown
    assert engine.everything().fragments == story.engine.everything().fragments
    assert sorted(shown) == sorted(ref for ref, _ in engine._fold.resources())
