"""BackendConfigPolicy (gateway.kgateway.dev/v1alpha1), field for field kgateway's, those of its newer sources too.

How proxies reach a Service, a Backend or a ServiceImport: connections, load balancing, health, limits, TLS.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from engine.models.backend_config_balancer import LoadBalancer
from engine.models.backend_config_tls import Tls
from engine.models.base import Model, Object
from engine.models.duration import Span, at_least, milliseconds
from engine.models.kind import Kind
from engine.models.policy import GROUP, POLICY_RESOURCE, TargetReference, TargetSelector, named_kinds
from engine.models.quantity import Quantity, number
from engine.models.rules import Rule, Ruled, Rules, at_least_one, at_most_one, exactly_one
from engine.models.texts import INT32

_Int32 = Annotated[int, Field(ge=0, le=INT32, json_schema_extra={"format": "int32"})]
_Positive = Annotated[int, Field(ge=1, le=INT32, json_schema_extra={"format": "int32"})]
_Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
_ONE_MS, _ONE_SECOND = at_least("1ms"), at_least("1s")


class Dns(Ruled):
    """How names of hosts are resolved; of Backends whose hosts have names only."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(has(self.jitter) && has(self.refreshRate)) || duration(self.jitter) <= duration(self.refreshRate)",
            "jitter must be less than or equal to refreshRate",
            lambda self: (
                None in (self.jitter, self.refresh_rate)
                or (milliseconds(self.jitter) or 0) <= (milliseconds(self.refresh_rate) or 0)
            ),
        ),
    )

    refresh_rate: Annotated[Span, _ONE_MS] | None = None
    jitter: Span | None = None
    respect_ttl: Annotated[bool | None, Field(alias="respectTTL")] = None


class TcpKeepalive(Model):
    """Probes of the operating system on idle connections."""

    keep_alive_probes: _Int32 | None = None
    keep_alive_time: Annotated[Span, _ONE_SECOND] | None = None
    keep_alive_interval: Annotated[Span, _ONE_SECOND] | None = None


class CommonHttpProtocolOptions(Model):
    """What holds for connections of HTTP/1 and HTTP/2."""

    idle_timeout: Annotated[Span, Field(description="0s for none; an hour when absent.")] | None = None
    max_connection_duration: Span | None = None
    max_headers_count: _Int32 | None = None
    max_stream_duration: Span | None = None
    max_requests_per_connection: _Int32 | None = None


class Http1ProtocolOptions(Model):
    """What holds for connections of HTTP/1."""

    enable_trailers: bool | None = None
    preserve_http1_header_case: bool | None = None
    override_stream_error_on_invalid_http_message: bool | None = None


class ConnectionKeepalive(Model):
    """PINGs of HTTP/2."""

    timeout: Annotated[Span, _ONE_MS]
    interval: Annotated[Span, _ONE_MS] | None = None
    connection_idle_interval: Annotated[Span, _ONE_MS] | None = None


def _window(name: str) -> Rules:
    least, most = 65_535, INT32
    cel = (
        f"(type(self) == int && int(self) >= {least} && int(self) <= {most}) || (type(self) == string && "
        f"quantity(self).isGreaterThan(quantity('{least - 1}')) && quantity(self).isLessThan(quantity('{most + 1}')))"
    )

    def holds(value: Any) -> bool:
        try:
            return least <= number(value) <= most
        except ValueError:
            return False

    return Rules((Rule(cel, f"{name} must be between {least} and {most} bytes (inclusive)", holds),))


class Http2ProtocolOptions(Model):
    """What holds for connections of HTTP/2; of no effect where the backend does not speak it."""

    initial_stream_window_size: Annotated[Quantity, _window("InitialStreamWindowSize")] | None = None
    initial_connection_window_size: Annotated[Quantity, _window("InitialConnectionWindowSize")] | None = None
    max_concurrent_streams: _Positive | None = None
    override_stream_error_on_invalid_http_message: bool | None = None
    connection_keepalive: ConnectionKeepalive | None = None


class HealthCheckHttp(Model):
    """A request; 200 is healthy."""

    host: str | None = None
    path: str
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] | None = None


class HealthCheckGrpc(Model):
    """A call of grpc.health.v1."""

    service_name: str | None = None
    authority: str | None = None


_HEX: Final = "^([0-9A-Fa-f]{2})+$"
_IS_HEX = re.compile(_HEX)
_Payload = Annotated[str, Field(min_length=1, max_length=1024)]
_SENT = Rules(
    (
        Rule(
            f"matches(self, '{_HEX}')",
            "send must be an even-length hex string",
            lambda text: bool(_IS_HEX.fullmatch(text)),
        ),
    )
)
_RECEIVED = Rules(
    (
        Rule(
            f"self.all(p, p.matches('{_HEX}'))",
            "each receive entry must be an even-length hex string",
            lambda texts: all(_IS_HEX.fullmatch(one) for one in texts),
        ),
    )
)


class HealthCheckTcp(Ruled):
    """A connection; bytes to send and to expect are hexadecimal."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.send) || !has(self.receive)",
            "receive requires send to be set",
            lambda self: self.send is not None or self.receive is None,
        ),
    )

    send: Annotated[_Payload, _SENT] | None = None
    receive: Annotated[tuple[_Payload, ...], Field(min_length=1, max_length=16), _RECEIVED] | None = None


class HealthCheck(Ruled):
    """Hosts are asked, and those that do not answer get nothing."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("http", "http"), ("grpc", "grpc"), ("tcp", "tcp")),)

    timeout: Span
    interval: Span
    unhealthy_threshold: _Int32
    healthy_threshold: _Int32
    http: HealthCheckHttp | None = None
    grpc: HealthCheckGrpc | None = None
    tcp: HealthCheckTcp | None = None


class OutlierDetection(Model):
    """Hosts that fail get nothing for a while."""

    consecutive5xx: Annotated[_Int32, Field(alias="consecutive5xx")] = 5
    enforcing_consecutive5xx: Annotated[_Percent | None, Field(alias="enforcingConsecutive5xx")] = None
    split_external_local_origin_errors: bool | None = None
    consecutive_local_origin_failure: _Int32 | None = None
    enforcing_consecutive_local_origin_failure: _Percent | None = None
    interval: Annotated[Span, _ONE_MS] = "10s"
    base_ejection_time: Annotated[Span, _ONE_MS] = "30s"
    max_ejection_percent: _Percent = 10


class RetryBudget(Model):
    """Retries as a share of the requests."""

    budget_percent: _Percent | None = None
    budget_interval: Span | None = None
    min_retry_concurrency: _Int32 | None = None


class CircuitBreakers(Ruled):
    """What may be under way at once; what is beyond is answered with 503."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        at_least_one(
            ("maxConnections", "max_connections"),
            ("maxPendingRequests", "max_pending_requests"),
            ("maxRequests", "max_requests"),
            ("maxRetries", "max_retries"),
            ("retryBudget", "retry_budget"),
        ),
        at_most_one(("maxRetries", "max_retries"), ("retryBudget", "retry_budget")),
    )

    max_connections: _Positive | None = None
    max_pending_requests: _Positive | None = None
    max_requests: _Positive | None = None
    max_retries: _Int32 | None = None
    retry_budget: RetryBudget | None = None
    track_remaining: bool | None = None


class UpstreamProxyProtocol(Model):
    """Connections begin with the client's address."""

    version: Literal["V1", "V2"] = "V1"


_OWN: Final = (("", "Service"), (GROUP, "Backend"), ("networking.istio.io", "Hostname"))
_CHOSEN = named_kinds(*_OWN)
# Not kgateway's. By name alone: what clusters export need not stand anywhere as an object that has labels.
_NAMED = named_kinds(*_OWN, ("multicluster.x-k8s.io", "ServiceImport"))


class BackendConfigPolicySpec(Ruled):
    """BackendConfigPolicySpec."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        at_most_one(
            ("http1ProtocolOptions", "http1_protocol_options"), ("http2ProtocolOptions", "http2_protocol_options")
        ),
    )

    target_refs: Annotated[tuple[TargetReference, ...], Field(min_length=1, max_length=16), _NAMED] | None = None
    target_selectors: Annotated[tuple[TargetSelector, ...], _CHOSEN] | None = None
    connect_timeout: Annotated[Span, Field(description="5s when absent.")] | None = None
    dns: Dns | None = None
    per_connection_buffer_limit_bytes: _Int32 | None = None
    tcp_keepalive: TcpKeepalive | None = None
    common_http_protocol_options: CommonHttpProtocolOptions | None = None
    http1_protocol_options: Http1ProtocolOptions | None = None
    http2_protocol_options: Http2ProtocolOptions | None = None
    tls: Tls | None = None
    load_balancer: LoadBalancer | None = None
    health_check: HealthCheck | None = None
    outlier_detection: OutlierDetection | None = None
    circuit_breakers: CircuitBreakers | None = None
    upstream_proxy_protocol: UpstreamProxyProtocol | None = None


class BackendConfigPolicy(Object):
    """How backends are reached."""

    spec: BackendConfigPolicySpec


KINDS = (
    Kind(
        GROUP,
        "BackendConfigPolicy",
        "backendconfigpolicies",
        ("v1alpha1",),
        BackendConfigPolicy,
        crd=POLICY_RESOURCE,
        # Its tls: without it a backend would be spoken to in clear.
        guards=True,
    ),
)
