"""`penstock quarantine` names the revision that is held, which a rollback or a pin has, and the one that runs instead."""

from __future__ import annotations

import pytest

from engine.events import Change, Override, Pin, Quarantine
from streams.cli.commands import quarantine
from tests.engine.test_pins import World
from tests.support.manifests import delete, gateway, route

_FIRST, _SECOND, _THIRD = (route("r", path=f"/{one}", generation=one) for one in (1, 2, 3))


def _held(later: tuple[Change, ...] = (), control: tuple[Change, ...] = ()) -> list[tuple[object, ...]]:
    """What is told of the second generation, rejected while another one is written, or none."""
    world = World(_FIRST)
    world.tell(_SECOND)
    if later:
        world.tell(*later)
        world.control(*control)
    (guilty,) = (one for one in world.engine.everything().fragments.set.values() if one.key.kind.value == "route")
    objects = ((_SECOND.ref, 2), (gateway().ref, 1))
    said = Quarantine(guilty.key.gateway, str(guilty.key), guilty.version, objects, "no", "1.40")
    world.tell(said, source="publisher")
    state = world.engine.state()
    row = state[f"quarantine/{guilty.key}"]
    told = quarantine._told(row, quarantine._revisions([row], state), {})
    return [(one["held"], one["rejected"], one["runs"], one["offset"], one["actor"]) for one in told["objects"]]


def test_of_what_is_written() -> None:
    assert _held() == [(True, 2, 1, 2, "anna"), (False, 1, 1, 0, "anna")]


@pytest.mark.parametrize("of", [None, gateway().ref])
def test_of_what_the_past_has(of: object) -> None:
    pin = Pin("p", of, 2, "it broke", "", on_trial=False)  # type: ignore[arg-type]
    had = Override("p", _SECOND.ref, _SECOND.object, _FIRST.object)
    assert _held((_THIRD,), (pin, had)) == [(True, 2, 1, 4, "anna"), (False, 1, 1, 0, "anna")]


def test_of_what_is_written_no_more() -> None:
    """The source lacks it, and a rollback brought it back: a first revision, so that nothing of it runs."""
    pin = Pin("p", None, 2, "it broke", "", on_trial=False)
    back = Override("p", _SECOND.ref, _SECOND.object)
    assert _held((delete(_SECOND),), (pin, back)) == [(True, 2, None, 4, "anna"), (False, 1, 1, 0, "anna")]
