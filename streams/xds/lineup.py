"""Finds which fragments of a table are refused, asking for as few isolated Envoys as it can; it starts none itself.

Fragments are given in the order in which they changed: where two are bad together only, the later one pays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.ref import Ref
from engine.update import Fragment

Suspects = Sequence[Fragment]


@dataclass(frozen=True, slots=True)
class Lineup:
    """`takes` answers whether some of them are taken, with nothing else beside; `lanes` are asked at once."""

    takes: Callable[[Suspects], Coroutine[Any, Any, bool]]
    lanes: int = 2

    async def taken(self, *groups: Suspects) -> list[bool]:
        """Which of some groups are taken. Raises what the first that failed did."""
        return await together(self.takes(one) for one in groups)

    async def guilty(self, refused: Suspects) -> list[Fragment]:
        """Of fragments that are refused together the bad ones, or of good ones those that make others bad.

        Of bad ones that have an object in common only one: what a policy does to thousands of routes is over once that
        policy is held, and what is not is rejected, and judged, again.
        """
        found = await self._alone(refused) or await self._later(refused)
        keys = {one.key for one in found}
        return [one for one in refused if one.key in keys]

    async def _alone(self, refused: Suspects) -> list[Fragment]:
        """Those that are bad by themselves, part by part until each is one."""
        if len(refused) <= 1:
            return list(refused)
        parts = _parts(refused, max(2, self.lanes))
        found: list[Fragment] = []
        for part, is_taken in zip(parts, await self.taken(*parts), strict=True):
            left = _strangers(part, found)
            if is_taken or not left:
                continue
            if len(left) == len(part) or not await self.takes(left):
                found += await self._alone(left)
        return found

    async def _later(self, refused: Suspects) -> list[Fragment]:
        """Those with which the ones before are refused, such as a second virtual host of a domain."""
        found: list[Fragment] = []
        left = list(refused)
        while left and (not found or not await self.takes(left)):
            found.append(await self._turning(left))
            left.remove(found[-1])
        return found

    async def _turning(self, refused: Suspects) -> Fragment:
        """The first with which those before it are refused."""
        taken, count = 0, len(refused)
        while count - taken > 1:
            steps = {taken + (count - taken) * step // (self.lanes + 1) for step in range(1, self.lanes + 1)}
            points = sorted(steps - {taken}) or [taken + 1]
            for point, is_taken in zip(points, await self.taken(*(refused[:one] for one in points)), strict=True):
                if not is_taken:
                    count = point
                    break
                taken = point
        return refused[count - 1]


def _parts(some: Suspects, count: int) -> list[Suspects]:
    """In so many parts, or fewer, of nearly one size; the latest first."""
    size = -(-len(some) // count)
    return [some[max(0, end - size) : end] for end in range(len(some), 0, -size)]


def _strangers(some: Suspects, found: Iterable[Fragment]) -> list[Fragment]:
    """Those that no object was found guilty with already."""
    known = {ref for one in found for ref in _objects(one)}
    return [one for one in some if known.isdisjoint(_objects(one))]


def _objects(one: Fragment) -> set[Ref]:
    """Behind a fragment, without the Gateway that all have in common."""
    return {ref for ref, _ in one.provenance} - {one.key.gateway}


async def together(questions: Iterable[Coroutine[Any, Any, bool]]) -> list[bool]:
    """All answers in order. When one fails the others are ended, and it is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in questions]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [one.result() for one in tasks]
