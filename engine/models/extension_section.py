"""A section of GatewayExtension's spec as users write it: one kind of service, or of check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ExtensionSection:
    """`model` is the type of the field's value; `type` is the value of the deprecated `spec.type` that means it."""

    field: str
    type: str
    model: Any
