"""Traces as OpenTelemetry has them, sent by OTLP: the only file that knows its libraries.

What is sent where, how much of it and how often say the standard variables (OTEL_...), which the library reads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Final

from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from streams.telemetry.traces import Attributes, Span, Traces

_FLUSH_SECONDS: Final = 2.0
"""For what was not sent yet: a process that ends must not wait for a collector that is away."""
_NANOSECONDS: Final = 1_000_000_000
_CONTEXT: Final = TraceContextTextMapPropagator()


class _Span(Span):
    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        _CONTEXT.inject(carrier, set_span_in_context(span))
        self.traceparent = carrier.get("traceparent", "")

    def end(self, error: str = "") -> None:
        """See `Span.end`."""
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


class OtlpTraces(Traces):
    """`labels` say which role of which cluster it is."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        named = OTELResourceDetector().detect().attributes
        attributes = {f"penstock.{name}": value for name, value in labels.items()}
        service = {} if SERVICE_NAME in named else {SERVICE_NAME: "penstock"}
        resource = Resource.create({**attributes, **service})
        # Ended by `close`: the library's own end waits for a collector that is away.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_exporter()))
        self._tracer = self._provider.get_tracer("penstock")

    def begin(
        self, name: str, parent: str = "", *, at: float | None = None, attributes: Attributes | None = None
    ) -> Span:
        """See `Traces.begin`."""
        context = _CONTEXT.extract({"traceparent": parent})
        start = None if at is None else int(at * _NANOSECONDS)
        return _Span(self._tracer.start_span(name, context, start_time=start, attributes=dict(attributes or {})))

    def close(self) -> None:
        """Send what was not sent yet, if that can be done in a moment."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_FLUSH_SECONDS)


def _exporter() -> SpanExporter:
    """By the protocol that the variables name; OTLP's own default is HTTP. Raises ValueError for another one."""
    names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    name = next((found for one in names if (found := os.environ.get(one, "").strip())), "http/protobuf")
    match name:
        case "http/protobuf":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

            return OTLPSpanExporter()
        case "grpc":
            from opentelemetry.exporter.otlp.proto.grpc import trace_exporter  # noqa: PLC0415

            return trace_exporter.OTLPSpanExporter()
        case _:
            msg = f"OTEL_EXPORTER_OTLP_PROTOCOL: {name!r} is not spoken here: give http/protobuf or grpc"
            raise ValueError(msg)
