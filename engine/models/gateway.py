"""Gateway (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.gateway_class import CONTROLLER
from engine.models.kind import Kind as ResourceKind
from engine.models.references import LabelSelector, LocalObjectReference, ObjectReference, SecretObjectReference
from engine.models.rules import ListMap, Rule, Ruled, Rules
from engine.models.texts import HOSTNAME, LABEL_KEY, Group, Hostname, Kind, LabelValue, ObjectName, Port, SectionName

_ADDRESS_TYPE = rf"^Hostname|IPAddress|NamedAddress|{CONTROLLER.removeprefix('^')}"
_PROTOCOL = (
    r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|"
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$"
)
_HOSTNAME = re.compile(HOSTNAME.removesuffix("$"))
_LONGEST_KEY = 253 + 1 + 63
_KEY = re.compile(LABEL_KEY.removesuffix("$"))


class ListenerTLS(Ruled):
    """ListenerTLSConfig."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.mode == 'Terminate' ? size(self.certificateRefs) > 0 || size(self.options) > 0 : true",
            "certificateRefs or options must be specified when mode is Terminate",
            lambda self: self.mode != "Terminate" or bool(self.certificate_refs or self.options),
        ),
    )

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: Annotated[tuple[SecretObjectReference, ...], Field(max_length=64)] = ()
    options: Annotated[dict[str, Annotated[str, Field(min_length=0, max_length=4096)]], Field(max_length=16)] = {}


class RouteNamespaces(Model):
    """RouteNamespaces."""

    from_: Annotated[Literal["All", "Selector", "Same"], Field(alias="from")] = "Same"
    selector: LabelSelector | None = None


class RouteGroupKind(Model):
    """RouteGroupKind."""

    group: Group = "gateway.networking.k8s.io"
    kind: Kind


class AllowedRoutes(Model):
    """AllowedRoutes."""

    namespaces: Annotated[RouteNamespaces, Field(json_schema_extra={"default": {"from": "Same"}})] = RouteNamespaces()
    kinds: Annotated[tuple[RouteGroupKind, ...], Field(max_length=8)] = ()


class Listener(Model):
    """Listener."""

    name: SectionName
    hostname: Hostname | None = None
    port: Port
    protocol: Annotated[str, Field(min_length=1, max_length=255, pattern=_PROTOCOL)]
    tls: ListenerTLS | None = None
    allowed_routes: Annotated[AllowedRoutes, Field(json_schema_extra={"default": {"namespaces": {"from": "Same"}}})] = (
        AllowedRoutes()
    )


_Listeners = tuple[Listener, ...]


def _places_differ(listeners: _Listeners) -> bool:
    places = {(one.port, one.protocol, one.hostname) for one in listeners}
    return len(places) == len(listeners)


def _passthrough_https(one: Listener) -> bool:
    return one.protocol == "HTTPS" and one.tls is not None and one.tls.mode != "Terminate"


_PLACES = (
    Rule(
        "self.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
        "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
        lambda self: not any(one.tls is not None and one.protocol in ("HTTP", "TCP", "UDP") for one in self),
    ),
    Rule(
        "self.all(l, (l.protocol == 'HTTPS' && has(l.tls)) ? (l.tls.mode == '' || l.tls.mode == 'Terminate') : true)",
        "tls mode must be Terminate for protocol HTTPS",
        lambda self: not any(_passthrough_https(one) for one in self),
    ),
    Rule(
        "self.all(l, (l.protocol == 'TLS' ? has(l.tls) && has(l.tls.mode) && l.tls.mode != '' : true))",
        "tls mode must be set for protocol TLS",
        lambda self: not any(one.protocol == "TLS" and one.tls is None for one in self),
    ),
    Rule(
        "self.all(l, l.protocol in ['TCP', 'UDP']  ? (!has(l.hostname) || l.hostname == '') : true)",
        "hostname must not be specified for protocols ['TCP', 'UDP']",
        lambda self: not any(one.hostname and one.protocol in ("TCP", "UDP") for one in self),
    ),
    Rule(
        "self.all(l1, self.exists_one(l2, l1.name == l2.name))",
        "Listener name must be unique within the Gateway",
        lambda self: len({one.name for one in self}) == len(self),
    ),
)


def listener_rules(unique: str) -> Rules:
    """The rules of a list of listeners; `unique` is how its CRD begins to ask for another of the same place."""
    same = Rule(
        f"self.all(l1, {unique}l1.port == l2.port && l1.protocol == l2.protocol && "
        "(has(l1.hostname) && has(l2.hostname) ? l1.hostname == l2.hostname : "
        "!has(l1.hostname) && !has(l2.hostname))))",
        "Combination of port, protocol and hostname must be unique for each listener",
        _places_differ,
    )
    return Rules((*_PLACES, same))


class GatewayAddress(Ruled):
    """GatewaySpecAddress."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            'self.type == \'Hostname\' ? (!has(self.value) || self.value.matches(r"""' + HOSTNAME + '""")): true',
            f"Hostname value must be empty or contain only valid characters (matching {HOSTNAME})",
            lambda self: self.type != "Hostname" or not self.value or _HOSTNAME.fullmatch(self.value) is not None,
        ),
    )

    type: Annotated[str, Field(min_length=1, max_length=253, pattern=_ADDRESS_TYPE)] = "IPAddress"
    value: Annotated[str, Field(max_length=253)] | None = None


def _unique_addresses(kind: str, padding: str) -> Rule:
    def _unique(addresses: tuple[GatewayAddress, ...]) -> bool:
        values = [one.value for one in addresses if one.type == kind and one.value is not None]
        return len(set(values)) == len(values)

    return Rule(
        f"self.all(a1, a1.type == '{kind}'{padding} && has(a1.value) ? self.exists_one(a2, a2.type == a1.type && "
        "has(a2.value) && a2.value == a1.value) : true )",
        f"{kind} values must be unique",
        _unique,
    )


def _key_rules(word: str) -> Rules:
    def _are_keys(values: Mapping[str, str]) -> bool:
        return all(len(key) <= _LONGEST_KEY and _KEY.fullmatch(key) for key in values)

    def _are_short(values: Mapping[str, str]) -> bool:
        return all(len(key.split("/")[0]) < 253 for key in values)

    name = word.lower()
    return Rules(
        (
            Rule(
                'self.all(key, key.matches(r"""' + LABEL_KEY + '"""))',
                f"{word} keys must be in the form of an optional DNS subdomain prefix followed by a required name "
                "segment of up to 63 characters.",
                _are_keys,
            ),
            Rule(
                'self.all(key, key.split("/")[0].size() < 253)',
                f"If specified, the {name} key's prefix must be a DNS subdomain not longer than 253 characters in "
                "total.",
                _are_short,
            ),
        )
    )


class Infrastructure(Model):
    """GatewayInfrastructure."""

    labels: Annotated[
        dict[str, Annotated[LabelValue, Field(min_length=0)]], Field(max_length=8), _key_rules("Label")
    ] = {}
    annotations: Annotated[
        dict[str, Annotated[str, Field(min_length=0, max_length=4096)]], Field(max_length=16), _key_rules("Annotation")
    ] = {}
    parameters_ref: LocalObjectReference | None = None


class ListenerNamespaces(Model):
    """ListenerNamespaces."""

    from_: Annotated[Literal["All", "Selector", "Same", "None"], Field(alias="from")] = "None"
    selector: LabelSelector | None = None


class AllowedListeners(Model):
    """AllowedListeners."""

    namespaces: Annotated[ListenerNamespaces, Field(json_schema_extra={"default": {"from": "None"}})] = (
        ListenerNamespaces()
    )


class BackendTLS(Model):
    """GatewayBackendTLS."""

    client_certificate_ref: SecretObjectReference | None = None


class FrontendValidation(Model):
    """FrontendTLSValidation."""

    ca_certificate_refs: Annotated[tuple[ObjectReference, ...], Field(min_length=1, max_length=16)]
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"


class FrontendTLSConfig(Model):
    """TLSConfig of a frontend."""

    validation: FrontendValidation | None = None


class PortTLS(Model):
    """TLSPortConfig."""

    port: Port
    tls: FrontendTLSConfig


_PER_PORT = Rule(
    "self.all(t1, self.exists_one(t2, t1.port == t2.port))",
    "Port for TLS configuration must be unique within the Gateway",
    lambda self: len({one.port for one in self}) == len(self),
)


class FrontendTLS(Model):
    """FrontendTLSConfig."""

    default: FrontendTLSConfig
    per_port: Annotated[tuple[PortTLS, ...], Field(max_length=64), Rules((_PER_PORT,)), ListMap("port")] = ()


class GatewayTLS(Model):
    """GatewayTLSConfig."""

    backend: BackendTLS | None = None
    frontend: FrontendTLS | None = None


class GatewaySpec(Model):
    """GatewaySpec."""

    gateway_class_name: ObjectName
    listeners: Annotated[
        _Listeners, Field(min_length=1, max_length=64), listener_rules("self.exists_one(l2, "), ListMap("name")
    ]
    addresses: Annotated[
        tuple[GatewayAddress, ...],
        Field(max_length=16),
        Rules((_unique_addresses("IPAddress", ""), _unique_addresses("Hostname", " "))),
    ] = ()
    infrastructure: Infrastructure | None = None
    allowed_listeners: AllowedListeners | None = None
    tls: GatewayTLS | None = None
    default_scope: Literal["All", "None"] | None = None


class Gateway(Object):
    """A Gateway."""

    spec: GatewaySpec


KINDS = (ResourceKind("gateway.networking.k8s.io", "Gateway", "gateways", ("v1", "v1beta1"), Gateway, ("gtw", "gw")),)
