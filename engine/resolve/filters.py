"""Filters of a rule or a backendRef as values; what cannot be served is a problem of the whole rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.graph.reader import Json
from engine.resolve.extension_ref import is_served
from engine.resolve.manifest import items, mapping, texts
from engine.resolve.values import Cors, HeaderChange, Match, PathChange, Problem, Redirect, Rewrite


@dataclass(frozen=True, slots=True)
class FilterSet:
    """The filters of one place. With a `problem` none of them may be applied."""

    request_headers: HeaderChange = HeaderChange()
    response_headers: HeaderChange = HeaderChange()
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    mirrors: tuple[Json, ...] = ()
    cors: Cors | None = None
    extensions: tuple[Json, ...] = ()
    problem: Problem | None = None


def filter_set(filters: list[Json], matches: tuple[Match, ...]) -> FilterSet:
    """All filters together. `matches` tell which prefix a path modifier replaces."""
    result = FilterSet()
    prefix = matches[0].path if matches else "/"
    for item in filters:
        kind = str(item.get("type", ""))
        match kind:
            case "RequestHeaderModifier":
                result = replace(result, request_headers=header_change(mapping(item.get("requestHeaderModifier"))))
            case "ResponseHeaderModifier":
                result = replace(result, response_headers=header_change(mapping(item.get("responseHeaderModifier"))))
            case "RequestRedirect":
                result = replace(result, redirect=_redirect(mapping(item.get("requestRedirect")), prefix))
            case "URLRewrite":
                result = replace(result, rewrite=_rewrite(mapping(item.get("urlRewrite")), prefix))
            case "RequestMirror":
                result = replace(result, mirrors=(*result.mirrors, mapping(item.get("requestMirror"))))
            case "CORS":
                result = replace(result, cors=_cors(mapping(item.get("cors"))))
            case "ExtensionRef" if is_served(mapping(item.get("extensionRef"))):
                result = replace(result, extensions=(*result.extensions, mapping(item.get("extensionRef"))))
            case _:
                text = f"filter type {kind}{_extension(item)} is not served: remove it; until then the rule fails"
                return replace(result, problem=Problem("UnsupportedValue", text))
    return result


def _extension(item: Json) -> str:
    """What an ExtensionRef names, in words; "" for all other filters."""
    ref = mapping(item.get("extensionRef"))
    return f" ({ref.get('kind')} {ref.get('name')} of {ref.get('group')})" if ref else ""


def header_change(item: Json) -> HeaderChange:
    """A HTTPHeaderFilter; the first of several entries of one name counts."""
    return HeaderChange(
        _pairs(item.get("set")), _pairs(item.get("add")), tuple(name.lower() for name in texts(item.get("remove")))
    )


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[str, str]] = {}
    for item in items(value):
        name = str(item.get("name", ""))
        found.setdefault(name.lower(), (name, str(item.get("value", ""))))
    return tuple(found.values())


def _path(item: Json, prefix: str) -> PathChange | None:
    if not item:
        return None
    if item.get("type") == "ReplaceFullPath":
        return PathChange(full=str(item.get("replaceFullPath") or "/"))
    return PathChange(prefix=str(item.get("replacePrefixMatch") or ""), matched=prefix)


def _redirect(item: Json, prefix: str) -> Redirect:
    port = item.get("port")
    return Redirect(
        item.get("scheme"),
        item.get("hostname"),
        int(port) if port is not None else None,
        _path(mapping(item.get("path")), prefix),
        int(item.get("statusCode") or 302),
    )


def _rewrite(item: Json, prefix: str) -> Rewrite:
    return Rewrite(item.get("hostname"), _path(mapping(item.get("path")), prefix))


def _cors(item: Json) -> Cors:
    return Cors(
        texts(item.get("allowOrigins")),
        texts(item.get("allowMethods")),
        texts(item.get("allowHeaders")),
        texts(item.get("exposeHeaders")),
        bool(item.get("allowCredentials")),
        int(item.get("maxAge") or 5),
    )
