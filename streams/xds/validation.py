"""Asks an isolated Envoy about all that would be served otherwise, before anybody serves it; it decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.envoy.wire import frame
from engine.fields import Malformed
from engine.ref import Ref
from engine.update import Fragment, FragmentKind
from streams.xds.admission import clear
from streams.xds.court import SECRET_WORDS, Case, Court, Undecided, table_case
from streams.xds.exhibits import static_cluster

_TOGETHER: Final = (FragmentKind.CLUSTER, FragmentKind.ENDPOINTS)
"""Many of these stand beside one another in one config."""
_OF_TABLES: Final = (FragmentKind.ROUTE_CONFIG, FragmentKind.VIRTUAL_HOST, FragmentKind.ROUTE)
_OF_LISTENERS: Final = (FragmentKind.LISTENER, FragmentKind.FILTER_CHAIN)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A fragment that Envoy would reject, with its words."""

    fragment: Fragment
    words: str


async def rejections(
    court: Court, served: Mapping[str, Fragment], changed: Iterable[Fragment]
) -> AsyncIterator[Rejection]:
    """What Envoy refuses of what is `changed`, and of the tables and listeners around it, among all that is `served`.

    Raises Undecided when that Envoy does not answer, or refuses even an empty config.
    """
    if words := await court.refusal(Case()):
        msg = f"{court.envoy} refuses even an empty config here: {words}"
        raise Undecided(msg)
    by_gateway: dict[Ref, list[Fragment]] = {}
    for one in changed:
        by_gateway.setdefault(one.key.gateway, []).append(one)
    for gateway, some in sorted(by_gateway.items()):
        mine = [one for one in served.values() if one.key.gateway == gateway]
        async for found in _of_gateway(court, mine, sorted(some, key=lambda one: str(one.key))):
            yield found


async def _of_gateway(
    court: Court, served: Sequence[Fragment], changed: Sequence[Fragment]
) -> AsyncIterator[Rejection]:
    async for one in _halved(court, [each for each in changed if each.key.kind in _TOGETHER]):
        yield one
    for fragment in changed:
        if fragment.key.kind is FragmentKind.SECRET and (words := await _alone(court, fragment)):
            yield Rejection(fragment, words)
    hosts = {one.key.name: one.parent for one in served if one.key.kind is FragmentKind.VIRTUAL_HOST}
    for name in sorted({_table_of(one, hosts) for one in changed if one.key.kind in _OF_TABLES}):
        async for one in _of_table(court, name, served):
            yield one
    for name in sorted({one.parent or one.key.name for one in changed if one.key.kind in _OF_LISTENERS}):
        async for one in _of_listener(court, name, served):
            yield one


async def _halved(court: Court, some: Sequence[Fragment]) -> AsyncIterator[Rejection]:
    """Of clusters and assignments those that are refused: half by half."""
    if not some:
        return
    words = await _words(court, some)
    if not words:
        return
    if len(some) == 1:
        yield Rejection(some[0], words)
        return
    middle = len(some) // 2
    for half in (some[:middle], some[middle:]):
        async for one in _halved(court, half):
            yield one


async def _words(court: Court, some: Sequence[Fragment]) -> str:
    return await court.refusal(await asyncio.to_thread(_together, court, some))


def _together(court: Court, some: Sequence[Fragment]) -> Case:
    static = b""
    for number, one in enumerate(some):
        body = clear(one, court.sealer)
        if one.key.kind is FragmentKind.ENDPOINTS:
            # Of a name that stands twice the last one counts.
            body = static_cluster(frame(33, body) + frame(1, f"judged-{number}".encode()))
        static += frame(2, body)
    return Case(static, secret=any(one.sealed for one in some))


async def _alone(court: Court, fragment: Fragment) -> str:
    try:
        case = await asyncio.to_thread(court.case, fragment)
    except Malformed as error:
        return SECRET_WORDS if fragment.sealed else str(error)
    return await court.refusal(case)


def _table_of(one: Fragment, hosts: Mapping[str, str]) -> str:
    if one.key.kind is FragmentKind.ROUTE_CONFIG:
        return one.key.name
    return one.parent if one.key.kind is FragmentKind.VIRTUAL_HOST else hosts.get(one.parent, "")


async def _of_table(court: Court, name: str, served: Sequence[Fragment]) -> AsyncIterator[Rejection]:
    """The whole table, for what comes may not go with what is there: a domain twice."""
    heads = [one for one in served if one.key.kind is FragmentKind.ROUTE_CONFIG and one.key.name == name]
    hosts = {one.key.name: one for one in served if one.key.kind is FragmentKind.VIRTUAL_HOST and one.parent == name}
    routes = [one for one in served if one.key.kind is FragmentKind.ROUTE and one.parent in hosts]
    routes.sort(key=lambda one: (one.order, one.key.name))
    for one in await court.guilty(heads, [*hosts.values(), *routes]):
        suspects = [] if one.key.kind is FragmentKind.ROUTE_CONFIG else [one]
        words = await court.refusal(await asyncio.to_thread(table_case, heads, suspects, court.sealer))
        yield Rejection(one, words or "it does not go with what else is there")


async def _of_listener(court: Court, name: str, served: Sequence[Fragment]) -> AsyncIterator[Rejection]:
    """A listener with the chains that routes make: two of them may not take the same connections."""
    head = next((one for one in served if one.key.kind is FragmentKind.LISTENER and one.key.name == name), None)
    chains = [one for one in served if one.key.kind is FragmentKind.FILTER_CHAIN and one.parent == name]
    if head is None:
        return
    if not chains:
        if words := await _alone(court, head):
            yield Rejection(head, words)
        return
    body = clear(head, court.sealer) + b"".join(frame(3, clear(one, court.sealer)) for one in chains)
    words = await court.refusal(Case(frame(1, body), secret=any(one.sealed for one in (head, *chains))))
    if words:
        found = [(one, await _alone(court, one)) for one in (head, *chains)]
        for one, said in [(one, said) for one, said in found if said] or [(head, words)]:
            yield Rejection(one, said)
