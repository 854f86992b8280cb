"""headerModifiers: headers that are set, added and removed, of requests and of responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import (
    HeaderMutation,
    HeaderMutationPerRoute,
    Mutations,
)

from engine.envoy.effect import Effect, of_filter
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Filter, Stage, Use
from engine.resolve.manifest import items, mapping, texts
from engine.resolve.secret_key import named_secret, secret_value
from engine.resolve.values import Problem

NAME: Final = "envoy.extensions.filters.http.header_mutation"
_TYPE: Final = "envoy.extensions.filters.http.header_mutation.v3"


_ACTION: Final = HeaderValueOptionHeaderAppendAction
_ACTIONS: Final = (("set", _ACTION.OVERWRITE_IF_EXISTS_OR_ADD), ("add", _ACTION.APPEND_IF_EXISTS_OR_ADD))


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:
    """HeaderMutationPerRoute. With a value of a Secret it is sealed."""
    sides: dict[str, list[Mutation]] = {}
    sources = []
    for side in ("request", "response"):
        asked = mapping(value.get(side))
        made = _mutations(graph, use, asked)
        if isinstance(made, Problem):
            return Problem(made.reason, f"{side}: {made.message}")
        sides[f"{side}_mutations"] = made
        named = [one for name, _ in _ACTIONS for one in items(asked.get(name)) if one.get("secretRef")]
        sources += [named_secret(use.policy, mapping(one.get("secretRef"))) for one in named]
    message = construct(HeaderMutationPerRoute, mutations=construct(Mutations, **sides))
    found = of_filter(NAME, f"{_TYPE}.HeaderMutationPerRoute", message, sealed=bool(sources))
    return replace(found, sources=tuple(sorted(set(sources))))


def _mutations(graph: Reader, use: Use, asked: Json) -> list[Mutation] | Problem:
    found = []
    for name, action in _ACTIONS:
        for one in items(asked.get(name)):
            text = _text(graph, use, one)
            if isinstance(text, Problem):
                return text
            header = construct(HeaderValue, key=_name(one), value=text)
            found.append(construct(Mutation, append=construct(HeaderValueOption, header=header, append_action=action)))
    found += [construct(Mutation, remove=one) for one in texts(asked.get("remove"))]
    return found


def _name(one: Json) -> str:
    """Of a header whose value a Secret has: its name, or else the Secret's key."""
    return str(one.get("name") or mapping(one.get("secretRef")).get("key", ""))


def _text(graph: Reader, use: Use, one: Json) -> str | Problem:
    reference = one.get("secretRef")
    if not isinstance(reference, Mapping):
        return str(one.get("value", ""))
    found = secret_value(graph, use.gateway, use.policy, reference, str(one.get("name", "")))
    if isinstance(found, Problem):
        return found
    try:
        text = found.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        return Problem(
            "Invalid", f"the value of Secret {reference.get('name')} is no header value: use visible characters"
        )
    # Envoy reads a percent sign as the begin of a command.
    return text.replace("%", "%%")


_STANDING: Any = construct(HeaderMutation, most_specific_header_mutations_wins=True)


FEATURE = Feature(
    "headerModifiers",
    effect,
    (Filter(NAME, f"{_TYPE}.HeaderMutation", _STANDING, Stage.ROUTE),),
)
