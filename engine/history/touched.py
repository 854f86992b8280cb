"""What an update's names say of traffic: the hosts, routes and backends that it changed. It reads names only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.ref import Ref
from engine.update import FragmentKind, parse_fragment_key

_OF_HOSTS = {FragmentKind.VIRTUAL_HOST, FragmentKind.ROUTE}
_REF_PARTS = len(Ref._fields)


@dataclass(frozen=True, slots=True)
class Touched:
    """Each sorted, without repetition; refs are texts. What is gone is not among what changed."""

    gateways: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    hosts_gone: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    routes_gone: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()


def touched(downstream: Mapping[str, Any]) -> Touched:
    """Read the names of a record of penstock.updates, fragments and nodes; those that are none are passed over."""
    fragments, nodes = downstream["fragments"], downstream["nodes"]
    keys = [(key, True) for key in fragments["set"]] + [(key, False) for key in fragments["removed"]]
    gateways: set[str] = set()
    changed: set[str] = set()
    gone: set[str] = set()
    for text, is_set in keys:
        try:
            key = parse_fragment_key(text)
        except ValueError:
            continue
        gateways.add(str(key.gateway))
        host = host_of(key.name) if key.kind in _OF_HOSTS else ""
        if host:
            (gone if key.kind is FragmentKind.VIRTUAL_HOST and not is_set else changed).add(host)
    routes, routes_gone = set(_refs(nodes["set"], "route/")), set(_refs(nodes["removed"], "route/"))
    backends = {*_refs(nodes["set"], "backend/"), *_refs(nodes["removed"], "backend/")}
    found = (gateways, changed - gone, gone, routes, routes_gone - routes, backends)
    return Touched(*(tuple(sorted(one)) for one in found))


def host_of(name: str) -> str:
    """The hostname of a virtual host's name, or of a route's below one; "" of any other: no hostname has a "_"."""
    parts = name.split("/", 1)[0].rsplit("~", 1)
    return parts[1].replace("_", ".") if len(parts) == 2 and not parts[0].endswith("~") else ""


def _refs(nodes: Iterable[str], prefix: str) -> Iterable[str]:
    for node in nodes:
        parts = node.removeprefix(prefix).split("/")
        if node.startswith(prefix) and len(parts) >= _REF_PARTS:
            yield "/".join(parts[:_REF_PARTS])
