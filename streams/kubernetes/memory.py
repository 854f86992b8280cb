"""A cluster in memory: the twin of an API server for tests; it shows what that shows, late, in pages, or not at all."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

from streams.kubernetes.cluster import Away, Event, Gone, NotServed, Page, Served, Target, Verb

_EPOCH = "2026-11-24T10:00:00Z"


class _Name(NamedTuple):
    group: str
    kind: str
    namespace: str
    name: str


class _Change(NamedTuple):
    version: int
    verb: Verb
    name: _Name
    object: dict[str, Any]


def _no_time() -> str:
    return _EPOCH


class MemoryCluster:
    """Lists are of one version, tokens and watches expire by `compact`. While `down` every call raises Away.

    `now` answers RFC 3339. `served` kinds are given with all versions; core kinds need not be named.
    """

    def __init__(self, served: Mapping[tuple[str, str], Served], now: Callable[[], str] = _no_time) -> None:
        self.down = False
        self.calls: list[str] = []
        """What was asked: `list KIND`, `watch KIND`."""
        self._served = dict(served)
        self._now = now
        self._objects: dict[_Name, dict[str, Any]] = {}
        self._history: list[_Change] = []
        self._compacted = 0
        self._version = 1
        self._drops = 0
        self._moved = asyncio.Condition()

    # -- what an API server answers ---------------------------------------------------------------------------------

    async def page(self, target: Target, token: str, limit: int) -> Page:
        """See `Cluster.page`. A token is `version:position`."""
        self._check(target)
        self.calls.append(f"list {target.kind}")
        version, start = (int(part) for part in token.split(":")) if token else (self._version, 0)
        if token and version < self._compacted:
            raise Gone("the provided continue parameter is too old")
        objects_then = self._at(version)
        found = sorted(name for name, object_ in objects_then.items() if _selects(target, name, object_))
        end = start + limit if limit else len(found)
        objects = tuple(copy.deepcopy(objects_then[name]) for name in found[start:end])
        return Page(objects, str(version), f"{version}:{end}" if end < len(found) else "")

    async def watch(self, target: Target, version: str) -> AsyncIterator[Event]:
        """See `Cluster.watch`. It ends with `drop` and `stop`."""
        self._check(target)
        self.calls.append(f"watch {target.kind}")
        at, drops = int(version), self._drops
        inside = {name for name, object_ in self._at(at).items() if _selects(target, name, object_)}
        while not self.down:
            self._check(target)
            if at < self._compacted:
                msg = f"too old resource version: {at}"
                raise Gone(msg)
            for change in [one for one in self._history if one.version > at]:
                at = change.version
                if (verb := _shown(target, change, inside)) is not None:
                    yield Event(verb, copy.deepcopy(change.object))
            async with self._moved:
                while not (self._version > at or self._drops > drops or self.down):
                    await self._moved.wait()
            if self._drops > drops:
                return

    async def served(self) -> frozenset[Served]:
        """See `Cluster.served`."""
        self._check()
        return frozenset(self._served.values())

    # -- what others do to it ---------------------------------------------------------------------------------------

    async def put(self, object_: Mapping[str, Any], manager: str = "tests") -> None:
        """Create or replace an object, as that field manager."""
        name = _name(object_)
        new, old = copy.deepcopy(dict(object_)), self._objects.get(name)
        before: dict[str, Any] = (
            old["metadata"] if old is not None else {"creationTimestamp": self._now(), "generation": 0}
        )
        grew = old is None or _spec(old) != _spec(new)
        new["metadata"] = {
            **new["metadata"],
            "uid": f"uid-{self._version + 1}" if old is None else before["uid"],
            "creationTimestamp": before["creationTimestamp"],
            "managedFields": [{"manager": manager, "operation": "Update", "time": self._now()}],
        }
        if name.group:
            new["metadata"]["generation"] = before["generation"] + grew
        await self._change(Verb.ADDED if old is None else Verb.MODIFIED, name, new)

    async def delete(self, object_: Mapping[str, Any]) -> None:
        """Delete an object; one that is not there is no fault."""
        name = _name(object_)
        if name in self._objects:
            await self._change(Verb.DELETED, name, self._objects[name])

    async def serve(self, kind: tuple[str, str], served: Served) -> None:
        """A CRD is installed."""
        self._served[kind] = served
        await self.drop()

    async def unserve(self, kind: tuple[str, str]) -> None:
        """A CRD is removed, and its objects with it."""
        for name in [name for name in self._objects if (name.group, name.kind) == kind]:
            await self._change(Verb.DELETED, name, self._objects[name])
        del self._served[kind]
        await self.drop()

    async def bookmark(self) -> None:
        """Every watch hears how far it is."""
        await self._change(Verb.BOOKMARK, _Name("", "", "", ""), {"metadata": {}})

    def compact(self) -> None:
        """Forget all history: what is older expires."""
        self._compacted = self._version
        self._history = []

    async def drop(self) -> None:
        """End all watches."""
        self._drops += 1
        await self._wake()

    async def stop(self) -> None:
        """The API server is killed."""
        self.down = True
        await self._wake()

    async def start(self) -> None:
        """The API server is back."""
        self.down = False
        await self._wake()

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _change(self, verb: Verb, name: _Name, object_: dict[str, Any]) -> None:
        self._version += 1
        shown = {**object_, "metadata": {**object_["metadata"], "resourceVersion": str(self._version)}}
        self._history.append(_Change(self._version, verb, name, shown))
        if verb is Verb.DELETED:
            del self._objects[name]
        elif verb is not Verb.BOOKMARK:
            self._objects[name] = shown
        await self._wake()

    async def _wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    def _at(self, version: int) -> dict[_Name, dict[str, Any]]:
        """All objects as of a version, from the newest back."""
        objects = dict(self._objects)
        before: dict[_Name, dict[str, Any] | None] = {}
        seen: dict[_Name, dict[str, Any] | None] = {}
        for change in self._history:
            if change.version > version and change.name not in before:
                before[change.name] = seen.get(change.name)
            seen[change.name] = None if change.verb is Verb.DELETED else change.object
        for name, object_ in before.items():
            objects.pop(name, None)
            if object_ is not None:
                objects[name] = object_
        return objects

    def _check(self, target: Target | None = None) -> None:
        if self.down:
            raise Away("connection refused")
        if target is not None and target.group:
            served = self._served.get((target.group, target.kind))
            if served is None or served.version != target.version:
                raise NotServed("the server could not find the requested resource")


def _name(object_: Mapping[str, Any]) -> _Name:
    metadata = object_["metadata"]
    group = str(object_["apiVersion"]).rpartition("/")[0]
    return _Name(group, str(object_["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"]))


def _spec(object_: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in object_.items() if key not in {"metadata", "status"}}


def _shown(target: Target, change: _Change, inside: set[_Name]) -> Verb | None:
    """As what a watch shows a change, None for not at all: what no longer has the labels is deleted to it."""
    if change.verb is Verb.BOOKMARK:
        return change.verb
    was_inside = change.name in inside
    inside.discard(change.name)
    if change.verb is not Verb.DELETED and _selects(target, change.name, change.object):
        inside.add(change.name)
        return Verb.MODIFIED if was_inside else Verb.ADDED
    return Verb.DELETED if was_inside else None


def _selects(target: Target, name: _Name, object_: Mapping[str, Any]) -> bool:
    if (name.group, name.kind) != (target.group, target.kind):
        return False
    if target.name and target.name != name.name:
        return False
    pairs = (one.partition("=") for one in target.labels.split(",") if one)
    labels = object_["metadata"].get("labels") or {}
    return target.namespace in ("", name.namespace) and all(labels.get(key) == value for key, _, value in pairs)
