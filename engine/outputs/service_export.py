"""What ServiceExports put out: the status of each, and one node of what all clusters may use."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import NODE, SHARED, STATUS
from engine.outputs.remote_gateway import entries
from engine.ref import Ref
from engine.resolve.manifest import mapping, object_of, spec_of
from engine.resolve.service_export import Export, Reason, Shared, exported, exports, united
from engine.status.service_export import export_status, never_taken


def export_outputs(graph: Reader, ref: Ref) -> Outputs:
    """The status of a ServiceExport; a valid one makes an import."""
    never = never_taken(graph, ref)
    if never is not None:
        return Outputs(((STATUS, str(ref), document(never)),))
    if object_of(graph, ref) is None:
        return Outputs()
    found = graph.get(exported, ref)
    counts: tuple[tuple[str, Hashable], ...] = ()
    if isinstance(found, Export):
        counts = ((SHARED, Shared(ref.namespace, ref.name)), *entries(graph, found))
    return Outputs(((STATUS, str(ref), document(export_status(graph, ref))),), counts)


def shared_outputs(graph: Reader, key: Shared) -> Outputs:
    """The node of an import: what a ServiceImport object would say of it, of all clusters."""
    some = graph.get(exports, key)
    if not some:
        return Outputs()
    first, said = some[0], dict(some[0].said)
    spec = spec_of(object_of(graph, first.export))
    node: dict[str, Any] = {
        "type": said[Reason.TYPE],
        "sessionAffinity": said[Reason.AFFINITY],
        "ports": [_port(*one) for one in united(some)],
        "labels": dict(mapping(spec.get("exportedLabels"))),
        "annotations": dict(mapping(spec.get("exportedAnnotations"))),
        "clusters": [one.cluster for one in some],
    }
    return Outputs(((NODE, f"import/{key.namespace}/{key.name}", document(node)),))


def _port(name: str, port: int, protocol: str, app_protocol: str) -> dict[str, Any]:
    more = {"name": name, "appProtocol": app_protocol}
    return {"port": port, "protocol": protocol, **{word: value for word, value in more.items() if value}}
