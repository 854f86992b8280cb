"""localReplies: what the proxy itself answers, and how it says it."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import DataSource, SubstitutionFormatString
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)

from engine.envoy.format_string import json_format, text_format
from engine.envoy.header_options import header_options
from engine.envoy.log_filter import log_filter
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.listener.feature import Effect, Feature, Given, both, managed
from engine.ref import Ref
from engine.resolve.header_change import Changed, header_change
from engine.resolve.manifest import items, mapping
from engine.resolve.values import HeaderChange, Problem

_FIELD: Final = "httpSettings.localReplies"


def effect(graph: Reader, given: Given) -> Effect:
    """All mappers; a header whose Secret cannot be had is left out."""
    block, policy = given.block(_FIELD), given.policy(_FIELD)
    problems: list[tuple[Ref, Problem]] = []
    secrets: list[Ref] = []
    mappers = []
    for number, one in enumerate(items(block.get("mappers"))):
        headers = mapping(one.get("headers"))
        found = header_change(graph, given.gateway, policy, headers) if headers else Changed(HeaderChange())
        place = f"localReplies.mappers[{number}].headers"
        problems += [(policy, Problem(problem.reason, f"{place}.{problem.message}")) for problem in found.problems]
        secrets += found.secrets
        mappers.append(_mapper(one, found.change))
    config = construct(LocalReplyConfig, mappers=mappers, body_format=_format(mapping(block.get("defaultBodyFormat"))))
    told = Effect(problems=tuple(problems), sources=tuple(secrets), sealed=bool(secrets))
    return both([managed(local_reply_config=config), told])


def _mapper(block: Json, headers: HeaderChange) -> ResponseMapper:
    body = block.get("body")
    return construct(
        ResponseMapper,
        filter=log_filter(mapping(block.get("filter"))),
        status_code=block.get("statusCode"),
        body=construct(DataSource, inline_string=str(body)) if body is not None else None,
        body_format_override=_format(mapping(block.get("bodyFormatOverride"))),
        headers_to_add=header_options(headers),
    )


def _format(block: Json) -> SubstitutionFormatString | None:
    if not block:
        return None
    content_type, text = str(block.get("contentType") or ""), block.get("text")
    return (
        text_format(str(text), content_type)
        if text is not None
        else json_format(mapping(block.get("json")), content_type)
    )


FEATURE: Final = Feature((_FIELD,), effect)
