"""How the proxies of a Gateway are to be run: GatewayParameters of its class, and its own over them.

It must know nothing of Deployments: what the fields become is the deployer's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.gateway import gateway_spec
from engine.resolve.gateway_class import ClassKey
from engine.resolve.manifest import GATEWAY_API, KGATEWAY, items, mapping, object_of, spec_of
from engine.resolve.values import Problem

KIND: Final = "GatewayParameters"
OVERLAYS: Final = (
    "deploymentOverlay",
    "serviceOverlay",
    "serviceAccountOverlay",
    "podDisruptionBudget",
    "horizontalPodAutoscaler",
    "verticalPodAutoscaler",
)
"""Fields of `spec.kube` that are patches: the class's goes first, the Gateway's after it."""
NOT_SERVED: Final = ("sdsContainer", "istio")
"""Fields of `spec.kube` that are refused: both are Istio's."""


class Parameters(NamedTuple):
    """`kube` is `spec.kube` of all that were named, the Gateway's over its class's, without the patches."""

    kube: Mapping[str, Any]
    overlays: tuple[Json, ...] = ()
    self_managed: bool = False


class Named(NamedTuple):
    """What one parametersRef leads to: `spec`, None when nothing of it can be used, and what stands against it."""

    spec: Json | None
    problem: Problem | None = None


def _invalid(text: str) -> Problem:
    return Problem("InvalidParameters", text)


def named(graph: Reader, ref: Ref) -> Named:
    """A GatewayParameters. Of a refused revision the last good one counts, and what is refused is told."""
    where = f"GatewayParameters {ref.namespace}/{ref.name}"
    if (ref.group, ref.kind) != (KGATEWAY, KIND):
        text = f"parametersRef names {ref.group or 'v1'}/{ref.kind}, which is not served: use {KGATEWAY}/{KIND}"
        return Named(None, _invalid(text))
    resource = graph.read(ref)
    if resource is None:
        return Named(None, _invalid(f"{where} does not exist: create it, or remove parametersRef"))
    if resource.object is None:
        return Named(None, _invalid(f"{where}: {resource.refusal}"))
    spec = spec_of(resource.object)
    odd = sorted(f"spec.kube.{one}" for one in NOT_SERVED if mapping(spec.get("kube")).get(one) is not None)
    if odd:
        return Named(None, _invalid(f"{where}: {', '.join(odd)}: is not served: remove it"))
    if resource.refusal:
        return Named(spec, _invalid(f"{where}: {resource.refusal}; until it is mended, the last good revision counts"))
    return Named(spec)


def class_parameters(graph: Reader, key: ClassKey) -> Named | None:
    """What a GatewayClass names; None for nothing."""
    class_ = object_of(graph, Ref(key.cluster, GATEWAY_API, "GatewayClass", "", key.name))
    ref = mapping(spec_of(class_).get("parametersRef"))
    return _named(graph, key.cluster, str(ref.get("namespace") or ""), ref) if ref else None


def parameters(graph: Reader, gateway: Ref) -> tuple[Parameters | None, Problem | None]:
    """How a Gateway of ours is run, None while that cannot be said, and what stands against what it names."""
    spec = graph.get(gateway_spec, gateway) or {}
    class_name = str(spec.get("gatewayClassName", ""))
    found = [graph.get(class_parameters, ClassKey(gateway.cluster, class_name))]
    ref = mapping(mapping(spec.get("infrastructure")).get("parametersRef"))
    found.append(_named(graph, gateway.cluster, gateway.namespace, ref) if ref else None)
    problem = next((one.problem for one in found if one is not None and one.problem is not None), None)
    specs = [one.spec for one in found if one is not None]
    if any(one is None for one in specs):
        return None, problem
    together = _together([one for one in specs if one is not None])
    contradiction = _contradiction(mapping(together.kube.get("service")))
    return (None, problem or _invalid(contradiction)) if contradiction else (together, problem)


def _contradiction(service: Json) -> str:
    """What of a Service no API server takes together; "" for nothing. The class and the Gateway may each say a part."""
    type_ = service.get("type") or "LoadBalancer"
    if type_ == "ExternalName":
        return "GatewayParameters: spec.kube.service.type: ExternalName leads to no proxy: use LoadBalancer"
    fields = ["loadBalancerClass", "loadBalancerSourceRanges"] if type_ != "LoadBalancer" else []
    fields += ["externalTrafficPolicy"] if type_ == "ClusterIP" else []
    given = [f"spec.kube.service.{one}" for one in fields if service.get(one)]
    if type_ == "ClusterIP" and any(one.get("nodePort") for one in items(service.get("ports"))):
        given.append("spec.kube.service.ports")
    return f"GatewayParameters: {', '.join(given)} cannot be had with type {type_}: remove it" if given else ""


def _named(graph: Reader, cluster: str, namespace: str, ref: Json) -> Named:
    target = Ref(cluster, str(ref.get("group", "")), str(ref.get("kind", "")), namespace, str(ref.get("name", "")))
    return graph.get(named, target)


def _together(specs: list[Json]) -> Parameters:
    kube: dict[str, Any] = {}
    overlays = []
    for spec in specs:
        given = mapping(spec.get("kube"))
        kube = _merged(kube, {key: value for key, value in given.items() if key not in OVERLAYS})
        patches = {key: given[key] for key in OVERLAYS if key in given}
        overlays += [patches] if patches else []
    return Parameters(kube, tuple(overlays), any("selfManaged" in one for one in specs))


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Objects merge, whatever else is above stays; an image's tag and digest go together."""
    answer = dict(below)
    if "tag" in above or "digest" in above:
        answer = {key: value for key, value in answer.items() if key not in ("tag", "digest")}
    for key, value in above.items():
        old = answer.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        answer[key] = _merged(mapping(old), mapping(value)) if both else value
    return answer
