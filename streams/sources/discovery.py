"""Answers what the graph asks of OpenID Connect issuers: appends what each says of itself, when it says something else.

What an issuer said last stays while it says nothing, or nothing that can be believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from engine.document import document
from engine.events import Change, Delete, Put
from engine.observed import is_configuration, issuer_of, observation
from engine.ref import Ref
from streams.backoff import Backoff
from streams.reminder import Reminder
from streams.sources.journal import Journal

_LOG = structlog.get_logger()
_REFRESH_SECONDS: Final = 600.0
_ACTOR_CHARACTERS: Final = 256
_FIRST_SECONDS, _LONGEST_SECONDS = 1.0, 60.0

Said = Mapping[str, str]
Ask = Callable[[str], Awaitable[Said]]
"""Asks an issuer (its URI) for its endpoints. Raises NoConfiguration."""


class NoConfiguration(Exception):  # noqa: N818
    """Why an issuer's configuration is not known, in words for people.

    They are kept in the log whenever they change, so there are few of them: what an issuer chose itself is `said`.
    """

    def __init__(self, words: str, *, said: str = "") -> None:
        super().__init__(words)
        self.said = said


async def switched_off(issuer: str) -> Said:  # noqa: ARG001  in place of one that asks
    """See `Ask`."""
    msg = "PENSTOCK_OIDC_DISCOVERY is false, nobody is asked: write authorizationEndpoint and tokenEndpoint"
    raise NoConfiguration(msg)


@dataclass(frozen=True, slots=True)
class Discovery:
    """`wanted` tells what the graph asks for, whole each time, whenever it asks for others."""

    wanted: Callable[[], AsyncIterator[frozenset[Ref]]]
    ask: Ask
    refresh_seconds: float = _REFRESH_SECONDS
    first_seconds: float = _FIRST_SECONDS

    async def run(self, journal: Journal) -> None:
        """For ever, beside the source that writes into the journal. Raises LogError."""
        async with asyncio.TaskGroup() as tasks:
            await _Stretch(self, journal, tasks).run()


@dataclass(slots=True)
class _Stretch:
    discovery: Discovery
    journal: Journal
    tasks: asyncio.TaskGroup
    asked: dict[Ref, asyncio.Task[None]] = field(default_factory=dict)
    heard: asyncio.Queue[frozenset[Ref] | tuple[Ref, Said]] = field(default_factory=asyncio.Queue)
    """Only one of us writes: an issuer that nobody asks for any more must not end a write that is under way."""
    known: set[Ref] = field(default_factory=set)
    """Configurations that the log has. Nobody else writes them, so the log's objects are looked through once."""

    def __post_init__(self) -> None:
        self.known.update(ref for ref in self.journal.logged.objects if is_configuration(ref))

    async def run(self) -> None:
        self.tasks.create_task(self._follow())
        while True:
            one = await self.heard.get()
            changes = self._wanted(one) if isinstance(one, frozenset) else self._said(*one)
            if changes:
                # A first listing is told as a whole, and this is none of it.
                await self.journal.synced.wait()
                who = ", ".join(issuer_of(change.ref) for change in changes if isinstance(change, Put))
                await self.journal.append([(who[:_ACTOR_CHARACTERS], changes)])
                self.known.update(change.ref for change in changes if isinstance(change, Put))
                self.known.difference_update(change.ref for change in changes if isinstance(change, Delete))

    async def _follow(self) -> None:
        async for refs in self.discovery.wanted():
            self.heard.put_nowait(refs)

    def _wanted(self, refs: frozenset[Ref]) -> list[Change]:
        mine = {ref for ref in refs if is_configuration(ref) and ref.cluster == self.journal.place.cluster}
        for ref in self.asked.keys() - mine:
            self.asked.pop(ref).cancel()
        for ref in sorted(mine - self.asked.keys()):
            self.asked[ref] = self.tasks.create_task(self._keep_asking(ref))
        return [Delete(ref) for ref in sorted(self.known - mine)]

    def _said(self, ref: Ref, spec: Said) -> list[Change]:
        old = self.journal.logged.objects.get(ref)
        before: Mapping[str, Any] = old["spec"] if old is not None else {}
        if ref not in self.asked or before == spec or ("error" in spec and before and "error" not in before):
            return []
        generation = int(old["metadata"]["generation"]) + 1 if old is not None else 1
        return [Put(ref, document(observation(ref, spec, generation)))]

    async def _keep_asking(self, ref: Ref) -> None:
        issuer, reminder = issuer_of(ref), Reminder()
        backoff = Backoff(self.discovery.first_seconds, _LONGEST_SECONDS)
        while True:
            try:
                said = await self.discovery.ask(issuer)
            except NoConfiguration as error:
                if reminder.is_due(str(error)):
                    _LOG.warning(
                        "an issuer does not tell its endpoints", issuer=issuer, reason=str(error), said=error.said
                    )
                self.heard.put_nowait((ref, {"issuer": issuer, "error": str(error)}))
                await backoff.wait()
            else:
                backoff.reset()
                self.heard.put_nowait((ref, {"issuer": issuer, **said}))
                await asyncio.sleep(self.discovery.refresh_seconds)
