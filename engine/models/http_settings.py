"""HTTPSettings of kgateway: how requests of a listener are read, told of and answered before any route."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from engine.models.access_log import AccessLog, Block, Duration, format_problems
from engine.models.base import Model
from engine.models.header_changes import HeaderChanges
from engine.models.log_filter import LogFilter
from engine.models.quantity import Quantity, whole
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.texts import INT32, has_control_characters
from engine.models.tracing import Tracing

_HEALTH_PATH: Final = r"^/[-a-zA-Z0-9@:%.+~#?&/=_]+$"
_Int32 = {"format": "int32"}
_Count = Annotated[int, Field(ge=1, le=INT32, json_schema_extra=_Int32)]
_Number = Annotated[int, Field(ge=0, le=INT32, json_schema_extra=_Int32)]
_Name = Annotated[str, Field(min_length=1, max_length=4096)]
WINDOW: Final = (65_535, 2**31 - 1)
"""Bytes of a window of HTTP/2 (RFC 9113 §6.9.2, and Envoy's own rule)."""
_LEAST_STATUS: Final = 200


class BodyFormat(Ruled):
    """BodyFormat: what a local reply says; %LOCAL_REPLY_BODY% is what it would have said."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("json", "json_"), ("text", "text")),)

    content_type: Annotated[str, Field(max_length=4096)] | None = None
    text: str | None = None
    json_: Annotated[Block | None, Field(alias="json")] = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no command that it does not know, and no line end in a header."""
        yield from format_problems(self.text, "text")
        yield from format_problems(self.json_, "json")
        if has_control_characters(self.content_type or ""):
            yield "contentType", "cannot contain control characters"


class LocalReplyMapper(Ruled):
    """LocalReplyMapper: what becomes of the local replies that a filter chooses."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    filter: LogFilter
    status_code: Annotated[int, Field(ge=100, le=599, json_schema_extra=_Int32)] | None = None
    body: str | None = None
    body_format_override: BodyFormat | None = None
    headers: HeaderChanges | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy makes no answer of an informational status, and removes no header of a local reply."""
        if self.status_code is not None and self.status_code < _LEAST_STATUS:
            yield "statusCode", f"{self.status_code} is no final status: use one from {_LEAST_STATUS} on"
        if self.headers is not None and self.headers.remove is not None:
            yield "headers.remove", "is not to be had: Envoy adds headers to a local reply, and removes none"


class LocalReplies(Model):
    """LocalReplyConfig."""

    default_body_format: BodyFormat | None = None
    mappers: Annotated[tuple[LocalReplyMapper, ...], Field(min_length=1, max_length=16)] | None = None


class UpgradeConfig(Ruled):
    """UpgradeConfig: protocols that a request may change to (Upgrade header, or CONNECT)."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    enabled_upgrades: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes each once, however it is spelled."""
        names = [one.lower() for one in self.enabled_upgrades]
        for number, name in enumerate(names):
            if name in names[:number]:
                yield f"enabledUpgrades[{number}]", f"{name[:64]!r} is there already: remove one of them"


class Http2Options(Ruled):
    """ListenerHTTP2ProtocolOptions; windows in bytes."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    initial_stream_window_size: Quantity | None = None
    initial_connection_window_size: Quantity | None = None
    max_concurrent_streams: _Count | None = None
    allow_connect: bool | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """The limits of the protocol."""
        least, most = WINDOW
        for name, value in (
            ("initialStreamWindowSize", self.initial_stream_window_size),
            ("initialConnectionWindowSize", self.initial_connection_window_size),
        ):
            if value is not None and not least <= (whole(value) or 0) <= most:
                yield name, f"must be from {least} to {most} bytes"


class HealthCheck(Model):
    """EnvoyHealthCheck: a path that the proxy answers itself."""

    path: Annotated[str, Field(max_length=2048, pattern=_HEALTH_PATH)]


class CertificateDetails(Model):
    """SetCurrentClientCertDetails: what x-forwarded-client-cert tells of the client's certificate."""

    subject: bool | None = None
    cert: bool | None = None
    chain: bool | None = None
    dns: bool | None = None
    uri: bool | None = None


class ForwardClientCert(Model):
    """ForwardClientCertDetails."""

    mode: Literal["Sanitize", "ForwardOnly", "AppendForward", "SanitizeSet", "AlwaysForwardOnly"] | None = None
    details: CertificateDetails | None = None


class RequestId(Model):
    """UuidRequestIdConfig."""

    pack_trace_reason: bool | None = None
    use_request_id_for_trace_sampling: bool | None = None


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text and "%" not in text


class HttpSettings(Ruled):
    """HTTPSettings."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    access_log: Annotated[tuple[AccessLog, ...], Field(max_length=16)] | None = None
    tracing: Tracing | None = None
    local_replies: LocalReplies | None = None
    upgrade_config: UpgradeConfig | None = None
    use_remote_address: bool | None = None
    preserve_external_request_id: bool | None = None
    generate_request_id: bool | None = None
    xff_num_trusted_hops: _Number | None = None
    xff_trusted_cidrs: Annotated[
        Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(min_length=1)] | None,
        Field(alias="xffTrustedCIDRs"),
    ] = None
    skip_xff_append: Annotated[bool | None, Field(alias="skipXFFAppend")] = None
    server_header_transformation: Literal["Overwrite", "AppendIfAbsent", "PassThrough"] | None = None
    server_name: _Name | None = None
    stream_idle_timeout: Duration | None = None
    idle_timeout: Duration | None = None
    max_requests_per_connection: _Number | None = None
    max_headers_count: _Count | None = None
    http2_protocol_options: Http2Options | None = None
    health_check: HealthCheck | None = None
    preserve_http1_header_case: bool | None = None
    accept_http10: bool | None = None
    default_host_for_http10: _Name | None = None
    early_request_header_modifier: HeaderChanges | None = None
    forward_client_cert_details: ForwardClientCert | None = None
    max_request_headers_kb: Annotated[int, Field(ge=1, le=8192, json_schema_extra=_Int32)] | None = None
    uuid_request_id_config: RequestId | None = None
    strip_host_port_mode: Literal["MatchingPort", "AnyPort"] | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """What Envoy does not take together, and addresses that are none."""
        for number, one in enumerate(self.xff_trusted_cidrs or ()):
            if not _is_network(one):
                yield f"xffTrustedCIDRs[{number}]", f"{one!r} is no range of addresses: write it as 10.0.0.0/8"
        if self.xff_trusted_cidrs is not None:
            yield from _not_with_ranges(self)
        for name, text in (("serverName", self.server_name), ("defaultHostForHttp10", self.default_host_for_http10)):
            if has_control_characters(text or ""):
                yield name, "cannot contain control characters"


def _not_with_ranges(settings: Any) -> Iterator[tuple[str, str]]:
    if settings.xff_num_trusted_hops is not None:
        yield "xffNumTrustedHops", "is another way than xffTrustedCIDRs to say whom to believe: remove one of them"
    if settings.use_remote_address is True:
        yield "useRemoteAddress", "true believes nobody, and xffTrustedCIDRs names whom to believe: remove one of them"
