"""transformation: headers, bodies and metadata of requests and responses, made of templates.

What templates of constant text do, Envoy's header mutation does. All else is a program for the runtime that stands in
every listener (engine/templates), handed over as the filter's context: a route costs no Lua of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.config.core.v3 import (
    DataSource,
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation, Mutations
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua, LuaPerRoute
from envoy_data_plane.google.protobuf import Any as ProtoAny

from engine.envoy.chained import EMPTY, EMPTY_TYPE, chained
from engine.envoy.effect import NOTHING, Effect, both, of_filter, switched
from engine.envoy.format_string import struct
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Filter, Stage, Use, When
from engine.resolve.manifest import items, mapping, texts
from engine.templates import runtime
from engine.templates.parser import template
from engine.templates.program import listed, text
from engine.templates.reading import reading
from engine.templates.tree import Node

NAME: Final = "transformation/rustformation"
"""As kgateway's, though another language stands behind it."""
RUNTIME: Final = "transformation/runtime"
"""Inside of it; a program for it comes by this name."""
HEADERS: Final = "transformation/headers"
MUTATIONS: Final = "transformation/mutations"
"""Inside of it. Standing there by itself it would do what all places say, and of several the nearest is whole."""
_LUA: Final = "envoy.extensions.filters.http.lua.v3"
_MUTATION: Final = "envoy.extensions.filters.http.header_mutation.v3"
_SIDES: Final = ("request", "response")
_ACTION: Final = HeaderValueOptionHeaderAppendAction
_ACTIONS: Final = (("set", _ACTION.OVERWRITE_IF_EXISTS_OR_ADD), ("add", _ACTION.APPEND_IF_EXISTS_OR_ADD))
_PARSED: Final = {"AsString": "string", "AsJson": "json", "None": "none"}


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """One of two filters switched on, and the other off, whatever holds for what is around."""
    if not value:
        return NOTHING
    sides = {side: mapping(value[side]) for side in _SIDES if value.get(side)}
    if not sides:
        return switched(NAME, HEADERS, off=True)
    if all(_is_constant(one) for one in sides.values()):
        constant = construct(HeaderMutation, mutations=construct(Mutations, **_mutations(sides)))
        made = chained(HEADERS, (MUTATIONS, f"{_MUTATION}.HeaderMutation", constant))
        return both((made, switched(NAME, off=True)))
    program = text(_program(sides))
    name = hashlib.blake2b(program.encode(), digest_size=12).hexdigest()
    message = construct(LuaPerRoute, filter_context=struct({"id": name, "program": program}))
    here = both(
        (of_filter(RUNTIME, f"{_LUA}.LuaPerRoute", message), switched(NAME, off=False), switched(HEADERS, off=True))
    )
    return replace(here, around=(NAME,))


def merge(first: Json, second: Json) -> Json | None:
    """Header by header, of each the first one's, but that `add` has all where the first sets none.

    None where they have a body read otherwise.
    """
    found: dict[str, Any] = {**second, **first}
    for side in _SIDES:
        one, other = mapping(first.get(side)), mapping(second.get(side))
        if _contradict(one, other):
            return None
        if side in found:
            found[side] = _merged(side, one, other)
    return found


def _contradict(first: Json, second: Json) -> bool:
    """Whether they have a body read otherwise, or the second would have the first do nothing where it is no JSON."""
    one, other = _read_as(first), _read_as(second)
    if one is None:
        return other == "AsJson" and any(first.values())
    return other is not None and other != one


def _read_as(side: Json) -> str | None:
    """How a side has the body read; None when it makes no difference to it."""
    if body := mapping(side.get("body")):
        return str(body.get("parseAs") or "AsString")
    read = reading(*_templates(side))
    return "AsString" if read.body or read.fields else None


def _merged(side: str, first: Json, second: Json) -> dict[str, Any]:
    def all_of(field: str) -> list[Json]:
        return [*items(first.get(field)), *items(second.get(field))]

    given = {_inside(side, one) for one in _headers(first)}
    settled = {_inside(side, one) for one in items(first.get("set"))}
    added = [one for one in items(second.get("add")) if _inside(side, one) not in settled]
    removed = [*texts(first.get("remove")), *(one for one in texts(second.get("remove")) if one.lower() not in given)]
    found: dict[str, Any] = {
        "set": _firsts(all_of("set"), lambda one: _inside(side, one)),
        "add": [*items(first.get("add")), *added],
        "remove": _firsts(removed, str.lower),
        "body": {**mapping(second.get("body")), **mapping(first.get("body"))},
        "dynamicMetadata": _firsts(all_of("dynamicMetadata"), lambda one: (one.get("namespace"), one.get("key"))),
    }
    return {field: one for field, one in found.items() if one}


def _firsts(every: Iterable[Any], key: Callable[[Any], Hashable]) -> list[Any]:
    """Of those with one key the first."""
    found: dict[Hashable, Any] = {}
    for one in every:
        found.setdefault(key(one), one)
    return list(found.values())


# -- constant headers -------------------------------------------------------------------------------------------------


def _is_constant(side: Json) -> bool:
    """Whether it changes headers only, and by texts that no message has a part in."""
    body = mapping(side.get("body"))
    if side.get("dynamicMetadata") or body.get("value") or body.get("parseAs") == "AsJson":
        return False
    return all(_constant(_value(one)) is not None and _plain(_name(one)) for one in _headers(side))


def _headers(side: Json) -> Iterator[Json]:
    for field, _ in _ACTIONS:
        yield from items(side.get(field))


def _name(one: Json) -> str:
    return str(one.get("name", "")).lower()


def _value(one: Json) -> str:
    return str(one.get("value") or "")


def _plain(name: str) -> bool:
    return not name.startswith(":") and name != "host"


def _constant(source: str) -> str | None:
    """The text that a template always is; None when it is not always the same."""
    found = list(template(source).below())
    return "".join(str(one.parts[0]) for one in found) if all(one.op == "text" for one in found) else None


def _mutations(sides: dict[str, Json]) -> dict[str, list[Mutation]]:
    return {f"{name}_mutations": list(_side_mutations(one)) for name, one in sides.items()}


def _side_mutations(side: Json) -> Iterator[Mutation]:
    for field, action in _ACTIONS:
        for one in items(side.get(field)):
            given = _constant(_value(one))
            if given:
                # Envoy reads a percent sign as the begin of a command.
                header = construct(HeaderValue, key=_name(one), value=given.replace("%", "%%"))
                yield construct(Mutation, append=construct(HeaderValueOption, header=header, append_action=action))
            elif field == "set":
                yield construct(Mutation, remove=_name(one))
    for name in texts(side.get("remove")):
        yield construct(Mutation, remove=name)


# -- programs ---------------------------------------------------------------------------------------------------------


def _program(sides: dict[str, Json]) -> dict[str, Any]:
    """What the runtime is given: each side's templates, and what it must keep of a request for its response."""
    made: dict[str, Any] = {name: _side(name, one) for name, one in sides.items()}
    if "response" in sides:
        headers = reading(*_templates(sides["response"])).headers
        if headers is None or headers:
            made["keep"] = True if headers is None else sorted(headers)
    return made


def _side(name: str, side: Json) -> dict[str, Any]:
    body = mapping(side.get("body"))
    parse = _PARSED[str(body.get("parseAs") or "AsString")]
    read = reading(*_templates(side))
    made: dict[str, Any] = {
        "parse": parse,
        "reads": parse == "json" or (parse == "string" and read.body),
        "needs": bool(reading(*_templates(side, body=False)).fields),
        "set": [[_inside(name, one), listed(template(_value(one)))] for one in items(side.get("set"))],
        "add": [[_name(one), listed(template(_value(one)))] for one in items(side.get("add"))],
        "remove": [one.lower() for one in texts(side.get("remove"))],
        "metadata": [[namespace, key, listed(node)] for namespace, key, node in _metadata(side)],
    }
    if body.get("value") and parse != "none":
        node = template(str(body["value"]))
        made |= {"body": listed(node), "body_needs": bool(reading(node).fields)}
    return made


def _inside(side: str, one: Json) -> str:
    """A header's name as Envoy has it while a message passes."""
    name = _name(one)
    return ":authority" if side == "request" and name == "host" else name


def _metadata(side: Json) -> Iterator[tuple[str, str, Node]]:
    for one in items(side.get("dynamicMetadata")):
        source = str(mapping(one.get("value")).get("stringValue", ""))
        yield str(one.get("namespace")), str(one.get("key")), template(source)


def _templates(side: Json, *, body: bool = True) -> Iterator[Node]:
    yield from (template(_value(one)) for one in _headers(side))
    yield from (node for _, _, node in _metadata(side))
    of_body = mapping(side.get("body"))
    if body and of_body.get("parseAs") != "None":
        yield template(str(of_body.get("value") or ""))


def _runtime() -> ProtoAny:
    """The runtime, in the chain that stands empty in the listener."""
    script = runtime.source()
    machine = hashlib.blake2b(script.encode(), digest_size=12).hexdigest().encode()
    lua = construct(
        Lua,
        default_source_code=construct(DataSource, inline_string=script),
        stat_prefix="transformation",
        clear_route_cache=False,
        # Field 9, shared_vm_id, which envoy_data_plane lacks: all listeners share one Lua machine a worker.
        _unknown_fields=bytes((9 << 3 | 2, len(machine))) + machine,
    )
    return dict(chained(NAME, (RUNTIME, f"{_LUA}.Lua", lua)).configs)[NAME]


FEATURE = Feature(
    "transformation",
    effect,
    (
        Filter(NAME, EMPTY_TYPE, EMPTY, Stage.ACCEPTED, When.BEFORE),
        Filter(HEADERS, EMPTY_TYPE, EMPTY, Stage.ACCEPTED, When.BEFORE),
    ),
    around=((NAME, _runtime()),),
    merge=merge,
)
