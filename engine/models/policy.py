"""What kgateway's policies have in common: what they name, their status, and their columns. It knows no policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field

from engine.models.backend import Condition
from engine.models.base import Model
from engine.models.kind import Column, CustomResource
from engine.models.references import ParentReference
from engine.models.rules import ListMap, Rule, Rules
from engine.models.texts import Group, Kind, LabelKey, LabelValue, ObjectName, SectionName

GROUP: Final = "gateway.kgateway.dev"
GATEWAY_API: Final = "gateway.networking.k8s.io"


class TargetReference(Model):
    """LocalPolicyTargetReference: an object of the policy's own namespace."""

    group: Group
    kind: Kind
    name: ObjectName


class SectionReference(TargetReference):
    """LocalPolicyTargetReferenceWithSectionName: an object, or a listener or rule of it."""

    section_name: SectionName | None = None


class TargetSelector(Model):
    """LocalPolicyTargetSelector: all objects of a kind that have these labels."""

    group: Group
    kind: Kind
    match_labels: dict[LabelKey, LabelValue]


class SectionSelector(TargetSelector):
    """LocalPolicyTargetSelectorWithSectionName."""

    section_name: SectionName | None = None


class Ancestor(Model):
    """PolicyAncestorStatus."""

    ancestor_ref: ParentReference
    controller_name: Annotated[str, Field(min_length=1, max_length=253)]
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8), ListMap("type")] = ()


class PolicyStatus(Model):
    """What became of a policy, for each ancestor."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=8), ListMap("type")] = ()
    ancestors: Annotated[tuple[Ancestor, ...], Field(max_length=16)] = ()


def _column(kind: str, text: str) -> Column:
    return Column(kind, f".status.ancestors[*].conditions[?(@.type=='{kind}')].status", text)


POLICY_RESOURCE: Final = CustomResource(
    (
        _column("Accepted", "Policy acceptance status"),
        _column("Attached", "Policy attachment status"),
        Column("Age", ".metadata.creationTimestamp", "The age of the policy.", "date"),
    ),
    PolicyStatus,
    ("kgateway",),
)
"""What the CRD of a policy has beyond its schema."""


def named_kinds(*kinds: tuple[str, str]) -> Rules:
    """Of a list of targets: each is one of these, (group, kind)."""
    allowed = set(kinds)
    each = " || ".join(f"(r.kind == '{kind}' && r.group == '{group}')" for group, kind in kinds)
    names = ", ".join(kind for _, kind in kinds)
    holds: Callable[[Any], bool] = lambda refs: all((one.group, one.kind) in allowed for one in refs)  # noqa: E731
    return Rules((Rule(f"self.all(r, {each})", f"targets may only be of kind {names}", holds),))


class PolicyDisable(Model):
    """Says by being there that what is inherited does not hold here."""
