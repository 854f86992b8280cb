"""What a query may read, and the resource as it is read; it must offer no way to read without being recorded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from engine.ref import Ref

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """An object of the log as queries see it.

    `object` is the last revision that its model takes, None when there is none; `refusal` says what stands against the
    present one, "" for nothing, and `generation` is the present one's. `previous` is the last revision that nobody
    rejected, for a quarantine to fall back to. `written` is what stands there where there is no `object`: nothing in it
    can be trusted, it only tells whose business it is.
    """

    object: Json | None
    generation: int
    created: str
    refusal: str = ""
    previous: Json | None = None
    written: Json | None = None


class Reader(Protocol):
    """Everything a query reads goes through here and is recorded, absent things too."""

    def read(self, ref: Ref) -> Resource | None:
        """The resource, None when absent."""

    def look(self, ref: Ref) -> Resource | None:
        """As `read`, of what is known to be there (an index has it): of a kind on request, it is not asked for."""

    def fact(self, name: str) -> Any:
        """A named input that is no resource (settings, a hold, whether a deadline has passed); None when absent."""

    def find(self, index: str, key: Hashable) -> tuple[Ref, ...]:
        """The resources under a key of an index, sorted."""

    def count(self, index: str, key: Hashable) -> int:
        """How many outputs contribute to a key of a counted index."""

    def first(self, index: str, key: Hashable) -> Any:
        """The lowest rank that an output claims under a key; None when nobody claims it."""

    def claimed(self, index: str, key: Hashable) -> tuple[Any, ...]:
        """All ranks that outputs claim under a key, sorted; of few only, since all are read."""

    def get(self, query: Callable[[Reader, K], V], key: K) -> V:
        """The answer of another query."""


IndexKeys = Callable[[Ref, Resource], Iterable[Hashable]]
"""The keys of one index under which a resource stands; pure."""


class QueryFailed(Exception):  # noqa: N818
    """A query raised; its readers fail with it until something that it read changes."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The answer of an output query: what it shows to the world and which counted keys it holds up.

    `items` are (channel, key, value); a key of a channel belongs to one output query only. `counts` are
    (index, key), each at most once an output query. `claims` are (index, key, rank), each at most once;
    ranks sort, and no two outputs claim one key with the same.
    """

    items: tuple[tuple[str, str, Any], ...] = ()
    counts: tuple[tuple[str, Hashable], ...] = ()
    claims: tuple[tuple[str, Hashable, Any], ...] = ()
