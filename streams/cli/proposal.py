"""What a person proposes: manifests and deletions as one change set, as the cluster's own source would say it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.engine import Engine
from engine.events import Change, ChangeSet, Delete
from engine.fold import ASKED, OVERRIDE, PIN, QUARANTINE, RESOURCE, SYNC
from engine.outputs.channels import ON_REQUEST
from engine.quarantine import concerned, holding, left_out
from engine.ref import Ref, parse_ref
from engine.seal import Sealer
from streams.cli.clusters import listed
from streams.cli.naming import wanted
from streams.cli.output import fail
from streams.clock import now
from streams.sources.given import read_given, said
from streams.sources.manifests import Found, MissingDirectory, Reading

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change set with where each object that it puts stands; `notes` say why something of it may not be seen."""

    change_set: ChangeSet
    reading: Reading
    put: Mapping[Ref, Found]
    deleted: tuple[Ref, ...]
    notes: tuple[str, ...]


def proposal(engine: Engine, sealer: Sealer, files: Sequence[str], delete: Sequence[str], cluster: str) -> Proposal:
    """What is proposed to an engine, of a cluster. What cannot be read, or is not there, ends the command."""
    state = engine.state()
    cluster = _cluster(state, cluster)
    try:
        reading = read_given(files, cluster, sys.stdin.buffer)
    except MissingDirectory as error:
        fail(str(error), 3)
    logged = {
        parse_ref(key.removeprefix(RESOURCE)): row["object"]
        for key, row in state.items()
        if key.startswith(f"{RESOURCE}{cluster}/")
    }
    gone = _deleted(logged, delete, cluster)
    if twice := sorted(set(gone) & reading.objects.keys()):
        where = reading.objects[twice[0]].location
        fail(f"{twice[0].kind} {twice[0].name} is to be deleted, and stands in {where}: leave one of the two out", 2)
    is_asked = f"{ASKED}{cluster}" in state
    time = now()
    changes, put = said(reading, logged, time, sealer, by_server=is_asked)
    removals = tuple(Delete(ref, was_read=is_asked and (ref.group, ref.kind) in ON_REQUEST) for ref in gone)
    source = "kubernetes" if is_asked else "files"
    every: tuple[Change, ...] = (*changes, *removals)
    change_set = ChangeSet("", cluster, source, "what-if", time, "what-if", every)
    return Proposal(change_set, reading, put, gone, tuple(_notes(state, cluster, {*put, *gone})))


def _cluster(state: State, wanted_: str) -> str:
    """Which cluster it is of: the one that is named, or the only one; of an empty log it is "local"."""
    if wanted_:
        return wanted_
    found = sorted({key.split("/")[1] for key in state if key.startswith((RESOURCE, SYNC))})
    if len(found) > 1:
        fail(f"the log has clusters {listed(found)}: name with --cluster the one that it is of", 2)
    return found[0] if found else "local"


def _deleted(logged: Mapping[Ref, Any], delete: Sequence[str], cluster: str) -> tuple[Ref, ...]:
    found: dict[Ref, None] = {}
    for text in delete:
        meant = wanted(text)
        refs = [ref for ref in logged if meant.takes(ref)]
        if not refs:
            fail(f"--delete {text}: {meant.absent(logged)} (cluster {cluster})", 1)
        if len(refs) > 1:
            namespaces = listed(sorted(ref.namespace for ref in refs))
            fail(f"--delete {text} is in namespaces {namespaces}: write KIND/NAMESPACE/NAME", 2)
        found[refs[0]] = None
    return tuple(sorted(found))


def _notes(state: State, cluster: str, refs: set[Ref]) -> Iterator[str]:
    """What stands between what is said and what is served."""
    if (state.get(SYNC + cluster) or {}).get("state") == "begun":
        yield f"cluster {cluster} is being listed for the first time: nothing that is said of it counts until that ends"
    for key, row in sorted(state.items()):
        if key.startswith(PIN) and row["gateway"] is not None:
            pin, gateway = key.removeprefix(PIN), _named(parse_ref(row["gateway"]))
            yield (
                f"{gateway} is pinned to offset {row['to']}: configuration that changes does not reach it before "
                f"`penstock unpin {pin}`"
            )
        elif key.startswith(OVERRIDE) and (ref := parse_ref(key.removeprefix(OVERRIDE).split("/", 1)[1])) in refs:
            pin = key.removeprefix(OVERRIDE).split("/", 1)[0]
            if (state.get(PIN + pin) or {}).get("gateway") is None:
                yield f"{_named(ref)} is rolled back: what is said of it is not served before `penstock unpin {pin}`"
        elif key.startswith(QUARANTINE):
            yield from _of_quarantine(row, refs)


def _of_quarantine(row: Mapping[str, Any], refs: set[Ref]) -> Iterator[str]:
    where = _named(parse_ref(row["gateway"]))
    host = left_out(dict(row))
    if host and any(parse_ref(text) in refs for text in concerned(dict(row))):
        yield f"virtual host {host} is left out at {where}, where requests to it get no route: this lifts that"
    for text in holding(dict(row)):
        if parse_ref(text) in refs:
            yield (
                f"{_named(parse_ref(text))} is in quarantine at {where}, where its last good revision is served: "
                "another one of it lifts that"
            )


def _named(ref: Ref) -> str:
    return f"{ref.kind} {ref.namespace}/{ref.name}" if ref.namespace else f"{ref.kind} {ref.name}"
