"""The incremental engine against an evaluator without memory, and against a query that reads behind its back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.derived import CALLED, ROOTS
from engine.engine import Engine, EngineSettings
from engine.events import Change, Put
from engine.graph.reader import Outputs, Reader, Resource
from engine.graph.scratch import Held, Scratch
from engine.models.admission import Refusal, admit
from engine.observed import GROUP as OBSERVED
from engine.outputs.channels import FRAGMENT, INFRA, LOOKUP, NODE, ON_REQUEST, STATUS
from engine.ref import Ref
from engine.resolve.certificate import SEALER
from engine.resolve.indexes import INDEXES
from engine.resolve.manifest import GATEWAY_API, absent_fact, asked_fact
from engine.resolve.settings import FACT
from tests.property.test_incremental import _BATCHES, _CHANGES, _SEALER, _SOURCES, _apply, answers, histories
from tests.support.manifests import CLUSTER, change_set, gateway, route

_FACTS = {FACT: EngineSettings(), SEALER: _SEALER}


def _remembered(changes: list[Change]) -> dict[Ref, Resource]:
    return {ref: _resource(history) for ref, history in histories(changes).items()}


def _resource(history: list[Put]) -> Resource:
    """The last revision, or of one that is refused the last good one of another generation before it."""
    last, good = history[-1], None
    for before, after in pairwise(history):
        if _generation(before) != _generation(after) and not _refusal(before):
            good = before.object
    refusal = _refusal(last)
    served = good if refusal else last.object
    created = last.object["metadata"]["creationTimestamp"]
    return Resource(
        served, _generation(last), created, refusal, None if refusal else good, None if served is not None else last.object
    )


def _refusal(put: Put) -> str:
    if put.ref.group == OBSERVED:
        return ""
    judged = admit(put.ref, put.object)
    return judged.message if isinstance(judged, Refusal) else ""


def _generation(put: Put) -> int:
    return int(put.object["metadata"]["generation"])


def _oracle(resources: dict[Ref, Resource], more: Mapping[str, Any] = {}) -> dict[str, dict[str, Any]]:
    """All outputs by running every query anew, until the counts that outputs hold up stand still."""
    held = Held({})
    while True:
        graph = Scratch(INDEXES, resources, {**_FACTS, **more}, held)
        outputs = [query(graph, ref) for ref in resources for query in ROOTS.get((ref.group, ref.kind), ())]
        outputs += [query(graph, key) for index, key in held.counts for query in CALLED.get(index, ())]
        counts = Counter(one for output in outputs for one in output.counts)
        found = Held(dict(counts), frozenset(one for output in outputs for one in output.claims))
        if found == held:
            items: dict[str, dict[str, Any]] = {FRAGMENT: {}, STATUS: {}, NODE: {}, INFRA: {}}
            for output in outputs:
                for channel, key, value in output.items:
                    if channel in items:
                        assert key not in items[channel], f"two outputs say {key}"
                        items[channel][key] = value
            secrets = sorted(str(one) for one in graph.seen if (one.group, one.kind) in ON_REQUEST)
            items[INFRA] |= {f"{LOOKUP}{one}": {"lookup": one} for one in secrets}
            return items
        held = found


def _kept(engine: Engine) -> dict[str, dict[str, Any]]:
    update = engine.everything()
    return {
        FRAGMENT: dict(update.fragments.set),
        STATUS: dict(update.statuses.set),
        NODE: dict(update.nodes.set),
        INFRA: dict(update.infra.set),
    }


def _without_offsets(picture: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The offsets of Programmed are history, not derived."""
    statuses = {key: {**value, "programmed": sorted(value["programmed"])} for key, value in picture[STATUS].items()}
    return {**picture, STATUS: statuses}


@settings(max_examples=100)
@given(_CHANGES, _BATCHES, _SOURCES)
def test_incremental_equals_the_evaluator_without_memory(
    changes: list[Change], batches: list[int], source: str
) -> None:
    """Byte for byte, provenance included, for any events in any batching."""
    kept = _kept(_apply(changes, batches, source))
    facts: dict[str, Any] = {absent_fact(one.ref): True for one in answers(changes)}
    facts |= {asked_fact(CLUSTER): True} if source == "kubernetes" else {}
    assert _without_offsets(kept) == _without_offsets(_oracle(_remembered(changes), facts))


_CLOCK = {"hour": 0}


def _leaky(graph: Reader, ref: Ref) -> Outputs:
    """Reads the route as it must, and the hour as it must not."""
    seen = graph.read(ref)
    return Outputs(((NODE, f"planted/{ref}", [seen is not None, _CLOCK["hour"]]),))


def test_a_planted_unrecorded_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same comparison fails once one of the engine's queries reads what the graph does not record."""
    kind = (GATEWAY_API, "HTTPRoute")
    monkeypatch.setitem(ROOTS, kind, (*ROOTS[kind], _leaky))
    changes: list[Change] = [gateway(), route("r")]
    engine = _apply(changes, [2])
    assert _without_offsets(_kept(engine)) == _without_offsets(_oracle(_remembered(changes)))
    _CLOCK["hour"] += 1
    engine.apply(change_set(route("other"), number=7), 7)
    changes.append(route("other"))
    assert _without_offsets(_kept(engine)) != _without_offsets(_oracle(_remembered(changes)))


@settings(max_examples=30)
@given(st.permutations([gateway(), gateway("gw1"), *(route(f"r{one}", path=f"/{one}") for one in range(4))]))
def test_the_order_of_unrelated_events_changes_nothing(puts: list[Put]) -> None:
    """Any order of the same objects gives the same outputs; the oracle sees them in one order always."""
    in_order = sorted(puts, key=lambda one: one.ref)
    assert _without_offsets(_kept(_apply([*puts], [1]))) == _without_offsets(_oracle(_remembered([*in_order])))
