"""Access logs as kgateway's listener policies have them: their sinks, and the gRPC services that some are sent to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field

from engine.models.base import Model
from engine.models.duration import milliseconds
from engine.models.log_filter import LogFilter
from engine.models.references import WeightedBackendRef
from engine.models.rules import ListMap, Rule, Ruled, exactly_one
from engine.models.substitution import log_format_problem
from engine.models.texts import DURATION, is_token

_ANY = {"x-kubernetes-preserve-unknown-fields": True}
Block = Annotated[dict[str, Any], Field(json_schema_extra=_ANY)]
Duration = Annotated[str, Field(max_length=32, pattern=DURATION)]
"""kgateway's: of at most 32 characters."""
_UINT32 = Annotated[int, Field(ge=1, le=2**32 - 1, json_schema_extra={"format": "int64"})]
_DEEPEST: Final = 20


def format_problems(value: Any, place: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """What Envoy would not take of a format: of a text, or of all texts of a JSON value."""
    if depth > _DEEPEST:
        yield place, "is nested too deeply"
    elif isinstance(value, str):
        problem = log_format_problem(value)
        if problem is not None:
            yield place, f"{value[:64]!r} is no format: {problem}"
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from format_problems(one, f"{place}.{name}", depth + 1)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from format_problems(one, f"{place}[{number}]", depth + 1)


class FileSink(Ruled):
    """FileSink: a line a request, into a file of the proxy's."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("stringFormat", "string_format"), ("jsonFormat", "json_format")),)

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    string_format: str | None = None
    json_format: Block | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no command that it does not know."""
        yield from format_problems(self.string_format, "stringFormat")
        yield from format_problems(self.json_format, "jsonFormat")


class Backoff(Ruled):
    """BackoffStrategy."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    base_interval: Duration
    max_interval: Duration | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes neither no pause nor a longest one that is shorter than the first."""
        base, most = milliseconds(self.base_interval), milliseconds(self.max_interval)
        if not base:
            yield "baseInterval", "must be at least 1ms"
        if most is not None and most < (base or 1):
            yield "maxInterval", "must be at least baseInterval"


class RetryPolicy(Model):
    """RetryPolicy."""

    retry_back_off: Backoff | None = None
    num_retries: _UINT32 = 1


class MetadataValue(Ruled):
    """HeaderValue: an entry of a call's metadata."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    key: Annotated[str, Field(min_length=1, max_length=16384)]
    value: Annotated[str, Field(max_length=16384)] = ""

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no other name for a header, and formats its value."""
        if not is_token(self.key):
            yield "key", f"{self.key[:64]!r} is no header name"
        yield from format_problems(self.value, "value")
        if any(ord(one) < ord(" ") and one != "\t" for one in self.value):
            yield "value", "cannot contain control characters"


class GrpcService(Model):
    """CommonGrpcService: who is called, and how."""

    backend_ref: WeightedBackendRef
    authority: str | None = None
    max_receive_message_length: _UINT32 | None = None
    skip_envoy_headers: bool | None = None
    timeout: Duration | None = None
    initial_metadata: tuple[MetadataValue, ...] = ()
    retry_policy: RetryPolicy | None = None


class NamedGrpcService(GrpcService):
    """CommonAccessLogGrpcService."""

    log_name: str | None = None


def _names(names: Iterable[str], place: str) -> Iterator[tuple[str, str]]:
    for number, name in enumerate(names):
        if not is_token(name.removeprefix(":")):
            yield f"{place}[{number}]", f"{name[:64]!r} is no header name"


class GrpcSink(NamedGrpcService, Ruled):
    """AccessLogGrpcService: Envoy's access log service."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    additional_request_headers_to_log: tuple[str, ...] = ()
    additional_response_headers_to_log: tuple[str, ...] = ()
    additional_response_trailers_to_log: tuple[str, ...] = ()

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy ends itself for a header's name that is none."""
        yield from _names(self.additional_request_headers_to_log, "additionalRequestHeadersToLog")
        yield from _names(self.additional_response_headers_to_log, "additionalResponseHeadersToLog")
        yield from _names(self.additional_response_trailers_to_log, "additionalResponseTrailersToLog")


class PlainValue(Ruled):
    """AnyValue: a text, a list, or pairs; what is inside of the latter two is again such a value."""

    FORMATTED: ClassVar[bool] = False

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})
    RULES: ClassVar[tuple[Rule, ...]] = ()

    string_value: str | None = None
    array_value: tuple[Block, ...] | None = None
    kv_list_value: Block | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """One of them, and formats that Envoy knows."""
        written = {"stringValue": self.string_value, "arrayValue": self.array_value, "kvListValue": self.kv_list_value}
        problems = _any_problems({name: one for name, one in written.items() if one is not None}, "", 0)
        yield from (one for one in problems if self.FORMATTED or "no format" not in one[1])


class AnyValue(PlainValue):
    """As PlainValue; its texts are formats."""

    FORMATTED: ClassVar[bool] = True


def _any_problems(value: Any, place: str, depth: int) -> Iterator[tuple[str, str]]:
    """What of a value is none (AnyValueRecursive)."""
    below = f"{place}." if place else ""
    if depth > _DEEPEST:
        yield place, "is nested too deeply"
    elif not isinstance(value, Mapping) or len(value) != 1:
        yield place, "must have exactly one of stringValue, arrayValue and kvListValue"
    elif isinstance(text := value.get("stringValue"), str):
        yield from format_problems(text, f"{below}stringValue")
    elif isinstance(many := value.get("arrayValue"), list | tuple):
        for number, one in enumerate(many):
            yield from _any_problems(one, f"{below}arrayValue[{number}]", depth + 1)
    elif isinstance(pairs := value.get("kvListValue"), Mapping):
        yield from _pairs_problems(pairs, f"{below}kvListValue", depth + 1)
    else:
        yield place, "must have exactly one of stringValue, arrayValue and kvListValue, each of its own type"


def _pairs_problems(pairs: Mapping[str, Any], place: str, depth: int) -> Iterator[tuple[str, str]]:
    values = pairs.get("values")
    if not isinstance(values, list | tuple) or set(pairs) != {"values"}:
        yield place, "must have values, and nothing else"
        return
    for number, one in enumerate(values):
        at = f"{place}.values[{number}]"
        if not isinstance(one, Mapping) or set(one) != {"key", "value"} or not isinstance(one["key"], str):
            yield at, "must have a key, which is a text, and a value"
        else:
            yield from _any_problems(one["value"], f"{at}.value", depth)


class Pair(Model):
    """KeyAnyValue."""

    key: Annotated[str, Field(min_length=1)]
    value: AnyValue


class PlainPair(Model):
    """KeyAnyValue of a resource, which Envoy does not format."""

    key: Annotated[str, Field(min_length=1)]
    value: PlainValue


class Pairs(Model):
    """KeyAnyValueList: keys differ."""

    values: Annotated[tuple[Pair, ...], ListMap("key")] = ()


class PlainPairs(Model):
    """KeyAnyValueList of a resource."""

    values: Annotated[tuple[PlainPair, ...], ListMap("key")] = ()


class TelemetrySink(Model):
    """OpenTelemetryAccessLogService."""

    grpc_service: NamedGrpcService
    body: str | None = None
    disable_builtin_labels: bool | None = None
    resource_attributes: PlainPairs | None = None
    attributes: Pairs | None = None


class AccessLog(Ruled):
    """AccessLog: one sink, and which requests go there."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 2})
    RULES: ClassVar[tuple[Rule, ...]] = ()

    file_sink: FileSink | None = None
    grpc_service: GrpcSink | None = None
    open_telemetry: TelemetrySink | None = None
    filter: LogFilter | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """A log without sink goes nowhere."""
        sinks = [one for one in (self.file_sink, self.grpc_service, self.open_telemetry) if one is not None]
        if len(sinks) != 1:
            yield "", "exactly one of fileSink, grpcService and openTelemetry must be set"
        body = self.open_telemetry.body if self.open_telemetry is not None else None
        yield from format_problems(body, "openTelemetry.body")
