"""What a kind is to a route that names it by ExtensionRef: one value a kind, found in `rule_extensions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.values import Problem, Rule


class Named(NamedTuple):
    """An object that a route names by ExtensionRef, as one Gateway is served it."""

    gateway: Ref
    ref: Ref


@dataclass(frozen=True, slots=True)
class RuleExtension:
    """One kind.

    `apply` answers the rule with what the object asks for, or why the rule cannot be served with it: then it answers
    its failure. The object is there, and some revision of it can be served. Without `apply` it is a policy, which
    stands at the rule: of it only that it is there is asked here.
    """

    group: str
    kind: str
    apply: Callable[[Reader, Named, Rule], Rule | Problem] | None = None
