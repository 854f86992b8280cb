"""The HTTP filter that requests to a type of Backend have to pass before they are routed."""

from __future__ import annotations

from typing import NamedTuple

from betterproto2 import Message


class TypeFilter(NamedTuple):
    """Its name, and its config, of `type_name`, the same in every listener."""

    name: str
    type_name: str
    config: Message
