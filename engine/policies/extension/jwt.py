"""jwt: tokens are checked by the proxy (JwtAuthentication), against keys that are written out or that it fetches."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.config.route.v3 import RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwtHeader,
    JwtProvider,
    JwtRequirement,
    JwtRequirementOrList,
    RequirementRule,
)
from envoy_data_plane.google.protobuf import Empty

from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.json_web_key import key_set
from engine.policies.extension.section import Built, Section
from engine.policies.extension.tokens import Keys, claims_to_headers, remote_keys
from engine.policies.feature import Use
from engine.ref import Ref
from engine.resolve.manifest import held_fact, items, mapping, object_of, served_object, texts
from engine.resolve.values import Problem

PAYLOAD: Final = "payload"
"""Where in the metadata of envoy.filters.http.jwt_authn a token's claims are (kgateway's): rbac asks for them there."""
_KEY: Final = "jwks"


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


SECTION = Section("jwt", _built)
