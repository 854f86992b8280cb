"""GatewayExtension (gateway.kgateway.dev/v1alpha1): a service that proxies ask; its sections are in `extension`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, create_model

import engine.models.extension
from engine.models.backend import Condition
from engine.models.base import Model, Object
from engine.models.extension_section import ExtensionSection
from engine.models.kind import Column, CustomResource, Kind
from engine.models.policy import GROUP
from engine.models.rules import ListMap, Rule, Ruled, exactly_one
from engine.presence import modules, told_apart


def _sections() -> dict[str, ExtensionSection]:
    found = [module.SECTION for module in modules(engine.models.extension)]
    return told_apart(sorted(found, key=lambda one: one.field), lambda one: one.field)


SECTIONS: Final = _sections()
"""The fields of the spec but `type`: the `SECTION` of each file in `extension`, and the only list of them."""


def _attribute(field: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in field)


def _agrees(section: ExtensionSection) -> Rule:
    return Rule(
        f"!has(self.type) || (self.type == '{section.type}' ? has(self.{section.field}) : true)",
        f"{section.field} must be set when type is {section.type}",
        lambda self: self.type != section.type or getattr(self, _attribute(section.field)) is not None,
    )


class _Typed(Ruled):
    """One service, and what it is asked."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        *map(_agrees, SECTIONS.values()),
        exactly_one(*((one, _attribute(one)) for one in SECTIONS)),
    )

    type: Annotated[
        Literal[tuple(sorted(one.type for one in SECTIONS.values()))] | None,  # type: ignore[valid-type]
        Field(description="Deprecated: the field that is set says it."),
    ] = None


_FIELDS: Final[dict[str, Any]] = {
    _attribute(one.field): (Annotated[one.model | None, Field(alias=one.field)], None) for one in SECTIONS.values()
}
GatewayExtensionSpec = create_model("GatewayExtensionSpec", __base__=_Typed, __doc__="GatewayExtensionSpec.", **_FIELDS)


class GatewayExtensionStatus(Model):
    """What became of a GatewayExtension."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=8), ListMap("type")] = ()


class GatewayExtension(Object):
    """A service that TrafficPolicies have requests checked or changed by."""

    spec: GatewayExtensionSpec


KINDS = (
    Kind(
        GROUP,
        "GatewayExtension",
        "gatewayextensions",
        ("v1alpha1",),
        GatewayExtension,
        crd=CustomResource(
            (
                Column("Type", ".spec.type", "Which extension type?"),
                Column(
                    "Accepted",
                    ".status.conditions[?(@.type=='Accepted')].status",
                    "GatewayExtension acceptance status",
                ),
                Column("Age", ".metadata.creationTimestamp", "The age of the extension.", "date"),
            ),
            GatewayExtensionStatus,
            ("kgateway",),
        ),
    ),
)
