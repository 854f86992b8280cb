"""GatewayClass (gateway.networking.k8s.io/v1)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.kind import Kind
from engine.models.references import ObjectReference
from engine.models.rules import Rule, Rules

CONTROLLER = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$"

# Needs the object as it was before: only an API server can hold it.
_IMMUTABLE = Rule("self == oldSelf", "Value is immutable", lambda _: True)


class GatewayClassSpec(Model):
    """GatewayClassSpec."""

    controller_name: Annotated[str, Field(min_length=1, max_length=253, pattern=CONTROLLER), Rules((_IMMUTABLE,))]
    parameters_ref: ObjectReference | None = None
    description: Annotated[str, Field(max_length=64)] | None = None


class GatewayClass(Object):
    """A GatewayClass."""

    spec: GatewayClassSpec


KINDS = (
    Kind(
        "gateway.networking.k8s.io",
        "GatewayClass",
        "gatewayclasses",
        ("v1", "v1beta1"),
        GatewayClass,
        ("gc",),
        namespaced=False,
    ),
)
