"""The types of kgateway's Backend that are known: the `BACKEND_TYPE` of each file in `backends`."""

from __future__ import annotations

from typing import Final

import engine.resolve.backends
from engine.graph.reader import Json
from engine.presence import modules, told_apart
from engine.resolve.backend_type import BackendType

_FOUND: Final[list[BackendType]] = [one.BACKEND_TYPE for one in modules(engine.resolve.backends)]
BACKEND_TYPES: Final = told_apart(_FOUND, lambda one: one.field)
"""By field."""


def type_of(spec: Json) -> BackendType | None:
    """The type of a Backend; None where its model takes none."""
    return next((one for field, one in BACKEND_TYPES.items() if field in spec), None)
