"""What a row of penstock.infra asks for, and what an installation gives to each of its proxies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from engine.placement import Placement, parse_placement
from engine.ref import Ref
from engine.resolve.proxy import GATEWAY_NAME, label_value

Json = Mapping[str, Any]

IMAGE: Final = "docker.io/envoyproxy/envoy:v1.40.0"
"""The Envoy that config is tested with, bit for bit the packaged one's version."""
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
DOMAIN: Final = "penstock.dev/domain"
CONTROLLER: Final = "penstock.dev/controller"
_CLASS_NAME: Final = "gateway.networking.k8s.io/gateway-class-name"


class Listening(NamedTuple):
    """A port of a listener; `protocol` is TCP or UDP."""

    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxies of a placement. `name` is that of their objects, `held` says why nothing of them may be changed."""

    placement: Placement
    class_name: str
    name: str
    ports: tuple[Listening, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    addresses: tuple[str, ...]
    parameters: Json
    overlays: tuple[Json, ...]
    held: str

    @property
    def gateway(self) -> Ref:
        """Whose proxies they are."""
        return self.placement.gateway

    @property
    def is_own(self) -> bool:
        """Whether they are in the Gateway's own cluster."""
        return self.placement.cluster == self.gateway.cluster

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of its objects."""
        return self.gateway.namespace, self.name

    def block(self, *path: str) -> dict[str, Any]:
        """An object within its parameters, empty when it is not there."""
        value: Any = self.parameters
        for one in path:
            value = value.get(one) if isinstance(value, Mapping) else None
        return dict(value) if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Publisher:
    """Where proxies get their config.

    `authority` is the PEM that its certificate must chain to, which must be made out to `name`; empty: no TLS.
    """

    host: str
    port: int
    authority: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """What all proxies of an installation have in common.

    `identity` gives the files of a Secret by which a placement's proxies prove whose they are, as of now: a
    certificate and its key (`tls.crt`, `tls.key`), or without TLS a `token`. It is asked again now and then.
    """

    publisher: Publisher
    identity: Callable[[str], Mapping[str, bytes]]
    image: str = IMAGE
    domain: str = "default"
    controller: str = "penstock.dev/gateway-controller"


def read_proxy(value: Json) -> Proxy:
    """Read a row; raises ValueError for what no resolver wrote."""
    try:
        return Proxy(
            placement=parse_placement(value["gateway"]),
            class_name=str(value["class"]),
            name=str(value["proxy"]),
            ports=tuple(Listening(int(one["port"]), str(one["protocol"])) for one in value["ports"]),
            labels=dict(value["labels"]),
            annotations=dict(value["annotations"]),
            addresses=tuple(map(str, value["addresses"])),
            parameters=dict(value["parameters"]),
            overlays=tuple(dict(one) for one in value["overlays"]),
            held=str(value["held"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"no row of penstock.infra: {type(error).__name__} {error}"
        raise ValueError(msg) from None


def secret_name(name: str) -> str:
    """The Secret of a Gateway's objects of that name: one that is named like a Gateway is mostly its certificate."""
    return f"{name}-xds"


def selector(proxy: Proxy) -> dict[str, str]:
    """The labels by which a Gateway's pods are found; a Deployment's can never be changed (kgateway's)."""
    return {
        "app.kubernetes.io/name": proxy.name,
        "app.kubernetes.io/instance": proxy.name,
        GATEWAY_NAME: label_value(proxy.gateway.name),
    }


def found_by(template: Template) -> dict[str, str]:
    """The labels by which an installation knows its objects from those of others in the cluster."""
    return {
        MANAGED_BY: "penstock",
        DOMAIN: label_value(template.domain),
        CONTROLLER: label_value(template.controller),
    }


def labels(proxy: Proxy, template: Template) -> dict[str, str]:
    """Labels of all objects of a Gateway and of its pods; those of `spec.infrastructure` below ours.

    Pods go without the controller's name: for a label that nobody finds them by, none is replaced.
    """
    return {
        **proxy.labels,
        **selector(proxy),
        MANAGED_BY: "penstock",
        DOMAIN: label_value(template.domain),
        _CLASS_NAME: label_value(proxy.class_name),
        # What kgateway's dashboards and monitors select by.
        "kgateway": "kube-gateway",
    }
