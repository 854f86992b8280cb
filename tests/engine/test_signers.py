"""Who may sign for what: keys of the settings and of Cluster objects, their rotation, and what copies can do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from engine.engine import Engine, EngineSettings
from engine.events import Change, ChangeSet, Delete, EngineChanged, Lift, Pin, Put, Quarantine, Refused, Tick
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from engine.update import Update
from streams.signing import Signer
from streams.sources.manifests import read_text
from tests.support.manifests import gateway, service
from tests.support.signing import (
    HUB,
    TRUSTING,
    Signers,
    cluster_object,
    of,
    read,
    said,
    signer,
    without_signature,
    written,
)


class _Domain:
    """An engine, and those who sign in its domain; east's key is registered."""

    def __init__(self, settings: EngineSettings = TRUSTING) -> None:
        self.engine = Engine(Sealer(bytes(KEY_BYTES)), settings)
        self.by = Signers()
        self.log: list[ChangeSet] = []
        self.register("east", self.by.east.public)

    def register(self, name: str, *keys: str, generation: int = 1) -> Update:
        return self.tell(said(HUB, "kubernetes", cluster_object(name, *keys, generation=generation)), self.by.root)

    def tell(self, change_set: ChangeSet, by: Signer | None) -> Update:
        return self.take(read(written(change_set, by)))

    def take(self, change_set: ChangeSet) -> Update:
        self.log.append(change_set)
        return self.engine.apply(change_set, len(self.log) - 1)

    def has(self, one: Put) -> bool:
        return f"resource/{one.ref}" in self.engine.state()


_EAST = of("east", service())


def test_a_registered_cluster_counts_when_it_signs_and_is_refused_when_it_does_not() -> None:
    domain = _Domain()
    unsigned = domain.tell(said("east", "files", _EAST), None)
    assert unsigned.refusal.startswith("it says to be of source files of cluster east: not signed, but keys are registered")
    assert "PENSTOCK_SIGNING_KEY" in unsigned.refusal
    assert not domain.has(_EAST)
    assert not domain.tell(said("east", "files", _EAST), domain.by.east).refusal
    assert domain.has(_EAST)


def test_a_cluster_without_keys_need_not_sign() -> None:
    domain = _Domain()
    assert not domain.tell(said("north", "files", of("north", service())), None).refusal
    assert not domain.tell(said("north", "files", of("north", service("t"))), domain.by.stranger).refusal
    assert not [key for key in domain.engine.state() if key.startswith("signed/cluster/north")]


def test_without_trusted_keys_nothing_is_looked_at_or_noted() -> None:
    """Publickeys that whoever writes the log may write guard nothing."""
    domain = _Domain(replace(TRUSTING, trusted_keys=()))
    for by in (None, domain.by.stranger, domain.by.east):
        assert not domain.tell(said("east", "files", _EAST), by).refusal
    assert not domain.tell(said("east", "nobody", Tick()), None).refusal
    assert not [key for key in domain.engine.state() if key.startswith("signed/")]


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("control", Pin("p", None, 0, "why")),
        ("clock", Tick()),
        ("publisher", Quarantine(gateway().ref, "f", "v", (), "no", "1.40")),
        ("publisher", Lift(gateway().ref, "f")),
        ("control", Lift(gateway().ref, "f")),
        ("resolver", EngineChanged("1")),
        (None, Put(Ref(HUB, "", "Service", "default", "s"), service().object)),
    ],
)
def test_what_the_control_plane_says_itself_needs_a_trusted_key(source: str | None, change: Change) -> None:
    domain = _Domain()
    one = said(HUB if source is None else "", source or "kubernetes", change)
    for by in (None, domain.by.east, domain.by.stranger):
        assert domain.tell(one, by).refusal
    assert not domain.tell(one, domain.by.root).refusal


@pytest.mark.parametrize(
    ("source", "change", "words"),
    [
        ("kubernetes", Pin("p", None, 0, "why"), "cannot say pin: only control can"),
        ("kubernetes", Tick(), "cannot say tick: only clock can"),
        ("kubernetes", EngineChanged("1"), "cannot say engine_changed: only resolver can"),
        ("kubernetes", Lift(gateway().ref, "f"), "cannot say lift: only control or publisher can"),
        ("control", _EAST, "cannot say put: only a source of the cluster can"),
        ("clock", Delete(_EAST.ref), "cannot say delete: only a source of the cluster can"),
    ],
)
def test_a_good_signature_does_not_let_one_say_what_is_anothers(source: str, change: Change, words: str) -> None:
    domain = _Domain()
    assert words in domain.tell(said("east", source, change), domain.by.east).refusal


def test_the_root_may_sign_for_a_cluster_and_a_cluster_for_no_other() -> None:
    domain = _Domain()
    domain.register("west", domain.by.west.public)
    domain.tell(said("east", "files", _EAST), domain.by.east)
    assert "not registered for it" in domain.tell(said("east", "files", Delete(_EAST.ref)), domain.by.west).refusal
    assert domain.has(_EAST)
    assert not domain.tell(said("east", "files", Delete(_EAST.ref)), domain.by.root).refusal
    assert not domain.has(_EAST)


def test_a_key_is_rotated_without_a_record_refused() -> None:
    domain = _Domain()
    second = signer(9)
    domain.register("east", domain.by.east.public, second.public, generation=2)
    assert not domain.tell(said("east", "files", _EAST), domain.by.east).refusal
    assert not domain.tell(said("east", "files", _EAST), second).refusal
    old = written(said("east", "files", Delete(_EAST.ref)), domain.by.east)
    domain.register("east", second.public, generation=3)
    assert "which is not registered" in domain.take(read(old)).refusal
    assert not domain.tell(said("east", "files", of("east", service(generation=2))), second).refusal
    domain.register("east", generation=4)
    assert not domain.tell(said("east", "files", Delete(_EAST.ref)), None).refusal


def test_a_rollback_brings_no_old_key_back() -> None:
    from engine.events import Override  # noqa: PLC0415

    domain = _Domain()
    first, second = cluster_object("east", domain.by.east.public), signer(9)
    domain.register("east", second.public, generation=2)
    pin = said("", "control", Pin("p", None, 0, "why"), Override("p", first.ref, first.object))
    assert not domain.tell(pin, domain.by.root).refusal
    assert domain.tell(said("east", "files", _EAST), domain.by.east).refusal


def test_a_cluster_object_that_is_refused_leaves_the_keys_of_before() -> None:
    domain = _Domain()
    domain.register("east", "no key", generation=2)
    assert domain.tell(said("east", "files", _EAST), None).refusal
    assert not domain.tell(said("east", "files", _EAST), domain.by.east).refusal
    domain.register("west", "no key")
    assert domain.tell(said("west", "files", of("west", service())), None).refusal


@pytest.mark.parametrize(
    "keys", ["KEY", {"a": "KEY"}, [["KEY"]], [{"key": "KEY"}], [1], [None], 1, None, ["KEY", 1]], ids=repr
)
def test_keys_that_are_written_so_that_none_can_be_read_close_the_cluster(keys: object) -> None:
    domain = _Domain()
    made = cluster_object("west")
    wrong = replace(made, object={**made.object, "spec": {"publicKeys": keys}})
    assert not domain.tell(said(HUB, "files", wrong), domain.by.root).refusal
    west = said("west", "files", of("west", service()))
    assert "not signed, but keys are registered" in domain.tell(west, None).refusal
    assert domain.tell(west, domain.by.west).refusal
    assert not domain.tell(west, domain.by.root).refusal


def test_a_manifest_of_a_cluster_that_was_never_right_closes_it_by_its_keys() -> None:
    """Whatever else is wrong in it: what its author wrote enters the log as far as it guards."""
    domain = _Domain()
    spec = {"publicKeys": [domain.by.west.public], "regoin": "eu-west"}
    text = json.dumps({"apiVersion": "penstock.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": "west"}, "spec": spec})
    (refused,) = read_text(text, "west.json", HUB).refused
    assert refused.ref is not None
    assert refused.written is not None
    told = Put(refused.ref, refused.written), Refused(refused.location, refused.ref, refused.message)
    assert not domain.tell(said(HUB, "files", *told), domain.by.root).refusal
    west = said("west", "files", of("west", service()))
    assert domain.tell(west, None).refusal
    assert not domain.tell(west, domain.by.west).refusal


def test_a_cluster_object_that_is_refused_and_names_no_keys_closes_nothing() -> None:
    domain = _Domain()
    made = cluster_object("west")
    for spec in ({"regoin": "x"}, {"publicKeys": [], "regoin": "x"}, "text"):
        domain.tell(said(HUB, "files", replace(made, object={**made.object, "spec": spec})), domain.by.root)
        assert not domain.tell(said("west", "files", of("west", service())), None).refusal


def test_a_copy_of_an_old_record_does_nothing() -> None:
    domain = _Domain()
    old = read(written(said("east", "files", _EAST), domain.by.east))
    domain.take(old)
    domain.tell(said("east", "files", Delete(_EAST.ref)), domain.by.east)
    before = domain.engine.state()
    assert "a copy of what was said before" in domain.take(old).refusal
    assert domain.engine.state() == before


def test_a_changed_record_and_an_unreadable_signature_are_refused() -> None:
    domain = _Domain()
    good = written(said("east", "files", _EAST), domain.by.east)
    flipped = good._replace(value=(good.value or b"").replace(b'"port":80', b'"port":81'))
    assert "does not fit" in domain.take(read(flipped)).refusal
    for text in (b"", b"x" * (1 << 20), b"a b c", good.headers[-1][1] + b" "):
        headers = (*without_signature(good), ("signature", text))
        assert "cannot be read" in domain.take(read(good._replace(headers=headers))).refusal
    twice = (*good.headers, good.headers[-1])
    assert "cannot be read" in domain.take(read(good._replace(headers=twice))).refusal
    assert not domain.take(read(good)).refusal


def test_a_record_of_another_domain_or_of_no_cluster_is_refused() -> None:
    domain = _Domain()
    other = replace(said("east", "files", _EAST), domain="other")
    assert "of domain other" in domain.tell(other, domain.by.east).refusal
    for name in ("east/x", "east~files~1/x", "East", "-"):
        assert "is no name for a cluster" in domain.tell(said(name, "files", Tick()), None).refusal


def test_keys_of_the_settings_are_for_what_they_name() -> None:
    by = Signers()
    voices = ("broker", "clock", "control", "publisher", "resolver")
    keys = (*((one, by.root.public) for one in voices), (f"cluster/{HUB}", by.root.public))
    domain = _Domain(replace(TRUSTING, trusted_keys=(*keys, ("cluster/west", by.west.public), ("cluster/*", by.stranger.public))))
    assert not domain.tell(said("", "clock", Tick()), domain.by.root).refusal
    assert domain.tell(said("east", "files", _EAST), domain.by.root).refusal
    west, north = said("west", "files", of("west", service())), said("north", "files", of("north", service()))
    assert domain.tell(west, domain.by.stranger).refusal
    assert not domain.tell(west, domain.by.west).refusal
    assert domain.tell(north, None).refusal
    assert not domain.tell(north, domain.by.stranger).refusal
    assert domain.tell(said("", "clock", Tick()), None).refusal


def test_the_key_of_any_cluster_does_not_sign_for_the_one_that_names_the_keys() -> None:
    domain = _Domain(replace(TRUSTING, trusted_keys=(*TRUSTING.trusted_keys, ("cluster/*", Signers().west.public))))
    assert not domain.tell(said("north", "files", of("north", service())), domain.by.west).refusal
    own = cluster_object("east", domain.by.west.public, generation=2)
    assert "not registered for it" in domain.tell(said(HUB, "files", own), domain.by.west).refusal
    assert domain.tell(said("east", "files", _EAST), domain.by.west).refusal


def test_a_cluster_object_of_another_cluster_registers_nothing() -> None:
    domain = _Domain()
    forged = cluster_object("east", domain.by.west.public)
    domain.tell(said("north", "files", replace(forged, ref=forged.ref._replace(cluster="north"))), None)
    assert domain.tell(said("east", "files", _EAST), domain.by.west).refusal
    assert domain.tell(said(HUB, "files", forged), domain.by.east).refusal
    assert domain.tell(said(HUB, "files", forged), None).refusal


def test_a_replay_refuses_the_same() -> None:
    domain = _Domain()
    domain.tell(said("east", "files", _EAST), domain.by.east)
    domain.tell(said("east", "files", Delete(_EAST.ref)), None)
    domain.take(domain.log[1])
    replayed, folded = Engine(Sealer(bytes(KEY_BYTES)), TRUSTING), Engine(Sealer(bytes(KEY_BYTES)), TRUSTING)
    refused = [bool(replayed.apply(one, offset).refusal) for offset, one in enumerate(domain.log)]
    assert refused == [False, False, True, True]
    for offset, one in enumerate(domain.log):
        folded.fold(one, offset)
    assert replayed.state() == domain.engine.state()
    assert {key: row for key, row in folded.state().items() if not key.startswith("changed/")} == domain.engine.state()
