"""The fold read at another offset: what is folded without deriving derives the same later."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.events import Change, ChangeSet, Quarantine
from engine.fold import CHANGED
from tests.property.test_incremental import _BATCHES, _CHANGES, _SEALER, _SOURCES, _picture
from tests.support.manifests import change_set


@settings(max_examples=100)
@given(_CHANGES, _BATCHES, _SOURCES, st.sets(st.integers(0, 25)), st.randoms(use_true_random=False))
def test_what_is_folded_alone_derives_the_same_later(
    changes: list[Change], batches: list[int], source: str, rejected: set[int], random: Any
) -> None:
    """Proxies reject one thing or another meanwhile, which counts only while it is what is wanted."""
    kept, log = Engine(_SEALER), list[ChangeSet]()
    at = 0
    while at < len(changes):
        size = batches[len(log) % len(batches)]
        log.append(change_set(*changes[at : at + size], number=len(log), source=source))
        kept.apply(log[-1], len(log) - 1)
        at += size
        if len(log) in rejected and (found := sorted(kept.everything().fragments.set.items())):
            key, fragment = random.choice(found)
            said = Quarantine(fragment.key.gateway, key, fragment.version, fragment.provenance, "no", "1.40.0")
            log.append(change_set(said, number=len(log), source="publisher"))
            kept.apply(log[-1], len(log) - 1)
    folded = Engine(_SEALER)
    for offset, one in enumerate(log):
        folded.fold(one, offset)
    assert _picture(folded.everything()) == _picture(kept.everything())
    assert folded.state() == {key: row for key, row in kept.state().items() if not key.startswith(CHANGED)}
