"""One member cluster: reached as an object of the configuration cluster says, and worked at; it writes nothing.

Whatever fails here is this member's alone: it is told, tried again, and harms no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import structlog

from engine.ref import Ref
from streams.backoff import Backoff
from streams.clients import end_task
from streams.kubernetes.access import AccessError, Way, kubeconfig
from streams.kubernetes.cluster import Away, Cluster, Forbidden, Json, Target
from streams.kubernetes.following import Following
from streams.kubernetes.heard import Heard
from streams.ports import Superseded
from streams.reminder import Reminder
from streams.telemetry import Telemetry

_LOG = structlog.get_logger()
_LOOK_SECONDS: Final = 2.0
_LONGEST_SECONDS: Final = 30.0


class Reason(StrEnum):
    """Of the condition `Watched`: the first one is True, all others are False."""

    WATCHED = "Watched"
    PENDING = "Pending"
    UNREACHABLE = "Unreachable"
    FORBIDDEN = "Forbidden"
    INVALID_ACCESS = "InvalidAccess"
    SUPERSEDED = "Superseded"
    FAILED = "Failed"


class Standing(NamedTuple):
    """How it goes with a member, in a word and in a sentence."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Member:
    """A cluster that is reached. `heard` is `server` for those who only read."""

    name: str
    server: Any
    heard: Heard
    telemetry: Telemetry


Work = Callable[[Member], Awaitable[None]]
"""Does not end by itself."""
Reach = Callable[[Path | Json | None, str], AbstractAsyncContextManager[Any]]
"""The API server of a kubeconfig and a context. Raises AccessError."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where ways lead from: the configuration cluster, by its name, and our own kubeconfig, if there is one."""

    cluster: str
    configuration: Cluster
    kubeconfig: Path | None = None


@dataclass(slots=True)
class Kept:
    """A member whose way is known, and the task that works at it."""

    name: str
    way: Way
    places: Places
    reach: Reach
    work: Work
    standing: Standing = Standing(Reason.PENDING, "is being reached")
    member: Member | None = None
    reminder: Reminder = field(default_factory=Reminder)

    def told(self) -> Standing:
        """How it goes with it now."""
        if self.member is None:
            return self.standing
        trouble = self.member.heard.trouble
        if isinstance(trouble, Away):
            return Standing(Reason.UNREACHABLE, f"{trouble}; what was last known of it is served on")
        if trouble is not None:
            return Standing(Reason.FORBIDDEN, str(trouble))
        waiting = self.member.telemetry.health.waiting()
        if waiting:
            return Standing(Reason.PENDING, "; ".join(waiting.values()))
        return Standing(Reason.WATCHED, "what it says enters the log")

    async def keep(self, after: Collection[asyncio.Task[None]]) -> None:
        """Work at it until cancelled, once the tasks before have ended."""
        if after:
            await asyncio.wait(after)
        if self.way.context:
            await self._serve(self.places.kubeconfig)
            return
        if self.way.kubeconfig:
            await self._serve(orjson.loads(self.way.kubeconfig))
            return
        backoff = Backoff(1.0, _LONGEST_SECONDS)
        while True:
            try:
                await self._serve_secret()
            except Exception as error:  # noqa: BLE001  whatever it is, it is this member's alone
                self._stand(Standing(Reason.FAILED, f"what follows its Secret ended with {_kind(error)}"))
            await backoff.wait()

    async def _serve_secret(self) -> None:
        """Work at it as its Secret says. Raises what ends the following of that."""
        secret = _Secret(self.way, self.places.cluster)
        following = Following(self.places.cluster, self.places.configuration, secret)
        follow, serve = asyncio.create_task(following.target(self.way.secret)), None
        self.standing = Standing(Reason.PENDING, f"waits for Secret {self.way.namespace}/{self.way.name}")
        try:
            while True:
                await _first(secret.changed.wait(), follow)
                secret.changed.clear()
                if serve is not None:
                    await end_task(serve)
                serve = asyncio.create_task(self._serve_said(secret.said))
        finally:
            for task in filter(None, (serve, follow)):
                await end_task(task)

    async def _serve_said(self, said: Json | AccessError | None) -> None:
        if isinstance(said, AccessError):
            self._stand(Standing(Reason.INVALID_ACCESS, str(said)))
            return
        await self._serve(said)

    async def _serve(self, given: Path | Json | None) -> None:
        """Reach it and work at it, again whenever that ends."""
        backoff = Backoff(1.0, _LONGEST_SECONDS)
        while True:
            try:
                await self._served(given)
            except AccessError as error:
                self._stand(Standing(Reason.INVALID_ACCESS, str(error)))
            except Superseded as error:
                self._stand(Standing(Reason.SUPERSEDED, str(error)))
                return
            except _Renewed:
                backoff.reset()
                continue
            except Exception as error:  # noqa: BLE001  whatever it is, it is this member's alone
                self._stand(Standing(Reason.FAILED, f"what works at it ended with {_kind(error)}"))
            await backoff.wait()

    async def _served(self, given: Path | Json | None) -> None:
        if given is None:
            msg = (
                f"spec.access names context {self.way.context}, and this process has no kubeconfig: name one by "
                f"PENSTOCK_MEMBERS_KUBECONFIG, or a Secret in spec.access.kubeconfig"
            )
            raise AccessError(msg)
        known = _signature(given)
        async with self.reach(given, self.way.context) as server:
            self.member = member = Member(self.name, server, Heard(server), Telemetry())
            works = [asyncio.ensure_future(self.work(member)), asyncio.ensure_future(_look(member, given, known))]
            try:
                done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
            finally:
                self.member = None
                for one in works:
                    await end_task(one)

    def _stand(self, standing: Standing) -> None:
        self.standing = standing
        if self.reminder.is_due(standing.message):
            _LOG.warning("a member is not watched", cluster=self.name, reason=standing.message)


async def _look(member: Member, given: Path | Json, known: object) -> None:
    """Ask again for what was not answered, for ever. Raises _Renewed when what is refused may be granted now."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if member.heard.trouble is not None:
            await member.heard.again()
        if isinstance(member.heard.trouble, Forbidden) and _signature(given) != known:
            raise _Renewed


async def _first(awaited: Coroutine[Any, Any, Any], task: asyncio.Task[None]) -> None:
    """Wait for the first, or for the end of a task that has none but a mistake, which is raised."""
    waiting = asyncio.create_task(awaited)
    try:
        await asyncio.wait((waiting, task), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_task(waiting)
    if task.done():
        task.result()
        raise EOFError


class _Renewed(Exception):  # noqa: N818
    """The kubeconfig is another one now."""


class _Secret:
    """Hears of the Secret of a way. See `Hearer`."""

    def __init__(self, way: Way, cluster: str) -> None:
        self.said: Mapping[str, Any] | AccessError | None = None
        self.changed = asyncio.Event()
        self._way = way
        self._cluster = cluster

    def read(self, target: Target, object_: Json) -> tuple[Ref, Json]:
        """See `Hearer`."""
        return Ref(
            self._cluster, target.group, target.kind, target.namespace, str(object_["metadata"]["name"])
        ), object_

    def listed(self, target: Target, found: Mapping[Ref, Json]) -> None:  # noqa: ARG002  there is one
        """See `Hearer`."""
        self._take(next(iter(found.values()), None))

    def seen(self, ref: Ref, value: Json | None) -> None:  # noqa: ARG002  there is one
        """See `Hearer`."""
        self._take(value)

    def has_any(self, _: Target) -> bool:
        """See `Hearer`."""
        return False

    @property
    def unread(self) -> list[str]:
        """See `Hearer`."""
        return []

    def _take(self, secret: Json | None) -> None:
        said: Mapping[str, Any] | AccessError
        try:
            said = kubeconfig(self._way, secret)
        except AccessError as error:
            said = error
        if str(said) != str(self.said):
            self.said = said
            self.changed.set()


def _signature(given: Path | Json) -> object:
    if not isinstance(given, Path):
        return None
    try:
        found = given.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _kind(error: BaseException) -> str:
    """Not its words: they may quote what it worked at."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__
