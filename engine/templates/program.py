"""What the runtime is given of a template: its tree as lists, without the places; equal templates, equal text."""

from __future__ import annotations

import json
from typing import Any

from engine.templates.tree import Node, Part


def listed(part: Part) -> Any:
    """A node is a list that begins with its operation; what is absent is null."""
    if isinstance(part, Node):
        return [part.op, *(listed(one) for one in part.parts)]
    if isinstance(part, tuple):
        return [listed(one) for one in part]
    return part


def text(value: Any) -> str:
    """As compact JSON, in ASCII; floats keep their point."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
