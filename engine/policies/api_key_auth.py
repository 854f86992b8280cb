"""apiKeyAuth: a key is asked for, in a header, a query parameter or a cookie, and looked up among Secrets'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

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
from engine.models.texts import has_control_characters
from engine.observed import selection_ref
from engine.policies.feature import Feature, Filter, Stage, Use, is_off, refused
from engine.ref import Ref
from engine.resolve.manifest import created, items, mapping
from engine.resolve.secret_key import named_secret, secret_values, selected_values
from engine.resolve.selection import selected, selection_text
from engine.resolve.values import Problem

NAME: Final = "envoy.filters.http.api_key_auth"
_TYPE: Final = "envoy.extensions.filters.http.api_key_auth.v3"


_HEADER: Final = "api-key"


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:
    """ApiKeyAuthPerRoute, sealed."""
    if is_off(value):
        return switched(NAME, off=True)
    selector = value.get("secretSelector")
    found = _named(graph, use, mapping(value.get("secretRef"))) if selector is None else _chosen(graph, use, selector)
    if isinstance(found, Problem):
        return found
    sources = [one for asked in items(value.get("keySources")) for one in _sources(asked)]
    forwarding = construct(
        Forwarding,
        header=str(value.get("clientIdHeader") or ""),
        hide_credentials=not value.get("forwardCredential"),
    )
    message = construct(
        ApiKeyAuthPerRoute,
        credentials=[construct(Credential, key=key, client=client) for key, client in found.clients.items()],
        key_sources=sources or [construct(KeySource, header=_HEADER)],
        forwarding=forwarding,
    )
    made = of_filter(NAME, f"{_TYPE}.ApiKeyAuthPerRoute", message, sealed=True)
    return replace(made, sources=found.secrets, problems=found.problems)


def _sources(asked: Json) -> list[KeySource]:
    # Envoy looks at one place of each only, whether there is a key or not: each place becomes one.
    return [
        construct(KeySource, **{name: str(asked[name])}) for name in ("header", "query", "cookie") if asked.get(name)
    ]


class _Keys(NamedTuple):
    """Whose each key is, the Secrets that they are of, and what of these is left out."""

    clients: dict[str, str]
    secrets: tuple[Ref, ...]
    problems: tuple[Problem, ...] = ()


# -- a Secret by its name ---------------------------------------------------------------------------------------------


def _named(graph: Reader, use: Use, reference: Json) -> _Keys | Problem:
    kind = (reference.get("group") or "", reference.get("kind") or "Secret")
    if kind != ("", "Secret"):
        return Problem("Invalid", f"secretRef names a {kind[1]} of group {kind[0]!r}: name a Secret")
    secret = named_secret(use.policy, reference)
    values = secret_values(graph, use.gateway, use.policy, secret)
    if isinstance(values, Problem):
        return values
    told = f"Secret {secret.namespace}/{secret.name}"
    found: dict[str, str] = {}
    for client, key in _clients(values):
        if not key:
            return Problem("Invalid", f"{told} {_lacking(client, key)}")
        if key in found:
            return Problem("Invalid", f"{told} has one key for {found[key]} and {client}: give each its own")
        found[key] = client
    if not found:
        return Problem("Invalid", f"{told} has no keys: add one")
    return _Keys(found, (secret,))


def _clients(values: Mapping[str, bytes]) -> list[tuple[str, str | None]]:
    """Clients with their keys; None is what no client can send."""
    return [(client, _key(raw)) for client, raw in sorted(values.items())]


def _key(raw: bytes) -> str | None:
    try:
        key = raw.decode().strip()
    except UnicodeDecodeError:
        # With something in place of what is no text two keys could become one.
        return None
    return None if has_control_characters(key) else key


def _lacking(client: str, key: str | None) -> str:
    """What is wrong with a key that is none."""
    if key is None:
        return f"has for {client} what is no UTF-8 text, or has control characters: no header carries it"
    return f"has no key for {client}: give it one, or remove {client}"


# -- Secrets by their labels ------------------------------------------------------------------------------------------


class _Owner(NamedTuple):
    """Key of `_keys_of`: a Secret as a Gateway is served it."""

    gateway: Ref
    secret: Ref


def _chosen(graph: Reader, use: Use, selector: Json) -> _Keys | Problem:
    """Of all Secrets that have the labels. What is wrong with one of them keeps its own keys out, and no others."""
    labels = {str(label): str(one) for label, one in mapping(selector.get("matchLabels")).items()}
    if not labels:
        text = "has no labels: every Secret of the namespace would be taken for keys, certificates and tokens too"
        return Problem("Invalid", f"secretSelector.matchLabels {text}")
    selection = selection_ref(use.policy.cluster, use.policy.namespace, labels)
    secrets = graph.get(selected, selection)
    if isinstance(secrets, Problem):
        return secrets
    if not secrets:
        told = f"no Secret of namespace {selection.namespace} has labels {selection_text(selection)}"
        return Problem("Invalid", f"secretSelector: {told}: give them to one with keys")
    found, wrong = _gathered(graph, use.gateway, secrets)
    if not found:
        return refused(wrong)
    return _Keys(found, secrets, (refused(wrong),) if wrong else ())


def _gathered(graph: Reader, gateway: Ref, secrets: Iterable[Ref]) -> tuple[dict[str, str], list[str]]:
    """Whose each key is, of two the older Secret's; and what is left out, in words."""
    clients: dict[str, str] = {}
    owners: dict[str, Ref] = {}
    wrong: list[str] = []
    each = ((graph.get(_keys_of, _Owner(gateway, one)), one) for one in secrets)
    for (_, pairs, problem), secret in sorted(each, key=lambda one: (one[0][0], one[1])):
        told = f"Secret {secret.namespace}/{secret.name}"
        wrong += [problem] if problem else []
        for client, key in pairs:
            if not key:
                wrong.append(f"{told} {_lacking(client, key)}")
            elif key in owners:
                whose = f"{clients[key]} of Secret {owners[key].namespace}/{owners[key].name}"
                wrong.append(f"{told} gives {client} the key of {whose}, which goes before: give each its own")
            else:
                clients[key], owners[key] = client, secret
        if not pairs and not problem:
            wrong.append(f"{told} has no keys: add one")
    return clients, wrong


def _keys_of(graph: Reader, key: _Owner) -> tuple[str, tuple[tuple[str, str | None], ...], str]:
    """When a Secret was created, its clients with their keys, and why it has none; all else of it stops here."""
    resource = graph.look(key.secret)
    age = created(resource.object) if resource is not None else ""
    values = selected_values(graph, key.gateway, key.secret)
    return (age, (), values.message) if isinstance(values, Problem) else (age, tuple(_clients(values)), "")


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
