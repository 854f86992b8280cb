"""A gRPC service that Envoy calls, as kgateway's blocks say how (CommonGrpcService)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from envoy_data_plane.envoy.config.core.v3 import (
    BackoffStrategy,
    GrpcService,
    GrpcServiceEnvoyGrpc,
    HeaderValue,
    RetryPolicy,
)

from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.models.duration import milliseconds
from engine.resolve.manifest import items, mapping

AGAIN: Final = "connect-failure,refused-stream,reset,unavailable"
"""What a call is made again for. Measured: without a word of when, Envoy makes no call again
(docs/decisions/0033-filters-of-extensions.md)."""


def backoff_strategy(block: Json) -> BackoffStrategy | None:
    """The pauses before a service is asked again; None where nothing is said of them."""
    if not block:
        return None
    return construct(
        BackoffStrategy,
        base_interval=duration(block.get("baseInterval")),
        max_interval=duration(block.get("maxInterval")),
    )


def duration(text: object) -> timedelta | None:
    """A manifest's duration; None for none."""
    found = milliseconds(text)
    return timedelta(milliseconds=found) if found is not None else None


def grpc_service(cluster: str, block: Json) -> GrpcService:
    """The service at a cluster."""
    target = construct(
        GrpcServiceEnvoyGrpc,
        cluster_name=cluster,
        authority=str(block.get("authority") or ""),
        max_receive_message_length=block.get("maxReceiveMessageLength"),
        skip_envoy_headers=bool(block.get("skipEnvoyHeaders")),
    )
    return construct(
        GrpcService,
        envoy_grpc=target,
        timeout=duration(block.get("timeout")),
        initial_metadata=[
            construct(HeaderValue, key=str(one.get("key")), value=str(one.get("value") or ""))
            for one in items(block.get("initialMetadata"))
        ],
        retry_policy=retry_policy(block),
    )


def retry_policy(block: Json) -> RetryPolicy | None:
    """How a broken stream is begun anew; None where nothing is said of it."""
    policy = mapping(block.get("retryPolicy"))
    if not policy:
        return None
    backoff = mapping(policy.get("retryBackOff"))
    return construct(
        RetryPolicy,
        num_retries=int(policy.get("numRetries") or 1),
        retry_on=AGAIN,
        retry_back_off=backoff_strategy(backoff),
    )
