"""The pods of a Gateway's proxies: one container with Envoy, without rights, whatever parameters say on top.

Nothing of its listeners stands here: a listener more must not replace a pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sinks.kubernetes.bootstrap import (
    ADMIN_PORT,
    CONFIG_FOLDER,
    IDENTITY,
    IDENTITY_FOLDER,
    METRICS_PORT,
    READY_PORT,
)
from streams.sinks.kubernetes.proxy import Proxy, Template, labels, secret_name

_USER: Final = 10101
_SLEEP_SECONDS: Final = 10
_GRACE_SECONDS: Final = 60
_BOOTSTRAP: Final = "penstock.dev/bootstrap"
_POD_SECURITY: Final[Mapping[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": _USER,
    "runAsGroup": _USER,
    "fsGroup": _USER,
    "seccompProfile": {"type": "RuntimeDefault"},
    # Listeners stand on their very ports, 80 and 443 too, without any capability.
    "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
}
_SECURITY: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_RESOURCES: Final[Mapping[str, Any]] = {"requests": {"cpu": "100m", "memory": "128Mi"}}


def pod_template(proxy: Proxy, template: Template, made_of: str) -> dict[str, Any]:
    """PodTemplateSpec. `made_of` is the bootstrap's hash: with another one pods are replaced."""
    given = proxy.block("podTemplate")
    scraped = {
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": str(METRICS_PORT),
        "prometheus.io/scrape": "true",
    }
    metrics = scraped if proxy.block("stats").get("enabled") is not False else {}
    bare = bool(proxy.parameters.get("omitDefaultSecurityContext"))
    spec: dict[str, Any] = {
        "serviceAccountName": proxy.name,
        "automountServiceAccountToken": False,
        "securityContext": _over({} if bare else _POD_SECURITY, given.get("securityContext")),
        "terminationGracePeriodSeconds": given.get("terminationGracePeriodSeconds", _GRACE_SECONDS),
        "containers": [_container(proxy, template, bare=bare)],
        "volumes": [*_volumes(proxy), *(given.get("extraVolumes") or ())],
    }
    passed = ("imagePullSecrets", "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints")
    spec |= {field: given[field] for field in (*passed, "priorityClassName") if given.get(field)}
    return {
        "metadata": {
            "labels": {
                **(given.get("extraLabels") or {}),
                **labels(proxy, template),
                "app.kubernetes.io/component": "proxy",
            },
            "annotations": {
                **metrics,
                **proxy.annotations,
                **(given.get("extraAnnotations") or {}),
                # Labels are too short for some names.
                "gateway.kgateway.dev/gateway-name": proxy.gateway.name,
                _BOOTSTRAP: made_of,
            },
        },
        "spec": spec,
    }


def _container(proxy: Proxy, template: Template, *, bare: bool) -> dict[str, Any]:
    given, pod = proxy.block("envoyContainer"), proxy.block("podTemplate")
    image, policy = _image(proxy.block("envoyContainer", "image"), template.image)
    container: dict[str, Any] = {
        "name": "kgateway-proxy",
        "image": image,
        "args": _arguments(proxy),
        "env": [*_environment(), *(given.get("env") or ())],
        "ports": [
            {"name": "readiness", "containerPort": READY_PORT, "protocol": "TCP"},
            {"name": "http-monitoring", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "resources": given.get("resources") or dict(_RESOURCES),
        "securityContext": _over({} if bare else _SECURITY, given.get("securityContext")),
        "readinessProbe": pod.get("readinessProbe") or _probe(periodSeconds=5, failureThreshold=2),
        # A publisher that is away is waited for: a container that is ended for it is started again ever later.
        "startupProbe": pod.get("startupProbe") or _probe(periodSeconds=1, failureThreshold=3600, timeoutSeconds=2),
        "volumeMounts": [
            {"name": "envoy-config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": IDENTITY, "mountPath": IDENTITY_FOLDER, "readOnly": True},
            *(given.get("extraVolumeMounts") or ()),
        ],
    }
    if pod.get("livenessProbe"):
        container["livenessProbe"] = pod["livenessProbe"]
    shutdown = proxy.block("podTemplate", "gracefulShutdown")
    if shutdown.get("enabled") is not False:
        container["lifecycle"] = {"preStop": _drain(int(shutdown.get("sleepTimeSeconds", _SLEEP_SECONDS)))}
    return container | ({"imagePullPolicy": policy} if policy else {})


def _over(default: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**default, **(given or {})}


def _image(given: Mapping[str, Any], default: str) -> tuple[str, str]:
    """The image and its pull policy; what is not given is the default's, but for its version where one is given."""
    policy = str(given.get("pullPolicy") or "")
    if not any(given.get(one) for one in ("registry", "repository", "tag", "digest")):
        return default, policy
    registry, repository, version = _parts(default)
    if given.get("digest"):
        version = f"@{given['digest']}"
    elif given.get("tag"):
        version = f":{given['tag']}"
    place = (str(given.get("registry") or registry), str(given.get("repository") or repository))
    return "/".join(filter(None, place)) + version, policy


def _parts(image: str) -> tuple[str, str, str]:
    """Registry ("" for none), repository, and version with its sign, of an image's name."""
    digested, at, digest = image.partition("@")
    place, colon, tag = digested.rpartition(":")
    if not colon or "/" in tag:
        place, colon, tag = digested, "", ""
    first, slash, rest = place.partition("/")
    is_registry = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    version = f"{at}{digest}" if at else f"{colon}{tag}"
    return (first, rest, version) if is_registry else ("", place, version)


def _arguments(proxy: Proxy) -> list[str]:
    given = proxy.block("envoyContainer", "bootstrap")
    levels = ",".join(f"{name}:{level}" for name, level in sorted((given.get("componentLogLevels") or {}).items()))
    return [
        "--config-path", f"{CONFIG_FOLDER}/envoy.yaml", "--disable-hot-restart",
        "--service-node", "$(POD_NAME).$(POD_NAMESPACE)", "--log-level", str(given.get("logLevel") or "info"),
        *(["--component-log-level", levels] if levels else []),
        *(proxy.block("envoyContainer").get("extraArgs") or ()),
    ]  # fmt: skip


def _environment() -> list[dict[str, Any]]:
    fields = {
        "POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_UID": "metadata.uid",
        "NODE_NAME": "spec.nodeName",
    }  # fmt: skip
    named = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    # The image's entry point changes the user of whoever is root, unless told not to.
    return [*named, {"name": "ENVOY_UID", "value": "0"}]


def _probe(**numbers: int) -> dict[str, Any]:
    return {"httpGet": {"path": "/ready", "port": READY_PORT, "scheme": "HTTP"}, **numbers}


def _drain(seconds: int) -> dict[str, Any]:
    """Connections are asked to end while no new ones come: endpoints of a pod that goes leave the Service meanwhile."""
    ask = f"exec 3<>/dev/tcp/127.0.0.1/{ADMIN_PORT}; printf 'POST /healthcheck/fail HTTP/1.0\\r\\n\\r\\n' >&3"
    return {"exec": {"command": ["/bin/bash", "-c", f"{ask}; sleep {seconds}"]}}


def _volumes(proxy: Proxy) -> list[dict[str, Any]]:
    return [
        {"name": "envoy-config", "configMap": {"name": proxy.name}},
        {"name": IDENTITY, "secret": {"secretName": secret_name(proxy.name)}},
    ]
