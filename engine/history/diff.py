"""What two moments of a domain differ in: in objects, in routing as a person says it, in Envoy's resources, in proxies.

Its cost is that of what differs: fragments are compared by the hashes of their content, and only others are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.history.paths import Place, differences
from engine.history.resource import resource
from engine.history.routing import Read, routing
from engine.history.takers import Fragments, takers
from engine.update import Fragment

_NOISE: Final = ("generation", "creationTimestamp", "resourceVersion", "uid")
"""Of an object's metadata: what nobody wrote."""
_SEALED: Final = "(sealed)"


@dataclass(frozen=True, slots=True)
class Moment:
    """A domain at an offset: objects by `str(Ref)`, fragments by `str(FragmentKey)`, proxies as in penstock.infra."""

    offset: int
    objects: Mapping[str, Mapping[str, Any]]
    fragments: Mapping[str, Fragment]
    proxies: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs, and where; no places for what came ("added") or went ("removed") as a whole."""

    key: str
    verb: str
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """From one moment to another. `routing` are sentences; each level is sorted.

    `proxies` is what deployers are told; what they make of it is theirs.
    """

    before: int
    after: int
    objects: tuple[Change, ...]
    routing: tuple[str, ...]
    resources: tuple[Change, ...]
    proxies: tuple[Change, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.objects or self.routing or self.resources or self.proxies)


def diff(before: Moment, after: Moment) -> Diff:
    """What is otherwise `after`."""
    gone, come = others(before.fragments, after.fragments), others(after.fragments, before.fragments)
    old, new = ({key: resource(one) for key, one in some.items()} for some in (gone, come))
    clusters = {key.partition("/")[0] for key in (*before.fragments, *after.fragments)}
    return Diff(
        before.offset,
        after.offset,
        _changes(
            {ref: _written(ref, one) for ref, one in _unequal(before.objects, after.objects).items()},
            {ref: _written(ref, one) for ref, one in _unequal(after.objects, before.objects).items()},
        ),
        routing(*_met(before.fragments, after.fragments, gone, come), clusters=len(clusters) > 1),
        _changes(old, new),
        _changes(_unequal(before.proxies, after.proxies), _unequal(after.proxies, before.proxies)),
    )


def _met(before: Fragments, after: Fragments, gone: Fragments, come: Fragments) -> tuple[Read, Read]:
    """What differs, and whatever else requests of its matches meet before and after."""
    pairs = takers(before, after, gone, come)
    old = {**gone, **{str(one.old.key): one.old for one in pairs}}
    new = {**come, **{str(one.new.key): one.new for one in pairs}}
    first, second = ({key: (one, resource(one)) for key, one in some.items()} for some in (old, new))
    return first, second


def others(some: Mapping[str, Fragment], other: Mapping[str, Fragment]) -> dict[str, Fragment]:
    """Those that the other moment has not, or not with this content in this place."""
    return {key: one for key, one in some.items() if not _is_same(one, other.get(key))}


def _is_same(one: Fragment, other: Fragment | None) -> bool:
    return other is not None and (one.version, one.parent, one.order) == (other.version, other.parent, other.order)


def _unequal(some: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in some.items() if other.get(key) != one}


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    found = []
    for key in sorted(old.keys() | new.keys()):
        if key not in old or key not in new:
            found.append(Change(key, "added" if key in new else "removed"))
        elif places := tuple(differences(old[key], new[key])):
            found.append(Change(key, "changed", places))
    return tuple(found)


def _written(ref: str, object_: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody wrote of an object; a Secret's values as that they are others."""
    metadata = {name: one for name, one in object_.get("metadata", {}).items() if name not in _NOISE}
    found = {**object_, "metadata": metadata}
    if ref.split("/")[1:3] == ["", "Secret"]:
        found["data"] = {name: f"{_SEALED} {hash_of(one)}" for name, one in (object_.get("data") or {}).items()}
    return found


def hash_of(sealed: object) -> str:
    """The last letters of a sealed value: equal values are sealed equally, and nothing is learnt from them."""
    return str(sealed)[-8:]
