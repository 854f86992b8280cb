"""Listing and watching one target, as a state machine: what to ask next, and what the answers mean. It asks nothing.

The rules are those of the API (Kubernetes API Concepts, "Efficient detection of changes"): list in pages, watch from
the list's version on, follow bookmarks, list again after 410.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from engine.ref import Ref
from streams.kubernetes.cluster import Event, Json, Page, Verb, is_older

PAGE: Final = 500
V = TypeVar("V")


class ListRequest(NamedTuple):
    """Ask for a page."""

    token: str
    limit: int


class WatchRequest(NamedTuple):
    """Ask for what happens after a version."""

    version: str


@dataclass(slots=True)
class Reflector(Generic[V]):
    """`read` makes of an object what is kept of it; a page's objects are not held as they came."""

    read: Callable[[Json], tuple[Ref, V]]
    limit: int = PAGE
    _version: str = ""
    _token: str = ""
    _found: dict[Ref, V] = field(default_factory=dict)
    _is_whole: bool = False
    """Whether the next listing is one page: one in pages takes longer, and expired before its end."""

    @property
    def request(self) -> ListRequest | WatchRequest:
        """What to ask next."""
        if self._version:
            return WatchRequest(self._version)
        return ListRequest(self._token, 0 if self._is_whole else self.limit)

    def page(self, page: Page) -> dict[Ref, V] | None:
        """Take a page; with the last one answers all that there is."""
        self._found.update(map(self.read, page.objects))
        self._token = page.token
        if page.token:
            return None
        found, self._found = self._found, {}
        self._version, self._is_whole = page.version, False
        return found

    def event(self, event: Event) -> tuple[Ref, V | None] | None:
        """Take an event; answers what it says of an object, without a value that it is gone; None for nothing."""
        version = _version(event.object)
        if is_older(version, self._version):
            # The API server was brought back from a copy: what it says after our version may be another history.
            self.gone()
            return None
        self._version = version or self._version
        if event.verb is Verb.BOOKMARK:
            return None
        ref, value = self.read(event.object)
        return ref, None if event.verb is Verb.DELETED else value

    def gone(self) -> None:
        """410: begin a listing from its first page."""
        self._is_whole = bool(self._token)
        self._version, self._token = "", ""
        self._found = {}


def _version(object_: Json) -> str:
    metadata: Any = object_.get("metadata") or {}
    return str(metadata.get("resourceVersion") or "")
