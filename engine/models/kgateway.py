"""What kgateway's users write that is not served: kinds, fields and annotations, and what to write instead.

Words only: nothing here decides what is served.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.models.admission import FieldProblem

Json = Mapping[str, Any]

GROUP: Final = "gateway.kgateway.dev"
NOTHING: Final = "nothing serves it yet"

KINDS_NOT_SERVED: Final[Mapping[tuple[str, str], str]] = {
    ("gateway.networking.x-k8s.io", "XListenerSet"): "write a ListenerSet of gateway.networking.k8s.io/v1",
}
"""Kinds that kgateway reads and penstock does not: group and kind -> what says the same."""

ANNOTATIONS: Final[Mapping[str, str]] = {
    "kgateway.dev/disable-istio-auto-mtls": "nothing of Istio's is done: remove it",
}
"""Annotations of kgateway's that change nothing here, and what to do."""

ANNOTATIONS_SERVED: Final[Mapping[str, str]] = {
    "delegation.kgateway.dev/inherit-parent-matcher": "of an HTTPRoute that others delegate to",
    "kgateway.dev/http-redirect-status-code": "of a route: the code of all its redirects",
    "kgateway.dev/inherited-policy-priority": "of a Gateway, and of an HTTPRoute that delegates",
    "kgateway.dev/route-weight": "of a route, where PENSTOCK_WEIGHTED_ROUTE_PRECEDENCE is true",
}
"""Annotations of kgateway's that count, and where."""


def is_kgateways(group: str, kind: str) -> bool:
    """Whether it is a kind that kgateway serves and penstock does not."""
    return (group, kind) in KINDS_NOT_SERVED


def not_served(group: str, kind: str) -> tuple[FieldProblem, ...]:
    """What an object of such a kind is asked for in vain, with what says the same."""
    return (FieldProblem("kind", "is not served", KINDS_NOT_SERVED[group, kind]),)


def passed_over(object_: Json) -> Iterator[FieldProblem]:
    """What of an object that is read has a name of kgateway's and changes nothing: annotations and TLS options."""
    for name in sorted((object_["metadata"].get("annotations") or {}).keys() & ANNOTATIONS.keys()):
        yield FieldProblem(f"metadata.annotations.{name}", "changes nothing", ANNOTATIONS[name])
    if object_["kind"] in ("Gateway", "ListenerSet"):
        for number, one in enumerate(object_["spec"].get("listeners") or ()):
            for name in sorted((one.get("tls") or {}).get("options") or ()):
                yield FieldProblem(f"spec.listeners[{number}].tls.options.{name}", "changes nothing", NOTHING)
