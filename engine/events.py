"""What can happen: change sets, the records of the log; it does not know how they are stored or sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.ref import Ref
from engine.signature import Signature

Json = Mapping[str, Any]

SCHEMA = 1
"""Version of the change set schema; a record of a newer one stops its domain."""


@dataclass(frozen=True, slots=True)
class Put:
    """An object as its source now sees it: plain JSON without status and managedFields.

    `metadata.generation` and `metadata.creationTimestamp` are always there: stamped by the source when the
    manifest gave none. The values of a Secret's `data` are sealed (`engine.seal`).
    """

    ref: Ref
    object: Json


@dataclass(frozen=True, slots=True)
class Delete:
    """An object is gone.

    `was_read`: its source looked for it, and it is not there. Of a source that reads some kinds on request only, that
    is the answer to a request; without one an object may be there, not read yet, or not asked for any more.
    """

    ref: Ref
    was_read: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The source saw an object (or a file) that it could not accept; its last good state stays.

    `location` is what a person opens: a path with line, relative to the source's root. `ref` is the object that is not
    as its author wrote it there: None when it could not be identified, or stands elsewhere too and counts there.
    Replaces any earlier refusal of the same location.
    """

    location: str
    ref: Ref | None
    message: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """What was refused at this location is mended or gone."""

    location: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A proxy of `gateway` rejected a fragment: `objects` (ref, generation) are held at their last good revision.

    `fragment` is `str(FragmentKey)`, `version` the content hash that was rejected, `error` are Envoy's own
    words, `envoy` Envoy's version. It ends when the fragment's provenance or Envoy's version changes; a listener's also
    when it is bound to another `address`, which is no object's ("" where it was not noted).
    """

    gateway: Ref
    fragment: str
    version: str
    objects: tuple[tuple[Ref, int], ...]
    error: str
    envoy: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Lift:
    """A quarantine is lifted by hand or because Envoy changed; `fragment` as in `Quarantine`.

    With `envoy` only one that names that version: who lifts it may not have seen yet that the next one rejects the
    same. `reason` is a person's, who stands as the actor.
    """

    gateway: Ref
    fragment: str
    envoy: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has come at least to `ChangeSet.time`; carries nothing else."""


@dataclass(frozen=True, slots=True)
class SyncBegin:
    """The first listing of a cluster starts: its objects take effect only at `SyncEnd`."""


@dataclass(frozen=True, slots=True)
class SyncEnd:
    """The first listing of a cluster is complete."""


@dataclass(frozen=True, slots=True)
class EngineChanged:
    """From this offset on the fold is computed by another engine version."""

    version: str


@dataclass(frozen=True, slots=True)
class Pin:
    """Configuration is served as it was at offset `to`: all that a `gateway` reads, or the objects of its Overrides.

    `id` names it (no slash). `gateway` None: a rollback, of the Overrides that come with it and for all Gateways.
    It ends at `until` (RFC 3339, "" for never): of one that is `on_trial`, unless a Confirm came before. Another Pin
    of its Gateway takes its place. Only the source `CONTROL` can say it, as all that follow.
    """

    id: str
    gateway: Ref | None
    to: int
    reason: str
    until: str = ""
    on_trial: bool = False


@dataclass(frozen=True, slots=True)
class Override:
    """Within the change set of its Pin: an object as it was, and its last good revision before; None: it was absent."""

    pin: str
    ref: Ref
    object: Json | None
    previous: Json | None = None


@dataclass(frozen=True, slots=True)
class Confirm:
    """A Pin on trial stays until an Unpin."""

    pin: str


@dataclass(frozen=True, slots=True)
class Unpin:
    """A Pin ends: what is served is what the sources say now."""

    pin: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The API server of the source's own cluster has not answered since a time (RFC 3339); its objects stay."""

    since: str


@dataclass(frozen=True, slots=True)
class Reachable:
    """The API server of the source's own cluster answers again, and all that changed meanwhile was said."""


CONTROL = "control"
"""The source of what people say of the control plane itself."""
WATCHERS = frozenset({"files", "kubernetes"})
"""The sources that say what a cluster holds, of which each has one."""
ASKING = frozenset({"kubernetes"})
"""Those of them that read objects of some kinds only when the graph asks for them."""

Change = (
    Put | Delete | Refused | Admitted | Quarantine | Lift | Tick | SyncBegin | SyncEnd | EngineChanged
    | Pin | Override | Confirm | Unpin | Unreachable | Reachable
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """An atomic group of changes from one source of one cluster.

    `time` is RFC 3339 in UTC with milliseconds ("2026-11-24T14:03:00.000Z"), the source's clock when it saw the
    change. `actor` is the field manager, user or file that made it, "" where unknown. Large sets travel as parts
    (`part` of `parts`, counted from 0 and in this order, the same `id` and signer) and are applied when the last part
    has arrived.
    """

    domain: str
    cluster: str
    source: str
    id: str
    time: str
    actor: str
    changes: tuple[Change, ...]
    part: int = 0
    parts: int = 1
    signature: Signature | None = field(default=None, compare=False, repr=False)
    """Of the record that it stood in; of what is put together from parts, the last one's."""
