"""How requests come down to a route that others delegate to: what was selected, and the rules on the way."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from engine.ref import Ref


class Group(StrEnum):
    """What a backendRef that delegates names: one route, all of a namespace, or those of a label."""

    NAME = "name"
    NAMESPACE = "namespace"
    LABEL = "label"


class Selection(NamedTuple):
    """The HTTPRoutes to which a backendRef delegates. `name` is the route's or the label's; `namespace` "" is any."""

    by: Group
    cluster: str
    namespace: str
    name: str = ""


class Step(NamedTuple):
    """A rule, by its position, that delegates."""

    route: Ref
    rule: int


class Way(NamedTuple):
    """The rules by which requests of a Gateway come down to a route, from the one that is attached to it on."""

    gateway: Ref
    steps: tuple[Step, ...]
