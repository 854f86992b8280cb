"""Quantities as Kubernetes writes them (apimachinery, resource.Quantity): "1Gi", "500m", "1e3", or a number."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, WithJsonSchema

QUANTITY: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
_PARTS: Final = re.compile(r"([+-]?[0-9.]+)(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9.]+))?\Z")
_LONGEST: Final = 32
_SCALES: Final = {
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{unit: Decimal(1000) ** -power for power, unit in enumerate(("m", "u", "n"), 1)},
}

Quantity = Annotated[
    int | Annotated[str, Field(max_length=_LONGEST, pattern=QUANTITY)],
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": QUANTITY}),
]


def number(quantity: int | str) -> Decimal:
    """What a quantity amounts to; raises ValueError for what is none."""
    parts = _PARTS.match(str(quantity))
    if parts is None or len(str(quantity)) > _LONGEST:
        raise ValueError(quantity)
    base, unit, exponent = parts.groups()
    try:
        scale = _SCALES[unit] if unit else Decimal(10) ** int(Decimal(exponent or "0"))
        return Decimal(base) * scale
    except ArithmeticError as error:
        raise ValueError(quantity) from error


def whole(quantity: object) -> int | None:
    """What a quantity amounts to, rounded up; None for what is none."""
    try:
        return math.ceil(number(quantity)) if isinstance(quantity, int | str) else None
    except (ValueError, ArithmeticError):
        return None
