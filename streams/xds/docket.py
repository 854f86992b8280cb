"""Rejections that wait to be judged: of each proxy in turn, so that one which rejects everything delays nobody else.

Of a proxy and its resource only the latest waits. It judges nothing.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from streams.xds.session import Rejection
from streams.xds.stream import Stream


class Case(NamedTuple):
    """A proxy rejected something."""

    stream: Stream
    rejection: Rejection


class Docket:
    """What there is to do."""

    def __init__(self) -> None:
        self._cases: dict[str, dict[tuple[str, ...], Case]] = {}
        self._is_review_due = False
        self._was_review = False
        """The last that was taken: reviews that become due without end keep no case waiting."""
        self._waiting = asyncio.Event()

    def put(self, case: Case) -> None:
        """Judge this, instead of what the same proxy said of the same resource before."""
        rejection = case.rejection
        mine = self._cases.setdefault(case.stream.node.id, {})
        mine[rejection.type_url, *sorted(rejection.resources)] = case
        self._waiting.set()

    def settle(self, case: Case) -> None:
        """A verdict was given on this, and on what others of the same Envoy said of it until now."""
        for proxy, cases in list(self._cases.items()):
            for place, one in list(cases.items()):
                if _about(one) == _about(case):
                    del cases[place]
            if not cases:
                del self._cases[proxy]
        self._rest()

    def review(self) -> None:
        """Look through old verdicts first; after a review a case is next, however many more become due."""
        self._is_review_due = True
        self._waiting.set()

    async def next(self) -> Case | None:
        """Wait for the next case; None is a review."""
        await self._waiting.wait()
        self._was_review = self._is_review_due and not (self._was_review and self._cases)
        if self._was_review:
            self._is_review_due = False
        found = None if self._was_review else self._first()
        self._rest()
        return found

    def _rest(self) -> None:
        if not self._cases and not self._is_review_due:
            self._waiting.clear()

    def _first(self) -> Case:
        proxy = next(iter(self._cases))
        mine = self._cases.pop(proxy)
        case = mine.pop(next(iter(mine)))
        if mine:
            self._cases[proxy] = mine  # Behind all others.
        return case


def _about(case: Case) -> tuple[object, ...]:
    node, rejection = case.stream.node, case.rejection
    return node.gateway, node.version, rejection.type_url, rejection.resources.keys()
