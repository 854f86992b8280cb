"""A service that a GatewayExtension names, as Envoy calls it (ExtGrpcService, ExtSvcRetryPolicy)."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import GrpcService, GrpcServiceEnvoyGrpc, RetryPolicy

from engine.envoy.grpc_service import AGAIN, backoff_strategy, duration
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.resolve.manifest import mapping

HTTP: Final = "5xx"
"""What a call by HTTP is made again for; connections that fail are in it."""


def grpc_service(cluster: str, block: Json) -> GrpcService:
    """The service at a cluster."""
    target = construct(GrpcServiceEnvoyGrpc, cluster_name=cluster, authority=str(block.get("authority") or ""))
    return construct(
        GrpcService,
        envoy_grpc=target,
        timeout=duration(block.get("requestTimeout")),
        retry_policy=retry_policy(block, AGAIN),
    )


def retry_policy(block: Json, retry_on: str) -> RetryPolicy | None:
    """How a call that failed is made again; None where it is not."""
    retry = block.get("retry")
    attempts = mapping(retry).get("attempts", 1)
    if retry is None or not attempts:
        return None
    backoff = mapping(mapping(retry).get("backoff"))
    return construct(
        RetryPolicy,
        num_retries=int(attempts),
        retry_on=retry_on,
        retry_back_off=backoff_strategy(backoff),
    )
