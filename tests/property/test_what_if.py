"""What-if tells what really comes: the same differences, conditions and reach; and the engine that was asked stays."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.events import Change
from engine.history.what_if import state, tried, what_if
from tests.property.test_incremental import _BATCHES, _CHANGES, _SEALER, _SOURCES, _apply, _picture
from tests.support.manifests import change_set


def _kept(engine: Engine) -> tuple[Any, ...]:
    return engine.offset, dict(engine.state()), _picture(engine.everything())


@settings(max_examples=60)
@given(_CHANGES, _CHANGES, _BATCHES, _SOURCES, st.sampled_from(["files", "kubernetes"]))
def test_what_is_told_is_what_comes(
    changes: list[Change], more: list[Change], batches: list[int], source: str, then: str
) -> None:
    """Of a change set: on a fork, and then in earnest, of the same engine and of one built anew."""
    engine = Engine(_SEALER)
    at = number = 0
    while at < len(changes):
        size = batches[number % len(batches)]
        engine.apply(change_set(*changes[at : at + size], number=number, source=source), number)
        at, number = at + size, number + 1
    kept, before = _kept(engine), state(engine)
    said = change_set(*more, number=number, source=then)
    trial = tried(engine, said)
    told = what_if(trial.before, trial.after)
    assert _kept(engine) == kept
    other = _apply(changes, batches, source)
    update = other.apply(said, other.offset + 1)
    assert what_if(before, state(other)) == told
    assert trial.warnings == update.warnings
    engine.apply(said, engine.offset + 1)
    assert what_if(before, state(engine)) == told
    assert _picture(engine.everything()) == _picture(other.everything())
