"""Services that proxies ask, by the official definitions: authorization, processing and rate limits, on one port.

A request's own headers steer them: `x-answer: no` is denied, or limited; `x-answer: slow` is answered after two seconds,
and `x-answer: flaky KEY` only when it is asked with that key the third time, before that with UNAVAILABLE.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption
from envoy_data_plane.envoy.service.auth.v3 import CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy_data_plane.envoy.service.ext_proc.v3 import (
    BodyMutation,
    BodyResponse,
    CommonResponse,
    HeaderMutation,
    HeadersResponse,
    ImmediateResponse,
    ProcessingRequest,
    ProcessingResponse,
    TrailersResponse,
)
from envoy_data_plane.envoy.service.ratelimit.v3 import RateLimitRequest, RateLimitResponse, RateLimitResponseCode
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.google.rpc import Status

_CHECK = "/envoy.service.auth.v3.Authorization/Check"
_PROCESS = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
_LIMIT = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
_PARTS = ("request_headers", "response_headers", "request_body", "response_body", "request_trailers", "response_trailers")
_DENIED = 7
_THIRD = 3
_SLOW_SECONDS = 2.0


@dataclass(slots=True)
class Services:
    """What they were asked, in order: of processing (request's path, part, message) each."""

    checks: list[CheckRequest] = field(default_factory=list)
    parts: list[tuple[str, str, ProcessingRequest]] = field(default_factory=list)
    limits: list[RateLimitRequest] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def check(self, raw: bytes, context: Any) -> bytes:
        """Lets pass: to the backend `x-user: ann` in place of `x-secret`, to the client `x-checked`."""
        request = CheckRequest.parse(raw)
        assert request.attributes is not None
        assert request.attributes.request is not None
        assert request.attributes.request.http is not None
        self.checks.append(request)
        if await self._steered(request.attributes.request.http.headers.get("x-answer", ""), context) == "no":
            denied = DeniedHttpResponse(
                status=HttpStatus(code=StatusCode(401)), headers=[_header("x-why", "nobody")], body="who are you?"
            )
            return bytes(CheckResponse(status=Status(code=_DENIED), denied_response=denied))
        passed = OkHttpResponse(
            headers=[_header("x-user", "ann")],
            headers_to_remove=["x-secret"],
            response_headers_to_add=[_header("x-checked", "yes")],
        )
        return bytes(CheckResponse(status=Status(code=0), ok_response=passed))

    async def process(self, messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """Marks headers with `x-processed-request` and `x-processed-response`, and writes bodies in capitals."""
        path = ""
        async for raw in messages:
            message = ProcessingRequest.parse(raw)
            part = next(one for one in _PARTS if getattr(message, one) is not None)
            headers = _headers_of(message)
            path = headers.get(":path", path)
            self.parts.append((path, part, message))
            self.heard.set()
            if await self._steered(headers.get("x-answer", ""), context) == "no":
                answer = ImmediateResponse(status=HttpStatus(code=StatusCode(402)), body=b"pay first")
                yield bytes(ProcessingResponse(immediate_response=answer))
                return
            yield bytes(_processed(part, message))

    async def limit(self, raw: bytes, context: Any) -> bytes:
        """Over the limit is what has a descriptor with the value `no`."""
        request = RateLimitRequest.parse(raw)
        self.limits.append(request)
        values = {entry.value for one in request.descriptors for entry in one.entries}
        said = [await self._steered(value, context) for value in sorted(values)]
        code = RateLimitResponseCode.OVER_LIMIT if "no" in said else RateLimitResponseCode.OK
        return bytes(RateLimitResponse(overall_code=code))

    async def _steered(self, answer: str, context: Any) -> str:
        word, _, key = answer.partition(" ")
        if word == "slow":
            await asyncio.sleep(_SLOW_SECONDS)
        if word == "flaky":
            self.asked[key] += 1
            if self.asked[key] < _THIRD:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        return word


def _header(name: str, value: str) -> HeaderValueOption:
    return HeaderValueOption(header=HeaderValue(key=name, value=value))


def _headers_of(message: ProcessingRequest) -> dict[str, str]:
    sent = message.request_headers
    if sent is None or sent.headers is None:
        return {}
    return {one.key: one.value or one.raw_value.decode() for one in sent.headers.headers}


def _processed(part: str, message: ProcessingRequest) -> ProcessingResponse:
    if part.endswith("trailers"):
        return ProcessingResponse(**{part: TrailersResponse()})
    if part.endswith("body"):
        body = getattr(message, part).body.upper()
        return ProcessingResponse(**{part: BodyResponse(response=CommonResponse(body_mutation=BodyMutation(body=body)))})
    name = f"x-processed-{part.partition('_')[0]}"
    mark = HeaderValueOption(header=HeaderValue(key=name, raw_value=b"yes"))
    changed = CommonResponse(header_mutation=HeaderMutation(set_headers=[mark]))
    return ProcessingResponse(**{part: HeadersResponse(response=changed)})


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, services: Services) -> None:
        self.services = services

    def service(self, details: Any) -> Any:
        if details.method == _PROCESS:
            return grpc.stream_stream_rpc_method_handler(self.services.process)
        unary = {_CHECK: self.services.check, _LIMIT: self.services.limit}
        return grpc.unary_unary_rpc_method_handler(unary[details.method]) if details.method in unary else None


@asynccontextmanager
async def serving(address: str) -> AsyncIterator[Services]:
    """The services at `address` (with port)."""
    services = Services()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handler(services),))
    assert server.add_insecure_port(address)
    await server.start()
    try:
        yield services
    finally:
        await server.stop(None)
