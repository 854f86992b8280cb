"""With pins, rollbacks and quarantines in the mix: incremental is scratch, replay is live, and the past is exactly as it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import VERSION, Engine
from engine.events import Change, ChangeSet, Confirm, Pin, Quarantine, Tick, Unpin
from engine.fold import CHANGED, OVERRIDE, PIN, RESOURCE
from engine.history.overrides import configuration, overrides
from engine.layers import is_configuration
from engine.ref import parse_ref
from engine.update import FragmentKind, Update
from tests.property.test_incremental import _CHANGES, _SEALER
from tests.support.manifests import TIME, change_set, delete, endpoints, gateway, route, service

_GATEWAYS = (gateway("gw").ref, gateway("gw1").ref)
_LATER = "2026-11-24T10:30:00.000Z"
_KINDS = ["put"] * 4 + ["pin", "rollback", "unpin", "confirm", "tick"]
_STEPS, _WITH_REJECTIONS = (
    st.lists(st.tuples(st.sampled_from(kinds), st.integers(0, 30)), max_size=12)
    for kinds in (_KINDS, [*_KINDS, *["reject", "rollback"] * 3])
)
_BASE = (gateway("gw"), gateway("gw1", {"name": "http", "port": 8081, "protocol": "HTTP"}), service(), endpoints())
_BOTH = [{"name": "gw"}, {"name": "gw1"}]


def _edited(edits: list[tuple[str, bool]]) -> list[Change]:
    """Few routes, often edited: what is rejected of them has earlier revisions."""
    made = [route(name, path=f"/{at}", generation=at + 2, parentRefs=_BOTH) for at, (name, _) in enumerate(edits)]
    return [*_BASE, *(delete(one) if gone else one for one, (_, gone) in zip(made, edits, strict=True))]


_OF_FEW = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([False] * 5 + [True])), max_size=40).map(_edited)


class _Live:
    """An engine, its log, and the state after each offset."""

    def __init__(self) -> None:
        self.engine = Engine(_SEALER)
        self.log: list[ChangeSet] = []
        self.states: list[dict[str, Any]] = []
        self.seen: dict[str, Any] = {}

    def tell(self, *changes: Change, source: str = "files", time: str = TIME) -> Update:
        said = change_set(*changes, number=len(self.log), source=source)
        self.log.append(ChangeSet(said.domain, said.cluster, said.source, said.id, time, said.actor, said.changes))
        update = self.engine.apply(self.log[-1], len(self.log) - 1)
        self.states.append(self.engine.state())
        self.seen.update(update.fragments.set)
        for key in update.fragments.removed:
            del self.seen[key]
        return update

    def past(self, which: str, number: int) -> None:
        """Serve a moment, of one gateway or of all."""
        at = number % len(self.states)
        of = _GATEWAYS[number % 2] if which == "pin" else None
        name = f"p{len(self.log)}"
        pin = Pin(name, of, at, "why", _LATER if number % 3 == 0 else "", on_trial=number % 3 == 0)
        then, now = configuration(self.states[at].items(), VERSION, of), configuration(self.engine.state().items(), VERSION)
        self.tell(pin, *overrides(name, then, now, lambda _: True), source="control")

    def reject(self, number: int) -> None:
        """Have proxies reject something that is served: of routes, if there are any."""
        served = sorted(self.engine.everything().fragments.set.items())
        wanted = [one for one in served if one[1].key.kind is FragmentKind.ROUTE] or served
        for key, one in wanted[number * 7 % len(wanted) :][:1] if wanted else []:
            said = Quarantine(one.key.gateway, key, one.version, one.provenance, "no", "1.40.0")
            self.tell(said, source="publisher")

    def pins(self) -> list[str]:
        return [key.removeprefix(PIN) for key in sorted(self.engine.state()) if key.startswith(PIN)]


def _played(changes: list[Change], steps: list[tuple[str, int]]) -> _Live:
    live, left = _Live(), list(changes)
    for step, number in [("put", 3), *steps, ("put", 99)]:
        if step == "put":
            told, left = left[: number % 8 + 1], left[number % 8 + 1 :]
            live.tell(*told)
        elif step in {"pin", "rollback"}:
            live.past(step, number)
        elif step == "reject":
            live.reject(number)
        elif step == "tick":
            live.tell(Tick(), source="resolver", time=_LATER if number > 20 else TIME)
        elif pins := live.pins():
            one = pins[number % len(pins)]
            live.tell(Unpin(one) if step == "unpin" else Confirm(one), source="control")
    return live


def _of(update: Update, gateway_: str) -> dict[str, Any]:
    return {key: one for key, one in update.fragments.set.items() if str(one.key.gateway) == gateway_}


@settings(max_examples=80)
@given(st.one_of(_CHANGES, _OF_FEW), _WITH_REJECTIONS)
def test_with_pins_and_quarantines_in_the_mix_all_ways_to_a_state_are_one(changes: list[Change], steps: list[tuple[str, int]]) -> None:
    live = _played(changes, steps)
    wanted = live.engine.everything()
    assert live.seen == wanted.fragments.set
    loaded = Engine(_SEALER)
    loaded.load(live.engine.state().items())
    assert loaded.everything() == wanted
    folded = Engine(_SEALER)
    for offset, one in enumerate(live.log):
        folded.fold(one, offset)
    assert folded.everything().fragments == wanted.fragments
    assert folded.everything().nodes == wanted.nodes
    assert folded.state() == {key: row for key, row in live.engine.state().items() if not key.startswith(CHANGED)}


@settings(max_examples=80)
@given(_CHANGES, _STEPS, st.integers(0, 30), st.lists(st.integers(0, 7), max_size=2))
def test_a_pinned_gateway_serves_the_configuration_of_then_with_what_lives_today(
    changes: list[Change], steps: list[tuple[str, int]], number: int, later: list[int]
) -> None:
    half = len(changes) // 2
    live = _played(changes[:half], steps)
    at, of = number % len(live.states), _GATEWAYS[number % 2]
    then = configuration(live.states[at].items(), VERSION, of)
    live.past("pin", number)
    left = changes[half:]
    for size in later:
        live.tell(*left[:size])
        left = left[size:]
    lives = {
        key: row
        for key, row in live.engine.state().items()
        if not key.startswith((PIN, OVERRIDE)) and not _is_configuration(key)
    }
    scratch = Engine(_SEALER)
    scratch.load([*lives.items(), *((f"{RESOURCE}{ref}", row) for ref, row in then.items())])
    assert _of(live.engine.everything(), str(of)) == _of(scratch.everything(), str(of))


@settings(max_examples=60)
@given(_CHANGES, _STEPS)
def test_pins_that_are_lifted_leave_what_never_pinned_is(changes: list[Change], steps: list[tuple[str, int]]) -> None:
    live = _played(changes, steps)
    live.tell(*(Unpin(one) for one in live.pins()), source="control")
    assert not any(key.startswith((PIN, OVERRIDE)) for key in live.engine.state())
    never = Engine(_SEALER)
    for offset, one in enumerate(live.log):
        if one.source != "control":
            never.fold(one, offset)
    left, wanted = live.engine.everything(), never.everything()
    assert (left.fragments, left.nodes, left.infra) == (wanted.fragments, wanted.nodes, wanted.infra)
    assert {key: one["status"] for key, one in left.statuses.set.items()} == {
        key: one["status"] for key, one in wanted.statuses.set.items()
    }


def _is_configuration(key: str) -> bool:
    return key.startswith(RESOURCE) and is_configuration(parse_ref(key.removeprefix(RESOURCE)))
