"""A stream whose reader or writer ends is ended whole, over real gRPC: a proxy that hears nothing would stay as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from engine.envoy.fragment import content_hash
from engine.envoy.wire import frame
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.xds import server
from streams.xds.messages import CLUSTER, Node, Request, encode_request, parse_response
from streams.xds.session import Session
from streams.xds.stream import Publication, Report
from tests.streams.toy import until
from tests.xds.test_session import GATEWAY

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


def cluster(name: str, size: int = 0) -> dict[FragmentKey, Fragment]:
    payload = frame(1, name.encode()) + (frame(28, b"x" * size) if size else b"")
    one = Fragment(FragmentKey(GATEWAY, FragmentKind.CLUSTER, name), payload, content_hash(payload))
    return {one.key: one}


@asynccontextmanager
async def connected(publication: Publication) -> AsyncIterator[Any]:
    async with (
        server.serve(publication, "127.0.0.1:0", lambda _gateway, _token: True) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]) as channel,
    ):
        call = channel.stream_stream(_METHOD)()
        await call.write(encode_request(Request(CLUSTER, Node("p", str(GATEWAY), "1.40.0"))))
        yield call


def published(reports: list[Report]) -> Publication:
    publication = Publication(Sealer(bytes(KEY_BYTES)), reports.append)
    publication.apply(cluster("c"), 1)
    return publication


async def is_reported(reports: list[Report], event: str) -> bool:
    return bool(reports) and reports[-1].event == event


@pytest.mark.parametrize("method", ["responses", "received"])
async def test_a_defect_of_a_session_ends_its_stream(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    reports: list[Report] = []
    publication = published(reports)
    with capture_logs() as logs:
        async with connected(publication) as call:
            response = parse_response(await call.read())

            def defect(*_: Any) -> None:
                raise KeyError("defect")

            monkeypatch.setattr(Session, method, defect)
            await call.write(encode_request(Request(CLUSTER, nonce=response.nonce)))
            publication.apply(cluster("d"), 2)
            async with asyncio.timeout(240):
                assert await call.code() is grpc.StatusCode.INTERNAL
            await until(lambda: is_reported(reports, "disconnected"))
    assert [(one["proxy"], one["reason"]) for one in logs if one["log_level"] == "error"] == [
        ("p", "KeyError: 'defect'")
    ]


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_WRITE_SECONDS", 0.5)
    reports: list[Report] = []
    publication = published(reports)
    for number in range(4):
        publication.apply(cluster(f"big{number}", 4 << 20), 1)
    with capture_logs() as logs:
        async with connected(publication) as call:
            async with asyncio.timeout(240):
                await until(lambda: is_reported(reports, "disconnected"))
                # It finds so as soon as it looks.
                with pytest.raises(grpc.aio.AioRpcError) as ended:
                    while await call.read() is not grpc.aio.EOF:
                        pass
                assert ended.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert [one["event"] for one in logs if one["log_level"] == "warning"] == [
        "a proxy does not read: its stream is ended"
    ]


async def test_what_is_no_request_ends_the_stream_with_the_reason() -> None:
    async with connected(published([])) as call:
        await call.read()
        await call.write(b"\xff\xff")
        async with asyncio.timeout(240):
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "not a DeltaDiscoveryRequest" in await call.details()
