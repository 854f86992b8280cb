"""A top-level field of TrafficPolicy's spec as users write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.models.rules import Rule


@dataclass(frozen=True, slots=True)
class TrafficBlock:
    """`model` is the type of the field's value; `rules` are those of the spec that concern it.

    `units`: fields of the value of which each is in force by itself, whoever has the others.
    """

    field: str
    model: Any
    rules: tuple[Rule, ...] = ()
    units: tuple[str, ...] = ()
