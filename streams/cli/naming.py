"""Which object a person means, and what to say when there is none of that name; it reads no log."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from engine.models.kind import Kind
from engine.models.kinds import KINDS, find_kind
from engine.ref import Ref
from streams.cli.output import fail

_SHOWN = 3
_NEAR = 0.5


class Wanted(NamedTuple):
    """Objects of a kind by what is given of their names."""

    kind: Kind
    namespace: str | None
    name: str | None

    def takes(self, ref: Ref) -> bool:
        """Whether it is one of them."""
        wanted = (self.kind.group, self.kind.name)
        return (
            (ref.group, ref.kind) == wanted
            and self.name in (None, ref.name)
            and self.namespace in (None, ref.namespace)
        )

    def absent(self, refs: Iterable[Ref]) -> str:
        """The words for none of `refs` being meant: those with a name near to it are named."""
        alike = self._replace(namespace=None, name=None)
        of_kind = sorted({(ref.namespace, ref.name) for ref in refs if alike.takes(ref)})
        named = "/".join(one for one in (self.namespace, self.name) if one)
        if not of_kind:
            return f"{self.kind.name} {named} is not there: there is no {self.kind.name} at all"
        ranked = sorted((-_likeness(self.name or "", name), namespace, name) for namespace, name in of_kind)
        near = [f"{namespace}/{name}".lstrip("/") for worse, namespace, name in ranked if -worse >= _NEAR][:_SHOWN]
        if not near:
            remedy = f"see `penstock get {self.kind.plural}`"
            return f"{self.kind.name} {named} is not there, nor one of a name like that: {remedy}"
        return f"{self.kind.name} {named} is not there; of a name like that there is {', '.join(near)}"


def wanted(text: str) -> Wanted:
    """KIND/NAME or KIND/NAMESPACE/NAME; what is neither, or no kind, ends the command with code 2."""
    kind, slash, rest = text.partition("/")
    namespace, _, name = rest.rpartition("/")
    if not slash or not name or "/" in namespace:
        fail(f"{text!r} names no object: write KIND/NAME or KIND/NAMESPACE/NAME, such as Gateway/default/gw", 2)
    return Wanted(known(kind), namespace or None, name)


def known(word: str) -> Kind:
    """The kind of that name; one that is not known ends the command with code 2."""
    found = find_kind(word)
    if found is None:
        names = {name: one for one in KINDS for name in (one.name.lower(), one.plural)}
        near = difflib.get_close_matches(word.lower(), names, 1)
        meant = f"; did you mean {names[near[0]].plural}?" if near else ";"
        fail(f"unknown kind {word}{meant} known: {', '.join(one.plural for one in KINDS)}", 2)
    return found


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
