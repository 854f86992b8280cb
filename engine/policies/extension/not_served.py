"""What is recognised of GatewayExtension and not served yet."""

from __future__ import annotations

from engine.graph.reader import Json, Reader
from engine.models.extension.not_served import OTHERS
from engine.policies.extension.section import Built, Section
from engine.policies.feature import Use
from engine.resolve.values import Problem


def _built(graph: Reader, use: Use, block: Json) -> Built | Problem:  # noqa: ARG001  a section's signature
    return Problem("Invalid", "is not served yet: remove it")


SECTIONS = tuple(Section(field, _built) for field in OTHERS)
