"""ServiceExports: what clusters let all others use, and what of it counts where they disagree (KEP-1645)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.indexes import EXPORTS
from engine.resolve.manifest import created, items, mapping, object_of, revision, spec_of
from engine.resolve.values import Problem


class Shared(NamedTuple):
    """Key of an import: a namespace and name mean one thing in all clusters of a domain (namespace sameness)."""

    namespace: str
    name: str


class ExportedPort(NamedTuple):
    """A port of a Service that is exported."""

    name: str
    port: int
    protocol: str
    app_protocol: str


class Reason(StrEnum):
    """Reasons of the condition Conflict (ServiceExportConditionReason of v1beta1), in its order."""

    PORT = "PortConflict"
    TYPE = "TypeConflict"
    AFFINITY = "SessionAffinityConflict"
    AFFINITY_CONFIG = "SessionAffinityConfigConflict"
    ANNOTATIONS = "AnnotationsConflict"
    LABELS = "LabelsConflict"
    INTERNAL = "InternalTrafficPolicyConflict"
    DISTRIBUTION = "TrafficDistributionConflict"


@dataclass(frozen=True, slots=True)
class Export:
    """A Service as its cluster exports it. `said` has what an import has one of only, as text, by its conflict."""

    export: Ref
    service: Ref
    created: str
    ports: tuple[ExportedPort, ...]
    said: tuple[tuple[Reason, str], ...]

    @property
    def cluster(self) -> str:
        """Whose it is."""
        return self.export.cluster


def exported(graph: Reader, ref: Ref) -> Export | Problem:
    """What a ServiceExport exports, or why it exports nothing."""
    service = Ref(ref.cluster, "", "Service", ref.namespace, ref.name)
    return _exported((ref, object_of(graph, ref)), (service, object_of(graph, service)))


def _exported(export: tuple[Ref, Json | None], service: tuple[Ref, Json | None]) -> Export | Problem:
    """Of the two objects."""
    (ref, object_), (of, found) = export, service
    name = f"Service {ref.namespace}/{ref.name}"
    if found is None:
        return Problem("NoService", f"{name} does not exist in cluster {ref.cluster}")
    spec = spec_of(found)
    if spec.get("type") == "ExternalName":
        return Problem("InvalidServiceType", f"{name} is of type ExternalName, which cannot be exported")
    ports = tuple(sorted(port_of(one) for one in items(spec.get("ports"))))
    return Export(ref, of, created(object_), ports, tuple(_said(spec, spec_of(object_))))


def port_of(one: Json) -> ExportedPort:
    """A port of a Service, or of a ServiceImport, as it is written."""
    name, protocol = str(one.get("name") or ""), str(one.get("protocol") or "TCP")
    return ExportedPort(name, int(one.get("port") or 0), protocol, str(one.get("appProtocol") or ""))


def _said(spec: Json, own: Json) -> Iterator[tuple[Reason, str]]:
    yield Reason.TYPE, "Headless" if spec.get("clusterIP") == "None" else "ClusterSetIP"
    affinity = str(spec.get("sessionAffinity") or "None")
    yield Reason.AFFINITY, affinity
    yield Reason.AFFINITY_CONFIG, _text(spec.get("sessionAffinityConfig")) if affinity != "None" else ""
    yield Reason.ANNOTATIONS, _text(own.get("exportedAnnotations"))
    yield Reason.LABELS, _text(own.get("exportedLabels"))
    yield Reason.INTERNAL, str(spec.get("internalTrafficPolicy") or "Cluster")
    yield Reason.DISTRIBUTION, str(spec.get("trafficDistribution") or "")


def _text(value: Any) -> str:
    return json.dumps(dict(mapping(value)), sort_keys=True, default=dict) if value else ""


def exports(graph: Reader, key: Shared) -> tuple[Export, ...]:
    """The valid exports of all clusters, the one first whose word counts: the oldest, then the first by cluster."""
    found = (graph.get(exported, ref) for ref in graph.find(EXPORTS, key) if object_of(graph, ref) is not None)
    return _ordered(one for one in found if isinstance(one, Export))


def good_exports(graph: Reader, some: Iterable[Export], held: frozenset[Ref]) -> tuple[Export, ...]:
    """These exports, of those `held`, or whose Service is, the last good revision; one that has none is left out."""
    found = (_good(graph, one, held) for one in some)
    return _ordered(one for one in found if one is not None)


def _ordered(some: Iterable[Export]) -> tuple[Export, ...]:
    return tuple(sorted(some, key=lambda one: (one.created, one.cluster)))


def _good(graph: Reader, export: Export, held: frozenset[Ref]) -> Export | None:
    if held.isdisjoint((export.export, export.service)):
        return export
    both = [(one, revision(graph, one, held)) for one in (export.export, export.service)]
    found = _exported(*both) if all(object_ is not None for _, object_ in both) else None
    return found if isinstance(found, Export) else None


def united(some: Iterable[Export]) -> tuple[ExportedPort, ...]:
    """The ports of an import: those of all exports, of two that clash the one whose export comes first."""
    taken: list[ExportedPort] = []
    for export in some:
        taken += [one for one in export.ports if not any(_clash(one, other) for other in taken)]
    return tuple(sorted(taken, key=lambda one: (one.port, one.protocol, one.name)))


def _clash(one: ExportedPort, other: ExportedPort) -> bool:
    """Two ports of a Service have neither a name nor a place in common."""
    return one.name == other.name or (one.port, one.protocol) == (other.port, other.protocol)


def answering(export: Export, port: ExportedPort) -> ExportedPort | None:
    """The port of an export that an import's port means: EndpointSlices know ports by their names."""
    return next((one for one in export.ports if (one.name, one.protocol) == (port.name, port.protocol)), None)


def conflicts(some: tuple[Export, ...], export: Export) -> tuple[tuple[Reason, str], ...]:
    """In what an export differs from the one whose word counts, in words."""
    first = some[0]
    if first is export:
        return ()
    whose = f"in the export of cluster {first.cluster}, which is older and counts"
    found = []
    if set(export.ports) != set(first.ports):
        here, there = (", ".join(map(_shown, one.ports)) or "none" for one in (export, first))
        text = f"ports are {here} here and {there} in the export of cluster {first.cluster}, which is older"
        found.append((Reason.PORT, f"{text}: they are united, and of two that clash its own counts"))
    for (reason, ours), (_, theirs) in zip(export.said, first.said, strict=True):
        if ours != theirs:
            word = reason.removesuffix("Conflict")
            found.append((reason, f"{word} is {ours or 'not set'} here and {theirs or 'not set'} {whose}"))
    return tuple(found)


def _shown(port: ExportedPort) -> str:
    protocol = f" ({port.app_protocol})" if port.app_protocol else ""
    return f"{port.name or 'unnamed'} {port.port}/{port.protocol}{protocol}"
