"""What several extensions do with tokens (RFC 7519): keys that a proxy fetches, and claims that backends are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, NamedTuple

from envoy_data_plane.envoy.config.core.v3 import HttpUri, RetryPolicy
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import JwksAsyncFetch, JwtClaimToHeader, RemoteJwks

from engine.envoy.grpc_service import backoff_strategy, duration
from engine.envoy.names import cluster_name
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Use
from engine.ref import Ref
from engine.resolve.backend_ref import referenced
from engine.resolve.manifest import items, mapping
from engine.resolve.values import BackendKey, Problem

_TIMEOUT: Final = timedelta(seconds=5)
_CACHED: Final = timedelta(minutes=5)


class Keys(NamedTuple):
    """Fields of a JwtProvider, the cluster that they are fetched from, and whom they are of."""

    fields: dict[str, Any]
    backends: tuple[BackendKey, ...] = ()
    sources: tuple[Ref, ...] = ()


def claims_to_headers(block: Json) -> list[JwtClaimToHeader]:
    """What backends are told of a token. Envoy drops what a client itself sends in these headers."""
    return [
        construct(JwtClaimToHeader, header_name=str(one.get("header")), claim_name=str(one.get("name")))
        for one in items(block.get("claimsToHeaders"))
    ]


def remote_keys(graph: Reader, use: Use, block: Json, backend_ref: Json) -> Keys | Problem:
    """Keys that the proxy fetches from a backend, by the block's url."""
    found = referenced(graph, use.policy, backend_ref)
    if isinstance(found, Problem):
        return found
    uri = construct(
        HttpUri, uri=str(block.get("url")), cluster=cluster_name(found[0], use.gateway.cluster), timeout=_TIMEOUT
    )
    fetched = construct(
        RemoteJwks,
        http_uri=uri,
        cache_duration=duration(block.get("cacheDuration")) or _CACHED,
        async_fetch=_async_fetch(block),
        retry_policy=_retry_policy(mapping(block.get("retryPolicy"))),
    )
    return Keys({"remote_jwks": fetched}, (found[0],))


def _async_fetch(block: Json) -> JwksAsyncFetch | None:
    if block.get("asyncFetch") is None:
        return None
    asked = mapping(block.get("asyncFetch"))
    return construct(
        JwksAsyncFetch,
        fast_listener=bool(asked.get("fastListener")),
        failed_refetch_duration=duration(asked.get("failedRefetchDuration")),
    )


def _retry_policy(block: Json) -> RetryPolicy | None:
    if not block:
        return None
    backoff = mapping(block.get("backOff"))
    return construct(
        RetryPolicy,
        num_retries=block.get("numRetries"),
        retry_back_off=backoff_strategy(backoff),
    )
