"""What Envoy rejects of the past that is served: it costs whom it was served to, and nobody else, now or after a boot."""

from __future__ import annotations

from dataclasses import replace

from engine.engine import Engine
from engine.events import Override, Pin, Put, Quarantine, Unpin
from engine.ref import Ref
from tests.engine.test_pins import World
from tests.support.manifests import delete, gateway, route
from tests.support.story import SEALER

BOTH = [{"name": "gw"}, {"name": "other"}]
A, B, C, D = (
    route("r", path=path, generation=number + 1, parentRefs=BOTH) for number, path in enumerate(("/a", "/b", "/c", "/d"))
)
PIN = Pin("p", gateway("gw").ref, 1, "it broke", "", on_trial=False)
ROLLBACK = Pin("p", None, 1, "it broke", "", on_trial=False)


def _reject(world: World, name: str, *of: Put) -> str:
    """Have a gateway's Envoy reject what it is served of the first of some routes; answers the fragment."""
    routes = (one for one in world.engine.everything().fragments.set.values() if one.key.kind.value == "route")
    one = next(one for one in routes if one.key.gateway.name == name and f"/{of[0].ref.name}/" in one.key.name)
    objects = tuple((one.ref, one.object["metadata"]["generation"]) for one in of)
    world.tell(Quarantine(one.key.gateway, str(one.key), one.version, objects, "no", "1.40"), source="publisher")
    return str(one.key)


def _unserved(world: World, name: str) -> bool:
    return not any("/cluster/" in key for key in world.of(name))


def _previous(world: World, ref: Ref) -> int | None:
    previous = world.engine.state()[f"resource/{ref}"]["previous"]
    return previous and previous["metadata"]["generation"]


def test_others_spend_no_last_good_revision_of_a_pinned_gateway() -> None:
    world = World(A)
    world.tell(B)
    world.control(PIN)
    _reject(world, "gw", B)
    _reject(world, "other", B)
    held = world.of("gw")
    _reject(world, "other", B)
    assert _unserved(world, "other"), "it has nothing left to fall back to"
    assert world.of("gw") == held


def test_a_pinned_gateway_spends_none_of_the_others() -> None:
    world = World(A)
    world.tell(B)
    world.control(PIN)
    _reject(world, "gw", B)
    _reject(world, "other", B)
    held = world.of("other")
    _reject(world, "gw", B)
    assert _unserved(world, "gw"), "it has nothing left to fall back to"
    assert world.of("other") == held
    world.control(Unpin("p"))
    assert world.of("gw"), "what is served now was rejected by nobody there"
    assert _previous(world, A.ref) == 1


def test_a_pinned_gateway_spends_what_its_pin_overrides() -> None:
    world = World(A)
    world.tell(B)
    world.tell(C)
    world.control(PIN, Override("p", B.ref, B.object, A.object))
    _reject(world, "gw", B)
    _reject(world, "gw", B)
    assert _unserved(world, "gw")
    assert _previous(world, C.ref) == 2
    _reject(world, "other", C)
    assert not _unserved(world, "other")


def test_a_pinned_gateway_goes_on_with_what_a_rollback_had_when_others_spend_it() -> None:
    world = World(A)
    world.tell(C)
    world.control(ROLLBACK, Override("p", B.ref, B.object, A.object))
    world.control(Pin("q", gateway("gw").ref, 1, "", "", on_trial=False))
    _reject(world, "gw", B)
    held = world.of("gw")
    _reject(world, "other", B)
    _reject(world, "other", B)
    assert _unserved(world, "other")
    assert world.of("gw") == held


def test_of_what_changed_with_a_pin_what_changed_last_there_pays_first() -> None:
    """Though another one was edited since, which the pinned gateway does not see."""
    one, two = route("one", path="/one", parentRefs=BOTH), route("two", path="/two", parentRefs=BOTH)
    world = World(one, two)
    world.control(PIN, Override("p", two.ref, route("two", path="/then", parentRefs=BOTH).object, two.object))
    world.tell(route("one", path="/later", generation=2, parentRefs=BOTH))
    guilty = _reject(world, "gw", one, two)
    row = world.engine.state()[f"quarantine/{guilty}"]
    assert (row["tried"], row["held"]) == ([str(two.ref)], [str(one.ref)]), "the other one made no difference"


def _rolled_back() -> World:
    world = World(A)
    world.tell(B)
    world.tell(C)
    world.control(ROLLBACK, Override("p", B.ref, B.object, A.object))
    return world


def test_an_edit_beneath_a_rollback_brings_back_nothing_that_was_rejected() -> None:
    world = _rolled_back()
    quarantine = f"quarantine/{_reject(world, 'gw', B)}"
    held = world.of("gw")
    for number in (4, 5):
        world.tell(route("r", path=f"/{number}", generation=number, parentRefs=BOTH))
        assert world.of("gw") == held
    world.tell(delete(D))
    assert world.of("gw") == held
    assert quarantine in world.engine.state()
    world.control(Unpin("p"))
    assert quarantine not in world.engine.state()


def test_what_is_rejected_of_a_rollback_says_nothing_of_what_is_beneath() -> None:
    """Generation 3 was served, and is what its successor falls back to: not 2, which was rejected."""
    world = _rolled_back()
    _reject(world, "gw", B)
    world.tell(D)
    assert _previous(world, D.ref) == 3
    world.control(Unpin("p"))
    _reject(world, "gw", D)
    never = World(C)
    assert world.of("gw") == never.of("gw")


def _rejected_before() -> World:
    """Generation 2 was rejected, and is what a rollback lies over."""
    world = World(A)
    world.tell(B)
    _reject(world, "gw", B)
    world.control(ROLLBACK, Override("p", A.ref, A.object))
    return world


def test_what_was_rejected_before_a_rollback_is_not_fallen_back_to_after_it() -> None:
    world = _rejected_before()
    labelled = {**B.object, "metadata": {**B.object["metadata"], "labels": {"of": "somebody"}}}
    world.tell(Put(B.ref, labelled))
    world.tell(C)
    assert _previous(world, C.ref) == 1
    world.tell(D)
    assert _previous(world, D.ref) == 3, "nobody rejected that"
    world = _rejected_before()
    world.tell(C)
    world.control(Unpin("p"))
    _reject(world, "gw", C)
    assert world.of("gw") == World(A).of("gw")


def test_a_boot_knows_what_was_rejected_before_a_rollback() -> None:
    world = _rejected_before()
    state = world.engine.state()
    world.engine = Engine(SEALER)
    world.engine.load(state.items())
    world.tell(C)
    assert _previous(world, C.ref) == 1


def test_what_was_rejected_is_not_forgotten_over_a_rollback_of_a_rollback() -> None:
    for first in ("p", "q"):
        world = _rejected_before()
        world.control(replace(ROLLBACK, id="q"), Override("q", A.ref, None))
        world.control(Unpin(first))
        world.tell(C)
        assert _previous(world, C.ref) == 1


def test_a_rollback_of_several_objects_forgets_of_none_that_it_was_rejected() -> None:
    """The first of them ends the quarantine, which names others."""
    world = World(A)
    world.tell(B)
    fragment = _reject(world, "gw", B, gateway("gw"))
    assert world.engine.state()[f"quarantine/{fragment}"]["held"] == [str(B.ref)]
    then = gateway("gw", {"name": "http", "port": 9090, "protocol": "HTTP"})
    world.control(ROLLBACK, Override("p", then.ref, then.object), Override("p", A.ref, A.object))
    world.tell(C)
    assert _previous(world, C.ref) == 1


def test_what_was_rejected_before_a_rollback_is_good_when_it_is_served_after_it() -> None:
    """It is tried once more."""
    world = _rejected_before()
    world.control(Unpin("p"))
    world.tell(C)
    assert _previous(world, C.ref) == 2


def test_an_object_that_comes_anew_beneath_a_rollback_is_not_the_one_that_was_rejected() -> None:
    world = _rejected_before()
    metadata = {**B.object["metadata"], "creationTimestamp": "2026-11-25T10:00:00Z"}
    world.tell(delete(B))
    world.tell(Put(B.ref, {**B.object, "metadata": metadata}))
    world.tell(C)
    assert _previous(world, C.ref) == 2


def test_a_gateway_that_is_gone_beneath_a_rollback_ends_its_quarantines_when_that_ends() -> None:
    """Another of its name is another one."""
    world = World(A)
    world.tell(B)
    world.control(ROLLBACK, Override("p", gateway("gw").ref, gateway("gw").object))
    quarantine = f"quarantine/{_reject(world, 'gw', B)}"
    world.tell(delete(gateway("gw")))
    assert quarantine in world.engine.state()
    world.control(Unpin("p"))
    assert quarantine not in world.engine.state()


def test_of_two_rollbacks_the_status_names_the_one_that_counts() -> None:
    for first, second in (("p", "q"), ("q", "p")):
        world = World(A)
        world.tell(C)
        world.control(Pin(first, None, 1, "the first", "", on_trial=False), Override(first, A.ref, A.object))
        world.control(Pin(second, None, 2, "the second", "", on_trial=False), Override(second, A.ref, B.object))
        assert f"the second. To end it: penstock unpin {second}" in world.says(A.ref)
        world.control(Unpin(second))
        assert f"the first. To end it: penstock unpin {first}" in world.says(A.ref)
