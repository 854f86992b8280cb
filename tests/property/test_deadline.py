"""Of a deadline that has passed nothing is kept but what is still there to have it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.events import Change, Delete, Put, Tick
from engine.seal import KEY_BYTES, Sealer
from tests.property.test_incremental import _picture, histories
from tests.streams.certificate import secret
from tests.support.manifests import change_set, delete, gateway, route

_SEALER = Sealer(bytes(KEY_BYTES))
_START = datetime(2026, 11, 24, 10, tzinfo=UTC)
_CERTIFICATES = [secret(_SEALER, f"c{number % 2}", _START + timedelta(hours=1 + number)) for number in range(4)]
"""Two Secrets, each with two certificates, that expire at an hour of their own."""


def _at(hour: float) -> str:
    return (_START + timedelta(hours=hour)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _revised(of: Put, generation: int) -> Put:
    return replace(of, object={**of.object, "metadata": {**of.object["metadata"], "generation": generation}})


def _listener(name: str, *certificates: str, port: int = 8443) -> dict[str, Any]:
    refs = [{"name": one} for one in certificates]
    return {"name": name, "port": port, "protocol": "HTTPS", "tls": {"certificateRefs": refs}}


_HTTP = {"name": "http", "port": 8443, "protocol": "HTTP"}
_GATEWAYS = [
    (_listener("a", "c0"),),
    (_listener("a", "c0", "c1"),),
    (_HTTP, _listener("a", "c0"), _listener("b", "c1", port=9443)),  # The first is in conflict with the second.
    (_HTTP,),
]


def _client(generation: int) -> Put:
    """A Gateway that names itself to backends with a certificate."""
    found = gateway("gw", *_GATEWAYS[0], generation=generation)
    tls = {"backend": {"clientCertificateRef": {"name": "c1"}}}
    return Put(found.ref, {**found.object, "spec": {**found.object["spec"], "tls": tls}})


_CHANGES = st.one_of(
    st.builds(_client, st.integers(1, 2)),
    st.builds(_revised, st.sampled_from(_CERTIFICATES), st.integers(1, 3)),
    st.sampled_from([delete(one) for one in _CERTIFICATES[:2]]),
    st.builds(
        lambda name, listeners, generation: gateway(name, *listeners, generation=generation),
        st.sampled_from(["gw", "gw2"]),
        st.sampled_from(_GATEWAYS),
        st.integers(1, 2),
    ),
    st.sampled_from([delete(gateway("gw")), delete(gateway("gw2")), route("r")]),
)
_STEPS = st.lists(st.tuples(st.lists(_CHANGES, max_size=3), st.integers(0, 2)), max_size=12)
"""What changes, and how many hours pass then."""


def _told(steps: list[tuple[list[Change], int]]) -> tuple[Engine, str]:
    engine, hour = Engine(_SEALER), 0.5
    for number, (changes, hours) in enumerate(steps):
        engine.apply(replace(change_set(*changes, number=number), time=_at(hour)), number)
        hour += hours
    engine.apply(replace(change_set(Tick(), number=len(steps)), time=_at(hour)), len(steps))
    return engine, _at(hour)


def _size(engine: Engine) -> tuple[set[Any], set[Any], dict[Any, int]]:
    """All that the graph holds: facts, answers, counts."""
    graph = engine.graph
    return set(graph._facts), set(graph._cells), graph._counts


def _kept(engine: Engine) -> dict[str, Any]:
    """The fold state, less when a Gateway's own config changed last: that it did is not undone."""
    return {key: row for key, row in engine.state().items() if not key.startswith("changed/")}


@settings(max_examples=100, deadline=None)
@given(_STEPS)
def test_it_is_as_if_only_what_is_left_had_ever_been(steps: list[tuple[list[Change], int]]) -> None:
    engine, now = _told(steps)
    left = histories([change for changes, _ in steps for change in changes])
    scratch = Engine(_SEALER)
    whole = [one for history in left.values() for one in history]
    scratch.apply(replace(change_set(*whole, Tick()), time=now), 0)
    loaded = Engine(_SEALER)
    loaded.load(engine.state().items())
    for other in (scratch, loaded):
        assert _picture(other.everything()) == _picture(engine.everything())
        assert other.everything().wake_at == engine.everything().wake_at
        assert _size(other) == _size(engine)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(_CERTIFICATES), min_size=1, max_size=6))
def test_certificates_that_came_expired_and_went_leave_nothing(found: list[Put]) -> None:
    base: list[Change] = [gateway("gw", _listener("a", "c0", "c1")), route("r")]
    steps: list[tuple[list[Change], int]] = [(base, 0)]
    steps += [([_revised(one, generation)], 1) for generation, one in enumerate(found, 1)]
    steps += [([], 9), ([Delete(one) for one in {one.ref for one in found}], 0)]
    engine, _ = _told(steps)
    never, _ = _told([(base, 0), *(([], hours) for _, hours in steps[1:])])
    assert _picture(engine.everything()) == _picture(never.everything())
    assert _kept(engine) == _kept(never)
    assert _size(engine) == _size(never)


def test_a_client_certificate_that_expires_is_told_and_offered_no_more() -> None:
    engine = Engine(_SEALER)
    engine.apply(replace(change_set(_client(1), _CERTIFICATES[1]), time=_at(0)), 0)
    before = engine.everything()
    assert before.wake_at is not None
    after = engine.apply(replace(change_set(Tick(), number=1), time=before.wake_at), 1)
    assert any("/secret/" in key for key in before.fragments.set)
    assert [key for key in after.fragments.removed if "/secret/" in key]
    assert "expired at" in str(after.statuses.set)
