"""A collector of access logs and spans, by the official definitions: Envoy's access log service, and OTLP over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy_data_plane.envoy.data.accesslog.v3 import HttpAccessLogEntry
from envoy_data_plane.envoy.service.accesslog.v3 import StreamAccessLogsMessage
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

_ALS = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
_SECONDS = 15.0


@dataclass(slots=True)
class Collector:
    """What came in. `metadata` is that of every call, `names` are those of logs, `entries` the requests of ALS.

    The first calls are `failing`, each as a server that cannot now (UNAVAILABLE); `failed` counts them.
    """

    failing: int = 0
    failed: int = 0

    names: list[str] = field(default_factory=list)
    entries: list[HttpAccessLogEntry] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, found: Callable[[], Any]) -> Any:
        """The first answer that is not empty; raises TimeoutError."""
        async with asyncio.timeout(_SECONDS):
            while not (answer := found()):
                self.heard.clear()
                await self.heard.wait()
        return answer

    async def may_fail(self, context: Any) -> None:
        """Ends the call when it is one of the first."""
        if self.failed < self.failing:
            self.failed += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    def told(self, context: Any) -> None:
        """A call came."""
        self.metadata.append({str(key): str(value) for key, value in context.invocation_metadata()})
        self.heard.set()


class _Logs(logs_service_pb2_grpc.LogsServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  the definition's name
        await self.collector.may_fail(context)
        self.collector.logs += request.resource_logs
        self.collector.told(context)
        return logs_service_pb2.ExportLogsServiceResponse()


class _Spans(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  the definition's name
        await self.collector.may_fail(context)
        self.collector.spans += request.resource_spans
        self.collector.told(context)
        return trace_service_pb2.ExportTraceServiceResponse()


class _AccessLogs(grpc.GenericRpcHandler):
    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    def service(self, details: Any) -> Any:
        return grpc.stream_unary_rpc_method_handler(self._stream) if details.method == _ALS else None

    async def _stream(self, requests: Any, context: Any) -> bytes:
        await self.collector.may_fail(context)
        async for request in requests:
            message = StreamAccessLogsMessage.parse(request)
            if message.identifier is not None:
                self.collector.names.append(message.identifier.log_name)
            self.collector.entries += message.http_logs.log_entry if message.http_logs is not None else []
            self.collector.told(context)
        return b""


@asynccontextmanager
async def collecting(address: str, failing: int = 0) -> AsyncIterator[Collector]:
    """A collector at `address` (with port)."""
    collector = Collector(failing=failing)
    server = grpc.aio.server()
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(_Logs(collector), server)
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Spans(collector), server)
    server.add_generic_rpc_handlers((_AccessLogs(collector),))
    assert server.add_insecure_port(address)
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(None)
