"""Tables that fork: one that begins as another, and changes by itself; it knows nothing of what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_NOTHING: Final[Any] = object()


class StaleFork(Exception):  # noqa: N818
    """What was forked has changed since: nothing that its fork answers can be trusted any more."""


class Trunk:
    """What must stand still while a fork of it is used; that of a fork knows whether its base does."""

    def __init__(self, base: Trunk | None = None) -> None:
        self._base = base
        self.moves = 0
        self._began = base.moves if base is not None else 0

    def move(self) -> None:
        """It changes: its forks are stale from now on. Raises as `check`."""
        self.check()
        self.moves += 1

    def check(self) -> None:
        """Raises StaleFork when its base has changed since it was forked, or the base of that."""
        at = self
        while (base := at._base) is not None:
            if base.moves != at._began:
                msg = "the engine that this one was forked off was told something since: fork it anew"
                raise StaleFork(msg)
            at = base

    def over(self, table: Mapping[K, V], copied: Callable[[V], V] | None = None) -> Branch[K, V]:
        """A table of this fork that begins as one of its base; `copied` as in `Branch`."""
        return Branch(self, table, copied)


class Branch(MutableMapping[K, V]):
    """A table over another, which it leaves as it is: it holds what was set, and of what was removed that it was.

    Values that change in place are `copied` when they are first looked at.
    """

    __slots__ = ("_base", "_copied", "_gone", "_hidden", "_own", "_trunk")

    def __init__(self, trunk: Trunk, base: Mapping[K, V], copied: Callable[[V], V] | None) -> None:
        self._trunk = trunk
        self._base = base
        self._copied = copied
        self._own: dict[K, V] = {}
        self._gone: set[K] = set()
        self._hidden = 0
        """How many keys of the base are set or removed here."""

    def __getitem__(self, key: K) -> V:
        found: V = self.get(key, _NOTHING)
        if found is _NOTHING:
            raise KeyError(key)
        return found

    def get(self, key: K, default: Any = None) -> Any:
        """See `dict.get`."""
        found: Any = self._own.get(key, _NOTHING)
        if found is not _NOTHING:
            return found
        found = self._below(key)
        if found is _NOTHING:
            return default
        if self._copied is not None:
            self[key] = found = self._copied(found)
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._own or self._below(key) is not _NOTHING

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self._own:
            if key in self._gone:
                self._gone.remove(key)
            elif self._below(key) is not _NOTHING:
                self._hidden += 1
        self._own[key] = value

    def __delitem__(self, key: K) -> None:
        is_below = self._below(key) is not _NOTHING
        if key in self._own:
            del self._own[key]
        elif is_below:
            self._hidden += 1
        else:
            raise KeyError(key)
        if is_below:
            self._gone.add(key)

    def __iter__(self) -> Iterator[K]:
        self._trunk.check()
        for key in self._base:
            if key not in self._gone:
                yield key
        for key in list(self._own):
            if key not in self._base:
                yield key

    def __len__(self) -> int:
        self._trunk.check()
        return len(self._own) + len(self._base) - self._hidden

    def _below(self, key: Any) -> Any:
        """What the base has under a key, as it is: looking makes no base copy anything."""
        self._trunk.check()
        at: Branch[K, V] = self
        while key not in at._gone:
            base = at._base
            if not isinstance(base, Branch):
                return base.get(key, _NOTHING)
            if key in base._own:  # noqa: SLF001
                return base._own[key]  # noqa: SLF001
            at = base
        return _NOTHING
