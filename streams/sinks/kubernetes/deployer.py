"""Brings one cluster to the proxies that penstock.infra wants, and keeps it there; what they serve it does not know.

It writes what differs, and touches nothing that is neither labelled as its own nor owned by one of its Gateways. What
is deployed for a Gateway of another cluster nobody owns: it is found by its labels, and goes when its row does.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog

from streams.backoff import Backoff
from streams.ports import Log
from streams.reminder import Reminder
from streams.sinks.infra import follow_proxies
from streams.sinks.kubernetes.manifests import APPLIED, manifests
from streams.sinks.kubernetes.objects import (
    GATEWAY,
    SECRET,
    WATCHED,
    Away,
    Kind,
    Listed,
    NoNamespace,
    NotServed,
    Objects,
    ObjectsError,
    Rejected,
    Seen,
    Target,
    target_of,
)
from streams.sinks.kubernetes.outcomes import Outcomes
from streams.sinks.kubernetes.overlay import contains
from streams.sinks.kubernetes.proxy import CONTROLLER, Proxy, Template, found_by, secret_name
from streams.sinks.kubernetes.wanted import Key, Rows
from streams.telemetry import Telemetry
from streams.view import Batch

_LOG = structlog.get_logger()
_AT_ONCE: Final = 8
_SLOWEST_SECONDS: Final = 30.0
_MISSING_SECONDS: Final = 30.0
_CALM_SECONDS: Final = 60.0
_STEADY_SECONDS: Final = 5.0

Json = Mapping[str, Any]


class NotOurs(ObjectsError):  # noqa: N818
    """An object of that name is somebody else's."""


@dataclass(slots=True)
class _Pace:
    """When a Gateway may be attended to again: later and later while that fails, or somebody undoes it."""

    seconds: float = 0.0
    not_before: float = 0.0
    last: float = 0.0
    failed: bool = False

    def slow_down(self, now: float, first: float) -> float:
        """One more failure, or repair; answers the pause."""
        if now - self.last > _CALM_SECONDS:
            self.seconds = 0.0
        self.seconds = min(self.seconds * 2 or first, _SLOWEST_SECONDS)
        self.last, self.not_before = now, now + self.seconds
        return self.seconds


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """What is placed in `cluster` is deployed, and nothing else."""

    cluster: str
    template: Template
    partition: int = 0
    telemetry: Telemetry = field(default_factory=Telemetry)


@dataclass(slots=True)
class Deployer:
    """The objects that there are, against those wanted."""

    objects: Objects
    options: DeployOptions
    wanted: dict[Key, Proxy] = field(default_factory=dict)
    seen: dict[Key, dict[Target, Json]] = field(default_factory=dict)
    listed: set[Kind] = field(default_factory=set)
    is_told: bool = False
    dirty: set[Key] = field(default_factory=set)
    paces: dict[Key, _Pace] = field(default_factory=dict)
    applied: dict[Target, tuple[str, str]] = field(default_factory=dict)
    """The mark of what was applied last, and what the API server made of it: it may write numbers in another way."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    rows: Rows = field(init=False)
    outcomes: Outcomes = field(init=False)

    def __post_init__(self) -> None:
        self.rows = Rows(self.options.cluster)
        self.outcomes = Outcomes(self.options.template.domain, self.options.partition)

    async def follow(self, log: Log) -> None:
        """Follow the log and the cluster, for ever."""
        options, health = self.options, self.options.telemetry.health
        with health.part("cluster", self._unlisted):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(follow_proxies(log, options.partition, self._take, health), name="deployer-wants")
                for kind in WATCHED:
                    tasks.create_task(self._watch(kind), name=f"deployer-{kind.plural}")
                tasks.create_task(self._keep(), name="deployer-keep")
                tasks.create_task(self.outcomes.write(log), name="deployer-outcomes")

    def _unlisted(self) -> str:
        names = sorted(kind.name for kind in WATCHED if kind not in self.listed)
        return f"lists {', '.join(names)}" if names else ""

    # -- what is wanted ---------------------------------------------------------------------------------------------

    def _take(self, batch: Batch) -> None:
        told = self.rows.take(batch)
        if batch.snapshot:
            told |= dict.fromkeys(self.seen.keys() - told.keys())
        for key, proxy in told.items():
            # Marked though it is wanted as before: a row that went and came back may be of another Gateway of the name.
            self.dirty.add(key)
            old = self.wanted.pop(key, None)
            if old != proxy:
                self.paces.pop(key, None)
            if old is not None and (proxy is None or proxy.placement != old.placement):
                self.outcomes.forget(str(old.placement))
            if proxy is not None:
                self.wanted[key] = proxy
        self.is_told = True
        self.wake.set()

    # -- what is there ----------------------------------------------------------------------------------------------

    async def _watch(self, kind: Kind) -> None:
        """Follow the objects of a kind, begin anew when that ends; a kind that is not served has none."""
        clock = asyncio.get_running_loop().time
        selector = ",".join(f"{name}={value}" for name, value in found_by(self.options.template).items())
        reminder, backoff = Reminder(), Backoff()
        while True:
            began = clock()
            try:
                async for event in self.objects.follow(kind, selector):
                    self._see(kind, event)
            except NotServed:
                self._see(kind, Listed(()))
                await asyncio.sleep(_MISSING_SECONDS)
            except ObjectsError as error:
                if reminder.is_due(str(error)):
                    _LOG.warning("cannot follow what is deployed", kind=kind.name, reason=str(error))
            if clock() - began > _STEADY_SECONDS:
                backoff.reset()
            else:
                # Without a fault, too: a watch that ends at once would list everything over and over.
                await backoff.wait()

    def _see(self, kind: Kind, event: Listed | Seen) -> None:
        if isinstance(event, Seen):
            target = target_of(event.object)
            old = self._live(target)
            self._remember(target, None if event.is_gone else event.object)
            if event.is_gone or old is None or _content(old) != _content(event.object):
                self._mark({_key(target)})  # Else its status moved.
            return
        found = {target_of(one): one for one in event.objects}
        gone = [one for there in self.seen.values() for one in there if one.kind == kind and one not in found]
        for target in gone:
            self._remember(target, None)
        for target, object_ in found.items():
            self._remember(target, object_)
        self.listed.add(kind)
        self._mark({_key(one) for one in (*gone, *found)} | self.wanted.keys())

    def _live(self, target: Target) -> Json | None:
        return self.seen.get(_key(target), {}).get(target)

    def _remember(self, target: Target, object_: Json | None) -> None:
        there = self.seen.setdefault(_key(target), {})
        if object_ is not None:
            there[target] = object_
        else:
            there.pop(target, None)
        if not there:
            del self.seen[_key(target)]

    def _mark(self, keys: Iterable[Key]) -> None:
        self.dirty |= set(keys)
        self.wake.set()

    # -- bringing one to the other ----------------------------------------------------------------------------------

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        reminder, backoff = Reminder(), Backoff()
        while True:
            self.wake.clear()
            # Not before all is known: what is not listed yet would be written anew, what is not told yet removed.
            is_ready = self.is_told and self.listed.issuperset(WATCHED)
            due = sorted(key for key in self.dirty if self._not_before(key) <= clock()) if is_ready else []
            if due:
                now = due[:_AT_ONCE]
                self.dirty -= set(now)
                away = [one for one in await asyncio.gather(*(self._attend(key) for key in now)) if one is not None]
                if away:
                    if reminder.is_due(str(away[0])):
                        _LOG.error("cannot deploy proxies, tried again until it can", reason=str(away[0]))
                    await backoff.wait()
                else:
                    backoff.reset()
                continue
            later = min(map(self._not_before, self.dirty), default=None) if is_ready else None
            with suppress(TimeoutError):
                async with asyncio.timeout_at(later):
                    await self.wake.wait()

    def _not_before(self, key: Key) -> float:
        pace = self.paces.get(key)
        return pace.not_before if pace is not None else 0.0

    async def _attend(self, key: Key) -> Away | None:
        """See to a Gateway's objects; answers why nobody's can be seen to now."""
        now, pace = asyncio.get_running_loop().time(), self.paces.setdefault(key, _Pace())
        proxy = self.wanted.get(key)
        try:
            written = await (self._bring(key, proxy) if proxy is not None else self._clear(key))
        except Away as error:
            self.dirty.add(key)
            return error
        except ObjectsError as error:
            if pace.failed:
                # Not of what only stood in the way for a moment.
                self._tell(key, proxy, str(error))
            pause, pace.failed = pace.slow_down(now, 2.0), True
            self.dirty.add(key)
            _LOG.error("cannot deploy proxies", gateway="/".join(key), reason=str(error), again_in=pause)
            return None
        self._tell(key, proxy, "")
        if pace.failed:
            # What failed until now was nobody's doing that would be undone again.
            pace = self.paces[key] = _Pace()
        if written:
            pace.slow_down(now, 0.1)
            _LOG.info("deployed proxies", gateway="/".join(key), written=written)
        if key not in self.wanted and key not in self.seen:
            self.paces.pop(key, None)
        return None

    def _tell(self, key: Key, proxy: Proxy | None, words: str) -> None:
        """Of what was brought, unless that is not wanted any more."""
        if proxy is not None and self.wanted.get(key) == proxy:
            self.outcomes.tell(str(proxy.placement), words)

    async def _clear(self, key: Key) -> list[str]:
        """Remove what nobody wants; answers what was removed. Raises ObjectsError."""
        removed = await self._remove(key, keeping=set())
        for target in (*(Target(kind, *key) for kind in WATCHED), _secret(key)):
            # Those too that went by themselves, with the Gateway that owned them.
            self.applied.pop(target, None)
        return removed

    async def _bring(self, key: Key, proxy: Proxy) -> list[str]:
        """Write what differs; answers what was written. Raises ObjectsError."""
        if proxy.held:
            return []
        uid = await self._owner(proxy)
        if uid is None:
            return []  # Its row goes as soon as that is in the log; its objects go with it.
        try:
            wanted = {target_of(one): one for one in manifests(proxy, self.options.template, uid)}
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            # Patches are of any form.
            msg = f"its parameters fit no object ({type(error).__name__}: {error}): look at the overlays"
            raise Rejected(msg) from None
        written, refused = [], []
        for target, manifest in wanted.items():
            try:
                if await self._apply(target, manifest, uid):
                    written.append(target.kind.name)
            except NoNamespace:
                msg = (
                    f"there is no namespace {key[0]} in cluster {self.options.cluster}, where its proxies are to run: "
                    f"create it there"
                )
                raise Rejected(msg) from None
            except (Rejected, NotServed, NotOurs) as error:
                # One that is not taken is no reason to leave the others as they are.
                refused.append(f"{target}: {error}")
        written += await self._remove(key, keeping=wanted.keys())
        if refused:
            raise Rejected("; ".join(refused))
        return written

    async def _owner(self, proxy: Proxy) -> str | None:
        """The uid of the Gateway that is to own the objects: "" for one of another cluster, None while it is gone."""
        if not proxy.is_own:
            return ""
        gateway = await self.objects.find(Target(GATEWAY, proxy.gateway.namespace, proxy.gateway.name))
        return str(gateway["metadata"]["uid"]) if gateway is not None else None

    async def _apply(self, target: Target, manifest: Json, uid: str) -> bool:
        """Apply a manifest where its object differs; answers whether it did. Raises ObjectsError."""
        live = self._live(target) or await self.objects.find(target)
        if live is not None:
            if not self._is_ours(live, uid):
                msg = "it is somebody else's and is left alone: delete it, or give the Gateway another name"
                raise NotOurs(msg)
            if self._is_settled(target, live, manifest):
                return False
        answer = await self.objects.apply(manifest)
        self.applied[target] = (_mark_of(manifest), _content(answer))
        if target.kind in WATCHED:
            self._remember(target, answer)
        return True

    def _is_ours(self, live: Json, uid: str) -> bool:
        """Labelled as ours, or owned by the Gateway: what another controller of it has left.

        What a penstock has left that did not label with its controller's name is taken over, as its Gateway is ours.
        It is not removed, though: where its Gateway is not ours, it may be another installation's.
        """
        if not uid:
            return self._is_labelled(live)
        ours, owners = found_by(self.options.template), live["metadata"].get("ownerReferences") or ()
        labels = {CONTROLLER: ours[CONTROLLER], **_labels(live)}
        return ours.items() <= labels.items() or any(one.get("uid") == uid for one in owners)

    def _is_labelled(self, live: Json) -> bool:
        return found_by(self.options.template).items() <= _labels(live).items()

    def _is_settled(self, target: Target, live: Json, manifest: Json) -> bool:
        """Its mark, which stands in the manifest, tells of a field that is not wanted any more."""
        return contains(live, manifest) or self.applied.get(target) == (_mark_of(manifest), _content(live))

    async def _remove(self, key: Key, keeping: Iterable[Target]) -> list[str]:
        """Delete what is not wanted of a Gateway's objects; answers what. Raises ObjectsError."""
        there = dict(self.seen.get(key, {}))
        secret = _secret(key)
        if secret not in set(keeping):
            live = await self.objects.find(secret)
            there |= {secret: live} if live is not None and self._is_labelled(live) else {}
        removed = []
        for target in sorted(there.keys() - set(keeping)):
            await self.objects.remove(there[target])
            self._remember(target, None)
            self.applied.pop(target, None)
            removed.append(f"-{target.kind.name}")
        return removed


def _key(target: Target) -> Key:
    return target.namespace, target.name


def _secret(key: Key) -> Target:
    return Target(SECRET, key[0], secret_name(key[1]))


def _labels(object_: Json) -> dict[str, str]:
    return dict(object_["metadata"].get("labels") or {})


def _mark_of(object_: Json) -> str:
    return str((object_["metadata"].get("annotations") or {}).get(APPLIED, ""))


_MOVING: Final = {"managedFields", "resourceVersion", "generation"}


def _content(object_: Json) -> str:
    """A hash of all but its status and what the API server counts."""
    metadata = {key: value for key, value in object_["metadata"].items() if key not in _MOVING}
    rest = {key: value for key, value in object_.items() if key != "status"}
    text = orjson.dumps({**rest, "metadata": metadata}, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).hexdigest()
