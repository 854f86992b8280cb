"""No record that is signed by west, by a stranger or by nobody changes anything of east, whatever it claims."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.events import (
    Admitted,
    Change,
    ChangeSet,
    Confirm,
    Delete,
    EngineChanged,
    Lift,
    Override,
    Pin,
    Put,
    Quarantine,
    Reachable,
    Refused,
    SyncBegin,
    SyncEnd,
    Tick,
    Unpin,
    Unreachable,
)
from engine.fold import CLOCK
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from engine.voices import VOICES
from streams.ports import Outgoing
from tests.support.manifests import endpoints, gateway, route, service
from tests.support.signing import (
    HUB,
    TRUSTING,
    Signers,
    cluster_object,
    of,
    read,
    said,
    without_signature,
    written,
)

_WORLD = (gateway("gw"), route("r"), service(), endpoints())
_CLUSTERS = st.sampled_from(["east", "east", "west", HUB, "north", "", "east/gateway.networking.k8s.io", "east~files~1/x"])
_SOURCES = st.sampled_from(["files", "kubernetes", "files~1", "x", *sorted(VOICES)])
_REFS = st.builds(
    lambda cluster, one: one.ref._replace(cluster=cluster), st.sampled_from(["east", "west", HUB]), st.sampled_from(_WORLD)
)
_OBJECTS = st.sampled_from([one.object for one in (*_WORLD, service(generation=2), route("r", "other", generation=2))])
_OF_CLUSTERS = {"resource", "refused", "sync", "pending", "absent", "asked", "stale", "changed", "part"}
"""Rooms of the fold whose rows are of a cluster, which their keys begin with."""
_NAMES = st.sampled_from(["p", "q"])
_LOCATIONS = st.sampled_from(["a.yaml:1", "b.yaml:2"])


class _World:
    """Hub, east and west as their own sources said them; east has a refusal, a pin and a quarantine."""

    def __init__(self) -> None:
        self.engine = Engine(Sealer(bytes(KEY_BYTES)), TRUSTING)
        self.by = by = Signers()
        self.offset = -1
        self.records: list[Outgoing] = []
        keys = cluster_object("east", by.east.public), cluster_object("west", by.west.public)
        self._tell(said(HUB, "files", *keys), by.root)
        for name, signer in (("east", by.east), ("west", by.west)):
            self._tell(said(name, "files", *(of(name, one) for one in _WORLD), Refused("a.yaml:1", None, "tab")), signer)
        found = self.engine.everything().fragments.set
        guilty = next(one for one in found.values() if one.key.kind is FragmentKind.ROUTE and one.key.gateway.cluster == "east")
        self.fragment = str(guilty.key)
        self._tell(said("", "control", Pin("p", None, 1, "why", "2027-01-01T00:00:00.000Z", on_trial=True)), by.root)
        held = Quarantine(guilty.key.gateway, self.fragment, guilty.version, guilty.provenance, "no", "1.40")
        self._tell(said("east", "publisher", held), by.root)
        # The start of a change set of east's: nobody else brings its end.
        start = replace(said("east", "files", Delete(of("east", _WORLD[1]).ref), name="half"), part=0, parts=2)
        self._tell(start, by.east)

    def _tell(self, change_set: ChangeSet, by: Any) -> None:
        record = by.signed(_record(change_set))
        assert not self.take(record).refusal
        self.records.append(record)

    def take(self, record: Outgoing) -> Any:
        self.offset += 1
        return self.engine.apply(read(record, self.offset), self.offset)

    def east(self) -> dict[str, Any]:
        """All that is east's in the fold and in the outputs, and what is nobody's: pins, time and engine."""
        everything = self.engine.everything()
        found = {key: row for key, row in everything.state.set.items() if not _is_of_others(key)}
        clock = found.pop(CLOCK)
        outputs = (everything.fragments, everything.statuses, everything.infra)
        there = {f"{n}{key}": one for n, delta in enumerate(outputs) for key, one in delta.set.items() if key.startswith("east/")}
        return {**found, **there, "tick": clock["tick"]}


def _record(change_set: ChangeSet) -> Outgoing:
    """One part of several, too, as its source writes it."""
    whole = written(replace(change_set, part=0, parts=1), None)
    parts = b'"part":%d,"parts":%d' % (change_set.part, change_set.parts)
    return whole._replace(value=(whole.value or b"").replace(b'"part":0,"parts":1', parts))


def _is_of_others(key: str) -> bool:
    """Rows of clusters that are neither east nor hub: whoever is not registered is believed, by whatever name."""
    room, _, rest = key.partition("/")
    if room == "signed":
        return rest.startswith("cluster/west/")
    return room in _OF_CLUSTERS and re.split("[/~]", rest)[0] not in {"east", HUB}


def _changes(fragment: str) -> st.SearchStrategy[Change]:
    gateways = _REFS.map(lambda ref: ref._replace(group="gateway.networking.k8s.io", kind="Gateway", name="gw"))
    clusters = st.builds(
        lambda name, key: cluster_object(name, key, generation=9), st.sampled_from(["east", "west"]), st.just(Signers().west.public)
    )
    return st.one_of(
        st.builds(Put, _REFS, _OBJECTS),
        clusters,
        st.builds(Delete, _REFS, st.booleans()),
        st.just(Delete(Ref(HUB, "penstock.dev", "Cluster", "", "east"))),
        st.builds(Refused, _LOCATIONS, st.none() | _REFS, st.just("forged")),
        st.builds(Admitted, _LOCATIONS),
        st.builds(SyncBegin),
        st.builds(SyncEnd),
        st.builds(Tick),
        st.builds(Unreachable, st.just("2026-11-24T09:00:00.000Z")),
        st.builds(Reachable),
        st.builds(EngineChanged, st.just("0")),
        st.builds(lambda gw, refs: Quarantine(gw, fragment, "v", refs, "forged", "1"), gateways, st.just(())),
        st.builds(lambda gw: Lift(gw, fragment), gateways),
        st.builds(Pin, _NAMES, st.none() | gateways, st.integers(0, 3), st.just("forged")),
        st.builds(Override, _NAMES, _REFS, st.none() | _OBJECTS),
        st.builds(Confirm, _NAMES),
        st.builds(Unpin, _NAMES),
    )


@st.composite
def _forged(draw: st.DrawFn, world: _World) -> Outgoing:
    changes = draw(st.lists(_changes(world.fragment), max_size=3))
    part, parts = draw(st.sampled_from([(0, 1), (0, 1), (1, 2), (0, 2)]))
    name = draw(st.sampled_from(["half", "1", "half/x"]))
    claimed = replace(said(draw(_CLUSTERS), draw(_SOURCES), *changes, name=name), part=part, parts=parts)
    record, by = _record(claimed), world.by
    match draw(st.sampled_from(["unsigned", "west", "stranger", "flipped", "moved", "garbage", "copy"])):
        case "west":
            return by.west.signed(record)
        case "stranger":
            return by.stranger.signed(record)
        case "flipped":
            signed = draw(st.sampled_from(world.records))
            at = draw(st.integers(0, len(signed.value or b"") - 1))
            value = bytearray(signed.value or b"")
            value[at] ^= 1
            return signed._replace(value=bytes(value))
        case "moved":
            return record._replace(headers=draw(st.sampled_from(world.records)).headers)
        case "garbage":
            return record._replace(headers=(*without_signature(record), ("signature", draw(st.binary(max_size=200)))))
        case "copy":
            return draw(st.sampled_from(world.records))
    return record


@settings(max_examples=30)
@given(st.data())
def test_nobody_else_changes_anything_of_east(data: st.DataObject) -> None:
    from engine.changes import Garbage  # noqa: PLC0415
    from streams.codec import NewerSchema  # noqa: PLC0415

    world = _World()
    before = world.east()
    for _ in range(data.draw(st.integers(1, 6))):
        record = data.draw(_forged(world))
        whole = world.engine.state()
        try:
            update = world.take(record)
        except (Garbage, NewerSchema):
            continue
        if update.refusal:
            assert world.engine.state() == whole
            assert not (update.fragments or update.statuses or update.infra or update.state)
        assert world.east() == before


def test_east_itself_and_the_control_plane_change_it() -> None:
    """What the property compares is alive."""
    world = _World()
    before = world.east()
    assert not world.take(world.by.east.signed(_record(said("east", "files", of("east", service(generation=2)))))).refusal
    after = world.east()
    assert after != before
    assert not world.take(world.by.root.signed(_record(said("", "control", Unpin("p"))))).refusal
    assert world.east() != after
