"""Config of gateways in small: what was written, the fragments that an engine would make of it, and what it refers to.

Its bodies are no Envoy messages but where the publisher looks into them: a proxy of `tests.xds.proxy` reads them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from engine.envoy.wire import frame
from engine.fields import fields
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind

SEALER = Sealer(bytes(KEY_BYTES))
GATEWAYS = tuple(Ref("local", "gateway.networking.k8s.io", "Gateway", "default", name) for name in ("gw0", "gw1"))
CLUSTERS = ("c0", "c1", "c2")
TABLES = ("rc0", "rc1")
HOSTS = ("h0", "h1", "h2")


class Cluster(NamedTuple):
    """`revision` of its assignment is apart, None for none; one of DNS needs none."""

    revision: int
    mark: str
    dns: bool
    endpoints: tuple[int, str] | None


class Listener(NamedTuple):
    """Names the route configuration of each chain, and a certificate of it."""

    revision: int
    mark: str
    tables: tuple[str, ...]
    secrets: tuple[str, ...]


class Certificate(NamedTuple):
    """There while a listener names it."""

    revision: int
    mark: str


class Host(NamedTuple):
    """A virtual host of a route configuration, which is there while a listener names it."""

    revision: int
    mark: str
    table: str


class Route(NamedTuple):
    """A route of a host (of any, it may be missing) to clusters (of any)."""

    revision: int
    mark: str
    host: str
    order: str
    clusters: tuple[str, ...]


Piece = Cluster | Listener | Certificate | Host | Route
Written = dict[tuple[str, str], Piece]
"""(kind's word, name) -> what is written of one gateway."""


def fragments(gateway: Ref, written: Mapping[tuple[str, str], Piece]) -> dict[FragmentKey, Fragment]:
    """What the engine would emit: route configurations and certificates while a listener names them."""
    listeners = [one for one in written.values() if isinstance(one, Listener)]
    made = [
        _fragment(FragmentKey(gateway, FragmentKind.ROUTE_CONFIG, name), frame(1, name.encode()))
        for name in sorted({name for one in listeners for name in one.tables})
    ]
    secrets = {name for one in listeners for name in one.secrets}
    for (_, name), piece in written.items():
        if not isinstance(piece, Certificate) or name in secrets:
            made += _made(gateway, name, piece)
    made += [
        _sealed(gateway, name, Certificate(0, "")) for name in sorted(secrets) if ("certificate", name) not in written
    ]
    return {one.key: one for one in made}


def _made(gateway: Ref, name: str, piece: Piece) -> Iterator[Fragment]:
    match piece:
        case Cluster():
            shape = "dns" if piece.dns else "eds"
            text = f"{name} {piece.revision} {piece.mark} {shape}"
            yield _fragment(FragmentKey(gateway, FragmentKind.CLUSTER, name), text.encode())
            if piece.endpoints is not None and not piece.dns:
                revision, mark = piece.endpoints
                body = f"{name} {revision} {mark} endpoints".encode()
                yield _fragment(FragmentKey(gateway, FragmentKind.ENDPOINTS, name), body)
        case Listener():
            yield _fragment(FragmentKey(gateway, FragmentKind.LISTENER, name), json.dumps(piece._asdict()).encode())
        case Certificate():
            yield _sealed(gateway, name, piece)
        case Host():
            body = frame(1, name.encode()) + frame(6, f"{piece.revision} {piece.mark}".encode())
            yield _fragment(FragmentKey(gateway, FragmentKind.VIRTUAL_HOST, name), body, piece.table)
        case Route():
            yield _fragment(
                FragmentKey(gateway, FragmentKind.ROUTE, name), _route(name, piece), piece.host, piece.order
            )


def _route(name: str, piece: Route) -> bytes:
    """The clusters by every way in which a RouteAction names them: cluster, weighted clusters, mirrors."""
    action = b""
    if len(piece.clusters) == 1:
        action += frame(1, piece.clusters[0].encode())
    elif piece.clusters:
        weighted = b"".join(frame(1, frame(1, one.encode())) for one in piece.clusters[:2])
        action += frame(3, weighted)
        action += b"".join(frame(30, frame(1, one.encode())) for one in piece.clusters[2:])
    told = {"mark": piece.mark, "clusters": piece.clusters, "revision": piece.revision}
    return frame(2, action) + frame(14, name.encode()) + frame(99, json.dumps(told).encode())


def _fragment(key: FragmentKey, body: bytes, parent: str = "", order: str = "") -> Fragment:
    version = hashlib.blake2b(body, digest_size=16).hexdigest()
    return Fragment(key, body, version, parent, order)


def _sealed(gateway: Ref, name: str, piece: Certificate) -> Fragment:
    key = FragmentKey(gateway, FragmentKind.SECRET, name)
    body = f"{name} {piece.revision} {piece.mark}".encode()
    return Fragment(key, SEALER.seal(body, str(key).encode()), SEALER.digest(body), sealed=True)


def clusters_of_table(body: bytes) -> set[str]:
    """The clusters that a RouteConfiguration's routes were written to go to."""
    found: set[str] = set()
    for _, routes in hosts_of_table(body):
        for route in routes:
            told = next(value for number, value in fields(route) if number == 99)
            found |= set(json.loads(told)["clusters"])
    return found


def hosts_of_table(body: bytes) -> list[tuple[bytes, list[bytes]]]:
    """The virtual hosts of a RouteConfiguration with their routes, in the order in which they stand."""
    found = []
    for number, host in fields(body):
        if number == 2:
            assert isinstance(host, bytes)
            parts: list[tuple[int, Any]] = list(fields(host))
            found.append((next(one for at, one in parts if at == 1), [one for at, one in parts if at == 3]))
    return found


def names_in_listener(body: bytes) -> tuple[set[str], set[str]]:
    """(route configurations, certificates) that a listener names."""
    told = json.loads(body)
    return set(told["tables"]), set(told["secrets"])
