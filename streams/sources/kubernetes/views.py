"""Which watches show which of the objects on request: a Secret's own, and those of selections that meet it.

Watches are not ordered among one another: an object is gone when none shows it any more, and of two states the older
one is no news. No I/O and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from engine.observed import GROUP, SELECTION, is_selection, selected_labels
from engine.ref import Ref
from streams.kubernetes.cluster import is_older

ANSWERED: Final = frozenset({("", "Secret"), (GROUP, SELECTION)})
"""What an API server is asked for."""


class Views:
    """A watch is named by what it was asked for: the ref of a Secret, or of a selection."""

    def __init__(self) -> None:
        self._wanted: frozenset[Ref] | None = None
        self._unlisted: dict[Ref, None] = {}
        """Selections of which nothing was heard yet."""
        self._unheard: set[Ref] = set()
        """The same of Secrets by name."""
        self._shown: dict[Ref, dict[Ref, str]] = {}
        """Of each object the watches that show it, with the resourceVersion of what they showed last."""

    def want(self, refs: frozenset[Ref]) -> None:
        """What is asked for from now on; what the watches of all else have shown is forgotten."""
        before = self._wanted or frozenset()
        new, gone = refs - before, before - refs
        self._wanted = refs
        self._unlisted = {ref: None for ref in self._unlisted if ref in refs}
        self._unlisted |= {ref: None for ref in sorted(new) if is_selection(ref)}
        self._unheard = {ref for ref in self._unheard if ref in refs} | {ref for ref in new if not is_selection(ref)}
        for ref, by in list(self._shown.items()) if gone else ():
            for one in gone & by.keys():
                self._forget(ref, one)

    def is_wanted(self, ref: Ref) -> bool:
        """Whether it is asked for by its name."""
        return ref in (self._wanted or ())

    def listed(self, by: Ref) -> None:
        """A watch told all that it has."""
        self._unlisted.pop(by, None)
        self._unheard.discard(by)

    def shown(self, by: Ref) -> set[Ref]:
        """What a watch shows."""
        return {ref for ref, ones in self._shown.items() if by in ones}

    def shows(self, ref: Ref, by: Ref, version: str) -> bool:
        """A watch shows an object; whether that is news."""
        if not self.is_wanted(by):
            return False
        ones = self._shown.setdefault(ref, {})
        is_old = any(is_older(version, known) for one, known in ones.items() if one != by)
        ones[by] = version
        return not is_old

    def lacks(self, ref: Ref, by: Ref, labels: Mapping[str, str]) -> bool:
        """A watch says that an object is not there, or has not its labels any more; whether it is gone.

        `labels` are those that it had last.
        """
        if not self.is_wanted(by):
            return False
        self._forget(ref, by)
        return not self.has(ref, labels)

    def has(self, ref: Ref, labels: Mapping[str, str]) -> bool:
        """Whether a watch shows it, or one that was not heard yet may."""
        return ref in self._shown or ref in self._unheard or any(meets(one, ref, labels) for one in self._unlisted)

    def _forget(self, ref: Ref, by: Ref) -> None:
        ones = self._shown.get(ref, {})
        ones.pop(by, None)
        if not ones:
            self._shown.pop(ref, None)


def meets(selection: Ref, secret: Ref, labels: Mapping[str, str]) -> bool:
    """Whether a Secret is one of a selection."""
    return (
        (secret.cluster, secret.namespace) == (selection.cluster, selection.namespace)
        and not is_selection(secret)
        and selected_labels(selection).items() <= labels.items()
    )


def met(selection: Ref, secrets: Iterable[tuple[Ref, Mapping[str, str]]]) -> set[Ref]:
    """Those of a selection among Secrets with their labels."""
    return {ref for ref, labels in secrets if meets(selection, ref, labels)}
