"""What a field of a BackendConfigPolicy is to those that build clusters; it knows no field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from engine.envoy.shape import Shape
from engine.graph.reader import Json, Reader
from engine.models.duration import milliseconds
from engine.ref import Ref
from engine.resolve.values import Backend, BackendKey, Problem


class Use(NamedTuple):
    """A backend as a Gateway uses it: its cluster's name, and itself, as no BackendConfigPolicy has shaped it."""

    gateway: Ref
    backend: BackendKey
    name: str
    whole: Backend

    @property
    def finds_hosts(self) -> bool:
        """Whether its cluster finds and chooses hosts itself, so that nobody else has a say in that."""
        return self.whole.nature is not None and self.whole.nature.finds_hosts


class Asked(NamedTuple):
    """Key of a query of a feature's: what a policy says in its field, as a Gateway is served it."""

    gateway: Ref
    policy: Ref


@dataclass(frozen=True, slots=True)
class Feature:
    """A top-level field of the spec.

    `shape` takes what the manifest says there, or, with a query `resolve`, that query's answer. What cannot be met is
    left out and told; with `closes` the backend is not spoken to instead.
    """

    field: str
    shape: Callable[[Any, Use], Shape | Problem]
    resolve: Callable[[Reader, Asked], Any] | None = None
    closes: bool = False


def span(block: Json, name: str) -> timedelta | None:
    """A duration of a block; None when it is not there."""
    found = milliseconds(block.get(name))
    return None if found is None else timedelta(milliseconds=found)


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}
