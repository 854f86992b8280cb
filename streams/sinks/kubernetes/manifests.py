"""The objects that run a Gateway's proxies: Deployment, Service, ServiceAccount, bootstrap, and what parameters add."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
import yaml

from engine.resolve.manifest import GATEWAY_API
from streams.sinks.kubernetes.bootstrap import AUTHORITY, IDENTITY_FILE, bootstrap, identity_file
from streams.sinks.kubernetes.overlay import Json, patched
from streams.sinks.kubernetes.pod import pod_template
from streams.sinks.kubernetes.proxy import Proxy, Template, found_by, labels, secret_name, selector

APPLIED: Final = "penstock.dev/applied"
"""The hash of a manifest, on the object that it was applied to."""
_PATCHES: Final = {
    "Deployment": "deploymentOverlay",
    "Service": "serviceOverlay",
    "ServiceAccount": "serviceAccountOverlay",
    "PodDisruptionBudget": "podDisruptionBudget",
    "HorizontalPodAutoscaler": "horizontalPodAutoscaler",
    "VerticalPodAutoscaler": "verticalPodAutoscaler",
}
_ADDED: Final = {
    "PodDisruptionBudget": "policy/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "VerticalPodAutoscaler": "autoscaling.k8s.io/v1",
}


def manifests(proxy: Proxy, template: Template, uid: str) -> tuple[dict[str, Any], ...]:
    """All objects of a placement, in the order in which they are applied.

    The Gateway's uid makes it their owner; without one, in another cluster than its own, nobody is.
    """
    config, secret = _config(proxy, template), _secret(proxy, template)
    # Not of the Secret: it is renewed while pods run.
    made_of = _digest(config["data"])
    found = [config, secret, _service_account(proxy), _service(proxy), _deployment(proxy, template, made_of)]
    found += [_added(proxy, kind) for kind in _ADDED]
    return tuple(_whole(one, proxy, template, uid) for one in found if one is not None)


def _whole(manifest: dict[str, Any], proxy: Proxy, template: Template, uid: str) -> dict[str, Any]:
    """The manifest with what all of a Gateway have, patched, and marked by what it is."""
    extra = manifest.get("metadata", {})
    manifest["metadata"] = {
        "name": extra.get("name") or proxy.name,
        "namespace": proxy.gateway.namespace,
        "labels": {**extra.get("labels", {}), **labels(proxy, template), **found_by(template)},
        "annotations": {**proxy.annotations, **extra.get("annotations", {})},
    }
    patch = _PATCHES.get(manifest["kind"], "")
    for overlay in proxy.overlays:
        if isinstance(overlay.get(patch), Mapping):
            manifest = patched(manifest, overlay[patch])
    owner = {"apiVersion": f"{GATEWAY_API}/v1", "kind": "Gateway", "name": proxy.gateway.name, "uid": uid}
    metadata = {**manifest["metadata"], "ownerReferences": [{**owner, "controller": True}]}
    if not uid:
        del metadata["ownerReferences"]
    # Whatever was patched: we would not find it again.
    metadata["labels"] = {**metadata.get("labels", {}), **labels(proxy, template), **found_by(template)}
    manifest = {**manifest, "metadata": metadata}
    marked = {**metadata.get("annotations", {}), APPLIED: _digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": marked}}


def _digest(value: Any) -> str:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _config(proxy: Proxy, template: Template) -> dict[str, Any]:
    data = {
        "envoy.yaml": yaml.safe_dump(bootstrap(proxy, template.publisher), sort_keys=True, width=120),
        IDENTITY_FILE: orjson.dumps(identity_file(template.publisher)).decode(),
    }
    if template.publisher.authority:
        data[AUTHORITY] = template.publisher.authority
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": data}


def _secret(proxy: Proxy, template: Template) -> dict[str, Any]:
    files = template.identity(str(proxy.placement))
    data = {name: base64.b64encode(value).decode() for name, value in sorted(files.items())}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(proxy.name)},
        "type": "Opaque",
        "data": data,
    }


def _metadata(given: Json) -> dict[str, Any]:
    return {"labels": given.get("extraLabels") or {}, "annotations": given.get("extraAnnotations") or {}}


def _service_account(proxy: Proxy) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(proxy.block("serviceAccount")),
        "automountServiceAccountToken": False,
    }


def _service(proxy: Proxy) -> dict[str, Any] | None:
    """None without a port: there is no such Service."""
    if not proxy.ports:
        return None
    given = proxy.block("service")
    type_ = str(given.get("type") or "LoadBalancer")
    nodes = {one["port"]: one["nodePort"] for one in given.get("ports") or () if one.get("nodePort")}
    doubled = {one.port for one in proxy.ports if one.protocol == "UDP"} & {
        one.port for one in proxy.ports if one.protocol == "TCP"
    }
    ports = []
    for one in proxy.ports:
        udp = "-udp" if one.port in doubled and one.protocol == "UDP" else ""
        port = {
            "name": f"listener-{one.port}{udp}",
            "port": one.port,
            "targetPort": one.port,
            "protocol": one.protocol,
        }
        # Of TCP and UDP on one port a node has two ports: only one of them can be named.
        ports.append(port | ({"nodePort": nodes[one.port]} if one.port in nodes and not udp else {}))
    spec: dict[str, Any] = {"type": type_, "selector": selector(proxy), "ports": ports}
    for field in ("clusterIP", "externalTrafficPolicy", "loadBalancerClass", "loadBalancerSourceRanges"):
        if given.get(field):
            spec[field] = given[field]
    if proxy.addresses and type_ == "LoadBalancer":
        spec["loadBalancerIP"] = proxy.addresses[0]
    elif proxy.addresses:
        spec["externalIPs"] = list(proxy.addresses)
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(given), "spec": spec}


def _deployment(proxy: Proxy, template: Template, made_of: str) -> dict[str, Any]:
    given = proxy.block("deployment")
    # Without a number of replicas it is left to whoever scales.
    scale = {key: given[key] for key in ("replicas", "strategy") if given.get(key) is not None}
    pods = pod_template(proxy, template, made_of)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {**scale, "selector": {"matchLabels": selector(proxy)}, "template": pods},
    }


def _added(proxy: Proxy, kind: str) -> dict[str, Any] | None:
    """What there is only when parameters have it: they say all but which pods are meant."""
    if not any(_PATCHES[kind] in one for one in proxy.overlays):
        return None
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": proxy.name}
    spec: dict[str, dict[str, Any]] = {
        "PodDisruptionBudget": {"selector": {"matchLabels": selector(proxy)}},
        "HorizontalPodAutoscaler": {"scaleTargetRef": target},
        "VerticalPodAutoscaler": {"targetRef": target},
    }
    return {"apiVersion": _ADDED[kind], "kind": kind, "spec": spec[kind]}
