"""Names of groups and kinds, and the few ways in which queries look into an object; no meaning beyond that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine import instant
from engine.graph.reader import Json, Reader, Resource
from engine.ref import Ref

GATEWAY_API = "gateway.networking.k8s.io"
KGATEWAY = "gateway.kgateway.dev"
DISCOVERY = "discovery.k8s.io"
MULTICLUSTER = "multicluster.x-k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
IMPORT_NAME = "multicluster.kubernetes.io/service-name"
"""The label of EndpointSlices that a controller of the Multi-Cluster Services API wrote for an import."""
REMOTE_GATEWAY = "penstock.dev/RemoteGateway"
"""The protocol of a listener that lets in what proxies of other networks ask for: of no route, but of exports."""

_EMPTY: Json = {}
_SORTS = len("2026-11-24T12:00:00.000Z")


def transport(protocol: str) -> str:
    """What carries a listener's protocol: a port number is one place for each."""
    return "UDP" if protocol == "UDP" else "TCP"


def gateway_ref(cluster: str, namespace: str, name: str) -> Ref:
    """A Gateway."""
    return Ref(cluster, GATEWAY_API, "Gateway", namespace, name)


def mapping(value: object) -> Json:
    """The value when it is an object, else an empty one."""
    # The exact type first: asking an abstract class costs four times as much.
    return value if type(value) is dict or isinstance(value, Mapping) else _EMPTY


def items(value: object) -> list[Json]:
    """The objects in a list; empty when it is none."""
    if not isinstance(value, list | tuple):
        return []
    return [item for item in value if type(item) is dict or isinstance(item, Mapping)]


def texts(value: object) -> tuple[str, ...]:
    """The texts in a list; empty when it is none."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def spec_of(object_: Json | None) -> Json:
    """`spec` of an object, empty when there is none."""
    return mapping(object_.get("spec")) if object_ is not None else _EMPTY


def metadata_of(object_: Json | None) -> Json:
    """`metadata` of an object, empty when there is none."""
    return mapping(object_.get("metadata")) if object_ is not None else _EMPTY


def created(object_: Json | None) -> str:
    """metadata.creationTimestamp as text that sorts by time: in UTC, with milliseconds, however it was written.

    Sources stamp milliseconds, an API server seconds; a manifest may have any precision and offset (RFC 3339).
    """
    written = str(metadata_of(object_).get("creationTimestamp") or "")
    if len(written) == _SORTS and written[-5] == "." and written[-1] == "Z":
        return written
    try:
        at = datetime.fromisoformat(written)
        # Without a zone it is UTC: the machine's own would be read otherwise elsewhere.
        return instant.written(at if at.tzinfo is not None else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return written


def object_of(graph: Reader, ref: Ref) -> Json | None:
    """The object as it is now; None when it is absent or cannot be understood."""
    resource = graph.read(ref)
    return resource.object if resource is not None else None


def refused_from_the_start(graph: Reader, ref: Ref) -> Resource | None:
    """The resource, when no revision of it was ever taken by its model; of `written` it can be told whose it is."""
    resource = graph.read(ref)
    return resource if resource is not None and resource.object is None and resource.refusal else None


def held_fact(gateway: Ref, ref: Ref) -> str:
    """The fact that says that `gateway` is served `ref` as it was before a proxy rejected it."""
    return f"held/{gateway}/{ref}"


def holders_fact(ref: Ref) -> str:
    """The fact that says which Gateways are served `ref` as it was before a proxy rejected it, sorted."""
    return f"holders/{ref}"


def absent_fact(ref: Ref) -> str:
    """The fact that says that an object on request was looked for, and is not there."""
    return f"absent/{ref}"


def asked_fact(cluster: str) -> str:
    """The fact that says that Secrets of a cluster are read on request only."""
    return f"asked/{cluster}"


PASSED = "passed/"


def passed_fact(time: str) -> str:
    """The fact that says that a deadline (RFC 3339, UTC, milliseconds) has passed."""
    return f"{PASSED}{time}"


def stale_fact(cluster: str) -> str:
    """The fact that says since when (RFC 3339) a cluster cannot be reached."""
    return f"stale/{cluster}"


def is_unread(graph: Reader, secret: Ref) -> bool:
    """Whether a Secret that is absent may be there all the same, since nobody has looked yet."""
    return bool(graph.fact(asked_fact(secret.cluster))) and not graph.fact(absent_fact(secret))


def withheld_fact(virtual_host: str) -> str:
    """The fact that says why a virtual host (the text of its fragment's key) is left out: a proxy rejected it."""
    return f"withheld/{virtual_host}"


def served_object(graph: Reader, gateway: Ref, ref: Ref) -> Json | None:
    """The object as `gateway` is served it: its last good revision while a quarantine holds it."""
    return served_revision(graph, gateway, ref, graph.read(ref))


def served_revision(graph: Reader, gateway: Ref, ref: Ref, resource: Resource | None) -> Json | None:
    """As `served_object`, of a resource that was read."""
    if resource is None:
        return None
    held = resource.previous is not None and graph.fact(held_fact(gateway, ref))
    return resource.previous if held else resource.object


def revision(graph: Reader, ref: Ref, held: frozenset[Ref]) -> Json | None:
    """The object as it is now; of those `held` the last good revision, None where there is none."""
    resource = graph.read(ref)
    if resource is None:
        return None
    return resource.previous if ref in held else resource.object


def labels_of(object_: Json | None) -> dict[str, str]:
    """Labels of an object."""
    labels: dict[str, Any] = dict(mapping(metadata_of(object_).get("labels")))
    return {str(key): str(value) for key, value in labels.items()}
