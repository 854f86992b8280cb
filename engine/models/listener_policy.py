"""ListenerPolicy and HTTPListenerPolicy (gateway.kgateway.dev/v1alpha1): what holds for listeners, before any route.

HTTPListenerPolicy is the older spelling of a ListenerPolicy's `default.httpSettings`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from engine.models.access_log import Duration
from engine.models.base import Model, Object
from engine.models.duration import milliseconds
from engine.models.http_settings import HttpSettings
from engine.models.kind import Kind
from engine.models.policy import (
    GATEWAY_API,
    GROUP,
    POLICY_RESOURCE,
    SectionReference,
    SectionSelector,
    TargetReference,
    TargetSelector,
    named_kinds,
)
from engine.models.references import ObjectReference
from engine.models.rules import ListMap, Rule, Rules
from engine.models.texts import INT32, Port

_GATEWAYS: Final = named_kinds((GATEWAY_API, "Gateway"))
_SECOND: Final = 1000
_LONG: Final = Rules(
    (
        Rule(
            "duration(self) >= duration('1s')",
            "must be at least 1s",
            lambda text: (milliseconds(text) or 0) >= _SECOND,
        ),
    )
)
_Seconds = Annotated[Duration, _LONG]


class ClientCertificates(Model):
    """ClientCertificateValidationConfig: whose certificates clients must, or may, show."""

    mode: Literal["Require", "Optional"] = "Require"
    ca_certificate_refs: Annotated[
        tuple[ObjectReference, ...], Field(min_length=1, max_length=8, alias="caCertificateRefs")
    ]


class ProxyProtocol(Model):
    """ProxyProtocolConfig."""

    allow_requests_without_proxy_protocol: bool | None = None


class Keepalive(Model):
    """TCPKeepalive."""

    keep_alive_probes: Annotated[int, Field(ge=0, le=INT32, json_schema_extra={"format": "int32"})] | None = None
    keep_alive_time: _Seconds | None = None
    keep_alive_interval: _Seconds | None = None


class ListenerConfig(Model):
    """ListenerConfig: what holds for a port."""

    proxy_protocol: ProxyProtocol | None = None
    tcp_keepalive: Keepalive | None = None
    per_connection_buffer_limit_bytes: (
        Annotated[int, Field(ge=0, le=INT32, json_schema_extra={"format": "int32"})] | None
    ) = None
    http_settings: HttpSettings | None = None
    transport_socket_connect_timeout: Duration | None = None


class DefaultConfig(ListenerConfig):
    """ListenerDefaultConfig: what holds for every port that has no entry of its own."""

    client_certificate_validation: ClientCertificates | None = None


class PortConfig(Model):
    """ListenerPortConfig."""

    port: Port
    listener: ListenerConfig


class ListenerPolicySpec(Model):
    """ListenerPolicySpec."""

    target_refs: Annotated[tuple[SectionReference, ...], Field(min_length=1, max_length=16), _GATEWAYS] | None = None
    target_selectors: Annotated[tuple[SectionSelector, ...], Field(max_length=16), _GATEWAYS] = ()
    default: DefaultConfig | None = None
    per_port: Annotated[tuple[PortConfig, ...], Field(max_length=64), ListMap("port")] = ()


class HTTPListenerPolicySpec(HttpSettings):
    """HTTPListenerPolicySpec."""

    target_refs: Annotated[tuple[TargetReference, ...], Field(min_length=1, max_length=16), _GATEWAYS] | None = None
    target_selectors: Annotated[tuple[TargetSelector, ...], Field(max_length=16), _GATEWAYS] = ()


class ListenerPolicy(Object):
    """What holds for listeners of Gateways."""

    spec: ListenerPolicySpec


class HTTPListenerPolicy(Object):
    """What holds for requests of all listeners of Gateways."""

    spec: HTTPListenerPolicySpec


KINDS = (
    Kind(GROUP, "ListenerPolicy", "listenerpolicies", ("v1alpha1",), ListenerPolicy, crd=POLICY_RESOURCE),
    Kind(GROUP, "HTTPListenerPolicy", "httplistenerpolicies", ("v1alpha1",), HTTPListenerPolicy, crd=POLICY_RESOURCE),
)
