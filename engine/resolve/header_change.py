"""What a block of kgateway's changes of headers (HTTPHeaderFilter), with the values that stand in Secrets."""

from __future__ import annotations

from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.manifest import items, mapping, texts
from engine.resolve.secret_value import secret_header, secret_of
from engine.resolve.values import HeaderChange, Problem


class Changed(NamedTuple):
    """The change, of what can be had. `secrets` are the objects that values come from: then it is to be sealed."""

    change: HeaderChange
    problems: tuple[Problem, ...] = ()
    secrets: tuple[Ref, ...] = ()


def header_change(graph: Reader, gateway: Ref, source: Ref, block: Json) -> Changed:
    """The block as a Gateway's proxies are to be told it; `source` is the object that it stands in."""
    problems: list[Problem] = []
    secrets: list[Ref] = []
    made: dict[str, tuple[tuple[str, str], ...]] = {}
    for place in ("set", "add"):
        found = []
        for number, one in enumerate(items(block.get(place))):
            value = _value(graph, gateway, source, one)
            ref = mapping(one.get("secretRef"))
            if isinstance(value, Problem):
                problems.append(Problem(value.reason, f"{place}[{number}] is left out: {value.message}"))
                continue
            found.append((str(one.get("name") or ref.get("key")).lower(), value))
            secrets += [secret_of(source, ref)] if ref else []
        made[place] = tuple(found)
    removed = tuple(name.lower() for name in texts(block.get("remove")))
    change = HeaderChange(made["set"], made["add"], removed)
    return Changed(change, tuple(problems), tuple(dict.fromkeys(secrets)))


def _value(graph: Reader, gateway: Ref, source: Ref, one: Json) -> str | Problem:
    ref = mapping(one.get("secretRef"))
    if not ref:
        return str(one.get("value", ""))
    return secret_header(graph, gateway, source, ref, str(ref.get("key") or one.get("name")))
