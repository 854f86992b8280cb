"""An object of an API server as it enters the log: its noise stripped, its secrets sealed, with who changed it last.

It must never let a Secret's value pass in clear, nor raise for what a cluster holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from engine.document import Document, document
from engine.models.admission import known
from engine.models.canonical import NotJson
from engine.models.kinds import BY_NAME
from engine.ref import Ref
from engine.seal import Sealer
from streams.kubernetes.cluster import Json, Target
from streams.sources.stamp import sealed, stamped

_NOISE: Final = (
    "control-plane.alpha.kubernetes.io/leader",  # leader election by ConfigMap writes it every two seconds
    "endpoints.kubernetes.io/last-change-trigger-time",
)
"""Annotations that change by themselves and say nothing."""
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of an object: None is that it is not there. `problem` says why it cannot enter the log.

    `left_out` are the paths of its fields that are not known here.
    `manager` and `time` (RFC 3339) are who wrote it last, "" where unknown: nobody says who deleted something.
    """

    object: Document | None = None
    manager: str = ""
    time: str = ""
    problem: str = ""
    left_out: tuple[str, ...] = ()
    version: str = field(default="", compare=False)
    """Its resourceVersion."""


def observe(target: Target, cluster: str, object_: Json, sealer: Sealer) -> tuple[Ref, Observed]:
    """An object that a list or a watch of `target` showed. Items of a list may lack apiVersion and kind."""
    metadata: Any = object_.get("metadata") or {}
    ref = Ref(cluster, target.group, target.kind, metadata.get("namespace") or "", str(metadata.get("name") or ""))
    manager, time = author(object_)
    whole = {**object_, "apiVersion": target.api_version, "kind": target.kind, "metadata": _quiet(metadata)}
    try:
        text, left_out = known(ref, whole)
    except NotJson as error:
        return ref, Observed(None, manager, time, str(error))
    is_secret = (ref.group, ref.kind) == ("", "Secret")
    kept = document(sealed(orjson.loads(text), sealer)) if is_secret else Document(text)
    paths, revision = tuple(one.path for one in left_out), str(metadata.get("resourceVersion") or "")
    return ref, Observed(kept, manager, time, left_out=paths, version=revision)


def entering(ref: Ref, seen: Document, old: Document | None, sealer: Sealer) -> Document:
    """The object as it is appended: with a generation, which an API server gives to some kinds only."""
    metadata = seen["metadata"]
    if "generation" in metadata:
        return seen
    return document(stamped(ref, seen, old, str(metadata.get("creationTimestamp") or ""), sealer))


def author(object_: Json) -> tuple[str, str]:
    """(field manager, time) of the last write to what we read of an object; ("", "") when nobody is named.

    Of writes in one second the last listed counts. Who wrote a status that is not read made no change.
    """
    metadata: Any = object_.get("metadata") or {}
    entries = metadata.get("managedFields")
    latest = ("", "")
    for one in entries if isinstance(entries, list) else ():
        if isinstance(one, Mapping) and (not one.get("subresource") or _reads_status(object_)):
            time = str(one.get("time") or "")
            if time >= latest[1]:
                latest = (str(one.get("manager") or ""), time)
    return latest


def actor(seen: Iterable[Observed]) -> str:
    """The actor of changes: each manager with the time of its last write, as far as they are few."""
    times: dict[str, str] = {}
    for one in seen:
        if one.manager:
            times[one.manager] = max(times.get(one.manager, ""), one.time)
    names = [f"{manager} at {time}" if time else manager for manager, time in sorted(times.items())]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _reads_status(object_: Json) -> bool:
    group = str(object_.get("apiVersion") or "v1").rpartition("/")[0]
    kind = BY_NAME.get((group, str(object_.get("kind") or "")))
    return kind is not None and bool(kind.status_read)


def _quiet(metadata: Json) -> Json:
    annotations = metadata.get("annotations")
    if not isinstance(annotations, Mapping) or not any(name in annotations for name in _NOISE):
        return metadata
    kept = {name: value for name, value in annotations.items() if name not in _NOISE}
    return {**{key: value for key, value in metadata.items() if key != "annotations"}, **_given("annotations", kept)}


def _given(key: str, value: Json) -> Json:
    return {key: value} if value else {}
