"""An OTLP receiver: what OpenTelemetry's exporters send, over HTTP and over gRPC."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Step:
    """A span as it came; ids in hex, `parent` "" for none, times in seconds since 1970."""

    name: str
    trace: str
    id: str
    parent: str
    began: float
    ended: float
    error: str
    attributes: dict[str, Any]
    process: dict[str, Any]


@dataclass
class Collector:
    """All that came."""

    steps: list[Step] = field(default_factory=list)
    port: int = 0

    def take(self, body: bytes) -> None:
        for some in ExportTraceServiceRequest.FromString(body).resource_spans:
            process = _values(some.resource.attributes)
            for one in (span for scope in some.scope_spans for span in scope.spans):
                times = one.start_time_unix_nano / 1e9, one.end_time_unix_nano / 1e9
                ids = one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex()
                self.steps.append(Step(one.name, *ids, *times, one.status.message, _values(one.attributes), process))

    def chains(self, *names: str) -> list[list[Step]]:
        """Steps that follow one another, each the parent of the next, of these names."""
        found = [[one] for one in self.steps if one.name == names[0] and not one.parent]
        for name in names[1:]:
            found = [
                [*chain, one]
                for chain in found
                for one in self.steps
                if (one.name, one.trace, one.parent) == (name, chain[-1].trace, chain[-1].id)
            ]
        return found


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def http_collector() -> Iterator[Collector]:
    collector = Collector()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802  the library's word
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    collector.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def grpc_collector() -> Iterator[Collector]:
    collector = Collector()

    def export(body: bytes, _: Any) -> bytes:
        collector.take(body)
        return ExportTraceServiceResponse().SerializeToString()

    server = grpc.server(ThreadPoolExecutor(1))
    method = grpc.unary_unary_rpc_method_handler(export)
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()
