"""A cluster in memory: the twin of an API server for tests, with server-side apply as far as deployers notice it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Mapping
from typing import Any

from streams.sinks.kubernetes.objects import (
    Away,
    Json,
    Kind,
    Listed,
    NoNamespace,
    NotServed,
    Rejected,
    Seen,
    Target,
    target_of,
)
from streams.sinks.kubernetes.overlay import identity, merge_key


class MemoryObjects:
    """While `down` every call raises Away, and is counted; kinds of `unserved` (names) are not there.

    `calls` says what was written.
    """

    def __init__(self) -> None:
        self.down = False
        self.turned_away = 0
        self.unserved: set[str] = set()
        self.nowhere: set[str] = set()
        """Namespaces that are not there."""
        self.refused: dict[Target, str] = {}
        """Why writing one is rejected."""
        self.calls: list[str] = []
        self._objects: dict[Target, dict[str, Any]] = {}
        self._applied: dict[Target, Json] = {}
        self._history: list[tuple[Target, dict[str, Any], bool]] = []
        self._moved = asyncio.Condition()
        self._drops = 0
        self._uids = 0

    # -- what an API server answers ---------------------------------------------------------------------------------

    async def find(self, target: Target) -> Json | None:
        """See `Objects.find`."""
        self._check(target.kind)
        return copy.deepcopy(self._objects.get(target))

    async def apply(self, manifest: Json) -> Json:
        """See `Objects.apply`."""
        target = target_of(manifest)
        self._check(target.kind)
        if target.namespace in self.nowhere:
            msg = f'namespaces "{target.namespace}" not found'
            raise NoNamespace(msg)
        if target in self.refused:
            raise Rejected(self.refused[target])
        self.calls.append(f"apply {target}")
        old = self._objects.get(target)
        without = _without(old, self._applied.get(target, {}), manifest) if old is not None else {}
        await self._store(target, _over(without, manifest))
        self._applied[target] = copy.deepcopy(dict(manifest))
        return copy.deepcopy(self._objects[target])

    async def remove(self, object_: Json) -> None:
        """See `Objects.remove`."""
        target = target_of(object_)
        self._check(target.kind)
        old = self._objects.get(target)
        if old is not None and old["metadata"]["uid"] == object_["metadata"].get("uid"):
            self.calls.append(f"remove {target}")
            await self.delete(target)

    async def follow(self, kind: Kind, selector: str) -> AsyncIterator[Listed | Seen]:
        """See `Objects.follow`. It ends with `drop`."""
        self._check(kind)
        labels = dict(one.split("=", 1) for one in selector.split(","))
        position, drops = len(self._history), self._drops
        found = [one for target, one in sorted(self._objects.items()) if target.kind == kind and _has(one, labels)]
        known = {target_of(one) for one in found}
        yield Listed(tuple(copy.deepcopy(found)))
        while True:
            self._check(kind)
            for target, object_, is_gone in self._history[position:]:
                position += 1
                if target.kind != kind or not (target in known or _has(object_, labels)):
                    continue
                is_lost = is_gone or not _has(object_, labels)
                (known.discard if is_lost else known.add)(target)
                yield Seen(copy.deepcopy(object_), is_lost)
            async with self._moved:
                while not (len(self._history) > position or self._drops > drops or self.down):
                    await self._moved.wait()
            if self._drops > drops:
                return

    # -- what others do to it ---------------------------------------------------------------------------------------

    async def put(self, object_: Json) -> None:
        """Somebody creates or replaces an object."""
        await self._store(target_of(object_), copy.deepcopy(dict(object_)))

    async def delete(self, target: Target) -> None:
        """Somebody deletes an object; there is no garbage collector here."""
        old = self._objects.pop(target, None)
        self._applied.pop(target, None)
        if old is not None:
            await self._tell(target, old, is_gone=True)

    async def drop(self) -> None:
        """End all watches."""
        self._drops += 1
        await self._wake()

    async def stop(self) -> None:
        """The API server is killed."""
        self.down = True
        await self._wake()

    def all(self) -> dict[str, dict[str, Any]]:
        """Every object, by `Kind namespace/name`."""
        return {str(target): copy.deepcopy(one) for target, one in sorted(self._objects.items())}

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _store(self, target: Target, object_: dict[str, Any]) -> None:
        old = self._objects.get(target)
        if old is None:
            self._uids += 1
        uid = old["metadata"]["uid"] if old is not None else object_["metadata"].get("uid") or f"uid-{self._uids}"
        version = old["metadata"]["resourceVersion"] if old is not None else None
        new = {**object_, "metadata": {**object_["metadata"], "uid": uid, "resourceVersion": version}}
        if new == old:
            return
        new["metadata"]["resourceVersion"] = str(len(self._history) + 1)
        self._objects[target] = new
        await self._tell(target, new, is_gone=False)

    async def _tell(self, target: Target, object_: dict[str, Any], *, is_gone: bool) -> None:
        self._history.append((target, copy.deepcopy(object_), is_gone))
        await self._wake()

    async def _wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    def _check(self, kind: Kind) -> None:
        if self.down:
            self.turned_away += 1
            raise Away("connection refused")
        if kind.name in self.unserved:
            raise NotServed("the server could not find the requested resource")


def _has(object_: Json, labels: Mapping[str, str]) -> bool:
    return labels.items() <= dict(object_["metadata"].get("labels") or {}).items()


def _over(below: Any, above: Any, name: str = "") -> Any:
    if isinstance(above, Mapping):
        kept = dict(below) if isinstance(below, Mapping) else {}
        return {**kept, **{key: _over(kept.get(key), value, key) for key, value in above.items()}}
    if not isinstance(above, list | tuple) or (key := merge_key(name, above)) is None:
        return copy.deepcopy(above)
    items = {identity(one, key): one for one in (below if isinstance(below, list | tuple) else ())}
    for one in above:
        items[identity(one, key)] = _over(items.get(identity(one, key)), one)
    return list(items.values())


def _without(live: Any, before: Any, after: Any, name: str = "") -> Any:
    """What is live without what we applied before and apply no longer."""
    if isinstance(live, Mapping) and isinstance(before, Mapping):
        later = after if isinstance(after, Mapping) else {}
        return {
            key: _without(value, before.get(key), later.get(key), key)
            for key, value in live.items()
            if key not in before or key in later
        }
    key = merge_key(name, live) if isinstance(live, list | tuple) else None
    if key is None or not isinstance(before, list | tuple):
        return live
    old, new = ({identity(one, key): one for one in items or ()} for items in (before, after))
    return [
        _without(one, old.get(identity(one, key)), new.get(identity(one, key)))
        for one in live
        if identity(one, key) not in old or identity(one, key) in new
    ]
