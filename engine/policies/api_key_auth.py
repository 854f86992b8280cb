"""apiKeyAuth: a key is asked for, in a header, a query parameter or a cookie, and looked up among a Secret's."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from envoy_data_plane.envoy.extensions.filters.http.api_key_auth.v3 import (
    ApiKeyAuth,
    ApiKeyAuthPerRoute,
    Credential,
    Forwarding,
    KeySource,
)

from engine.envoy.effect import Effect, of_filter, switched
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Filter, Stage, Use, is_off
from engine.resolve.manifest import items, mapping
from engine.resolve.secret_key import named_secret, secret_values
from engine.resolve.values import Problem

NAME: Final = "envoy.filters.http.api_key_auth"
_TYPE: Final = "envoy.extensions.filters.http.api_key_auth.v3"


_HEADER: Final = "api-key"


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:
    """ApiKeyAuthPerRoute, sealed."""
    if is_off(value):
        return switched(NAME, off=True)
    if value.get("secretSelector") is not None:
        # engine/outputs/channels.py, ON_REQUEST: of a cluster's Secrets those that are named are all that is read.
        text = (
            "penstock reads only Secrets that are named, and cannot tell which have these labels: name one by secretRef"
        )
        return Problem("Invalid", f"secretSelector is not served: {text}")
    reference = mapping(value.get("secretRef"))
    credentials = _credentials(graph, use, reference)
    if isinstance(credentials, Problem):
        return credentials
    sources = [one for asked in items(value.get("keySources")) for one in _sources(asked)]
    forwarding = construct(
        Forwarding,
        header=str(value.get("clientIdHeader") or ""),
        hide_credentials=not value.get("forwardCredential"),
    )
    message = construct(
        ApiKeyAuthPerRoute,
        credentials=credentials,
        key_sources=sources or [construct(KeySource, header=_HEADER)],
        forwarding=forwarding,
    )
    found = of_filter(NAME, f"{_TYPE}.ApiKeyAuthPerRoute", message, sealed=True)
    return replace(found, sources=(named_secret(use.policy, reference),))


def _sources(asked: Json) -> list[KeySource]:
    # Envoy looks at one place of each only, whether there is a key or not: each place becomes one.
    return [
        construct(KeySource, **{name: str(asked[name])}) for name in ("header", "query", "cookie") if asked.get(name)
    ]


def _credentials(graph: Reader, use: Use, reference: Json) -> list[Credential] | Problem:
    kind = (reference.get("group") or "", reference.get("kind") or "Secret")
    if kind != ("", "Secret"):
        return Problem("Invalid", f"secretRef names a {kind[1]} of group {kind[0]!r}: name a Secret")
    secret = named_secret(use.policy, reference)
    values = secret_values(graph, use.gateway, use.policy, secret)
    if isinstance(values, Problem):
        return values
    told = f"Secret {secret.namespace}/{secret.name}"
    found: dict[str, str] = {}
    for client, raw in sorted(values.items()):
        key = raw.decode(errors="replace").strip()
        if not key:
            return Problem("Invalid", f"{told} has no key for {client}: give it one, or remove {client}")
        if key in found:
            return Problem("Invalid", f"{told} has one key for {found[key]} and {client}: give each its own")
        found[key] = client
    if not found:
        return Problem("Invalid", f"{told} has no keys: add one")
    return [construct(Credential, key=key, client=client) for key, client in found.items()]


FEATURE = Feature(
    "apiKeyAuth",
    effect,
    # It stands there without any key, so that nobody would come in without a policy's own.
    (
        Filter(
            NAME,
            f"{_TYPE}.ApiKeyAuth",
            construct(ApiKeyAuth, key_sources=[construct(KeySource, header=_HEADER)]),
            Stage.AUTHN,
        ),
    ),
    guards=True,
)
