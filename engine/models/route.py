"""What routes of every kind share: their parentRefs, and rules with names. It is no kind itself."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.references import ParentReference, WeightedBackendRef
from engine.models.rules import Rule, Rules
from engine.models.texts import SectionName

UseDefaultGateways = Literal["All", "None"] | None


def _parent(one: ParentReference) -> tuple[str, str, str, str]:
    return one.group, one.kind, one.name, one.namespace or ""


def _parents_told_apart(parents: tuple[ParentReference, ...]) -> bool:
    ways: dict[tuple[str, str, str, str], tuple[bool, bool]] = {}
    for one in parents:
        way = (one.section_name is None, one.port is None)
        if ways.setdefault(_parent(one), way) != way:
            return False
    return True


def _parents_unique(parents: tuple[ParentReference, ...]) -> bool:
    return len({(*_parent(one), one.section_name, one.port) for one in parents}) == len(parents)


_SAME_NAMESPACE = (
    "(((!has(p1.__namespace__) || p1.__namespace__ == '') && (!has(p2.__namespace__) || p2.__namespace__ == '')) || "
    "(has(p1.__namespace__) && has(p2.__namespace__) && p1.__namespace__ == p2.__namespace__{space}))"
)
_SAME_PARENT = "p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name && "
_PARENTS: Final = Rules(
    (
        Rule(
            f"self.all(p1, self.all(p2, {_SAME_PARENT}{_SAME_NAMESPACE.format(space='')} ? "
            "((!has(p1.sectionName) || p1.sectionName == '') == (!has(p2.sectionName) || p2.sectionName == '') && "
            "(!has(p1.port) || p1.port == 0) == (!has(p2.port) || p2.port == 0)): true))",
            "sectionName or port must be specified when parentRefs includes 2 or more references to the same parent",
            _parents_told_apart,
        ),
        Rule(
            f"self.all(p1, self.exists_one(p2, {_SAME_PARENT}{_SAME_NAMESPACE.format(space=' ')} && "
            "(((!has(p1.sectionName) || p1.sectionName == '') && (!has(p2.sectionName) || p2.sectionName == '')) || "
            "( has(p1.sectionName) && has(p2.sectionName) && p1.sectionName == p2.sectionName)) && "
            "(((!has(p1.port) || p1.port == 0) && (!has(p2.port) || p2.port == 0)) || "
            "(has(p1.port) && has(p2.port) && p1.port == p2.port))))",
            "sectionName or port must be unique when parentRefs includes 2 or more references to the same parent",
            _parents_unique,
        ),
    )
)
ParentRefs = Annotated[tuple[ParentReference, ...], Field(max_length=32), _PARENTS]


def _names_differ(rules: tuple[Any, ...]) -> bool:
    names = [one.name for one in rules if one.name is not None]
    return len(set(names)) == len(names)


NAMES_DIFFER: Final = Rule(
    "self.all(l1, !has(l1.name) || self.exists_one(l2, has(l2.name) && l1.name == l2.name))",
    "Rule name must be unique within the route",
    _names_differ,
)


class StreamRule(Model):
    """TCPRouteRule, UDPRouteRule, TLSRouteRule."""

    name: SectionName | None = None
    backend_refs: Annotated[tuple[WeightedBackendRef, ...], Field(min_length=1, max_length=16)]


def rules_of(sizes: str) -> Rules:
    """What rules with matches must keep to together; `sizes` is the CEL of the number of all matches."""
    return Rules(
        (
            Rule(
                f"{sizes} <= 128",
                "While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a "
                "route must be less than 128",
                lambda self: sum(len(one.matches) for one in self) <= 128,
            ),
            NAMES_DIFFER,
        )
    )


StreamRules = Annotated[tuple[StreamRule, ...], Field(min_length=1, max_length=16), Rules((NAMES_DIFFER,))]
"""v1 has one rule; v1alpha2, which is served still, has several, and an object that was written so is read so."""
