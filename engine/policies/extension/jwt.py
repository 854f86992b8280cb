"""jwt: tokens are checked by the proxy (JwtAuthentication), against keys that are written out or that it fetches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, NamedTuple

from envoy_data_plane.envoy.config.core.v3 import BackoffStrategy, DataSource, HttpUri, RetryPolicy
from envoy_data_plane.envoy.config.route.v3 import RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwksAsyncFetch,
    JwtClaimToHeader,
    JwtHeader,
    JwtProvider,
    JwtRequirement,
    JwtRequirementOrList,
    RemoteJwks,
    RequirementRule,
)
from envoy_data_plane.google.protobuf import Empty

from engine.envoy.grpc_service import duration
from engine.envoy.names import cluster_name
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.json_web_key import key_set
from engine.policies.extension.section import Built, Section
from engine.policies.feature import Use
from engine.ref import Ref
from engine.resolve.backend_ref import referenced
from engine.resolve.manifest import held_fact, items, mapping, object_of, served_object, texts
from engine.resolve.values import BackendKey, Problem

PAYLOAD: Final = "payload"
"""Where in the metadata of envoy.filters.http.jwt_authn a token's claims are (kgateway's): rbac asks for them there."""
_KEY: Final = "jwks"
_TIMEOUT: Final = timedelta(seconds=5)
_CACHED: Final = timedelta(minutes=5)


class Keys(NamedTuple):
    """Fields of a JwtProvider, the cluster that they are fetched from, and whom they are of."""

    fields: dict[str, Any]
    backends: tuple[BackendKey, ...] = ()
    sources: tuple[Ref, ...] = ()


def _built(graph: Reader, use: Use, block: Json) -> Built | Problem:
    """Providers, and a requirement that holds for each request."""
    providers: dict[str, JwtProvider] = {}
    keys: list[Keys] = []
    for one in items(block.get("providers")):
        found = _keys(graph, use, mapping(one.get("jwks")))
        if isinstance(found, Problem):
            return Problem(found.reason, f"provider {one.get('name')}: {found.message}")
        keys.append(found)
        providers[f"{use.policy.name}_{use.policy.namespace}_{one.get('name')}"] = _provider(one, found)
    if not providers:
        return Problem("Invalid", "has no providers, so that no token could be good: add one")
    # By any prefix, an empty one too: a CONNECT has no path, and would pass without a token.
    rule = construct(
        RequirementRule,
        match=construct(RouteMatch, prefix=""),
        requires=_requirement(list(providers), is_missing_allowed=block.get("validationMode") == "AllowMissing"),
    )
    return Built(
        (("providers", providers), ("rules", [rule])),
        tuple(dict.fromkeys(key for one in keys for key in one.backends)),
        tuple(ref for one in keys for ref in one.sources),
    )


def _requirement(names: list[str], *, is_missing_allowed: bool) -> JwtRequirement:
    each = [construct(JwtRequirement, provider_name=name) for name in names]
    if is_missing_allowed:
        each.append(construct(JwtRequirement, allow_missing=construct(Empty)))
    if len(each) == 1:
        return each[0]
    return construct(JwtRequirement, requires_any=construct(JwtRequirementOrList, requirements=each))


def _provider(block: Json, keys: Keys) -> JwtProvider:
    source = mapping(block.get("tokenSource"))
    header, parameter = mapping(source.get("header")), source.get("queryParameter")
    claims = claims_to_headers(block)
    return construct(
        JwtProvider,
        issuer=str(block.get("issuer") or ""),
        audiences=list(texts(block.get("audiences"))),
        forward=bool(block.get("forwardToken")),
        from_headers=[construct(JwtHeader, name=str(header["header"]), value_prefix=str(header.get("prefix") or ""))]
        if header
        else [],
        from_params=[str(parameter)] if parameter else [],
        payload_in_metadata=PAYLOAD,
        claim_to_headers=claims,
        **keys.fields,
    )


def claims_to_headers(block: Json) -> list[JwtClaimToHeader]:
    """What backends are told of a token. Envoy drops what a client itself sends in these headers."""
    return [
        construct(JwtClaimToHeader, header_name=str(one.get("header")), claim_name=str(one.get("name")))
        for one in items(block.get("claimsToHeaders"))
    ]


def _keys(graph: Reader, use: Use, block: Json) -> Keys | Problem:
    remote = mapping(block.get("remote"))
    if remote:
        return remote_keys(graph, use, remote, mapping(remote.get("backendRef")))
    local = mapping(block.get("local"))
    name = mapping(local.get("configMapRef")).get("name")
    if name is None:
        return _local(str(local.get("inline") or ""), "jwks.local.inline")
    ref = Ref(use.policy.cluster, "", "ConfigMap", use.policy.namespace, str(name))
    told, object_ = f"ConfigMap {ref.namespace}/{ref.name}", served_object(graph, use.gateway, ref)
    if object_ is None:
        return Problem("Invalid", f"{told} does not exist: create it")
    if graph.fact(held_fact(use.gateway, ref)) and object_ == object_of(graph, ref):
        return Problem("Quarantined", f"{told} was rejected by a proxy and has no earlier revision: replace it")
    text = mapping(object_.get("data")).get(_KEY)
    if not text:
        return Problem("Invalid", f"{told} has no {_KEY}: add it")
    found = _local(str(text), f"{told}: {_KEY}")
    return found if isinstance(found, Problem) else found._replace(sources=(ref,))


def _local(text: str, place: str) -> Keys | Problem:
    written, problem = key_set(text)
    if problem is not None:
        return Problem("Invalid", f"{place} {problem}")
    return Keys({"local_jwks": construct(DataSource, inline_string=written)})


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
        retry_back_off=construct(
            BackoffStrategy,
            base_interval=duration(backoff.get("baseInterval")),
            max_interval=duration(backoff.get("maxInterval")),
        )
        if backoff
        else None,
    )


SECTION = Section("jwt", _built)
