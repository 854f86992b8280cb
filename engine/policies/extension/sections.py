"""The sections of GatewayExtension: the `SECTION` of each file beside this one, and the only list of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import engine.policies.extension
from engine.envoy.effect import Effect
from engine.graph.reader import Json, Reader
from engine.models.gateway_extension import SECTIONS as MODELS
from engine.policies.extension.section import Built, Section
from engine.policies.feature import Use
from engine.presence import modules, told_apart
from engine.resolve.extension import Extended, extension, section_of, sections
from engine.resolve.values import PENDING, Problem


def _found() -> dict[str, Section]:
    every = [module.SECTION for module in modules(engine.policies.extension, "section", "sections", "tokens")]
    found = told_apart(sorted(every, key=lambda one: one.field), lambda one: one.field)
    if found.keys() != MODELS.keys():
        msg = f"fields of GatewayExtension without a section, or the reverse: {sorted(found.keys() ^ MODELS.keys())}"
        raise TypeError(msg)
    return found


SECTIONS: Final = _found()
"""By field."""


def built(graph: Reader, key: Extended) -> Built | Problem:
    """What an extension does, once for all that name it."""
    fields = graph.get(sections, key)
    if isinstance(fields, Problem):
        return fields
    section = SECTIONS[fields[0]]
    found = section.built(graph, Use(key.gateway, key.extension), section_of(graph, key, section.field))
    if isinstance(found, Problem):
        # Reasons of a route's own references are none of a policy's.
        reason = PENDING if found.reason == PENDING else "Invalid"
        return Problem(reason, f"spec.{section.field}: {found.message}")
    return replace(found, sources=tuple(sorted({key.extension, *found.sources})))


def unmet(graph: Reader, use: Use, block: Json, section: str, problem: Problem) -> Effect:
    """What becomes of a block that guards nothing by itself, and whose extension cannot be served.

    An extension that is there says by `failOpen` whether requests pass without its service. Of one that is not nobody
    knows, so they do not.
    """
    key = extension(graph, use.gateway, use.policy, block, section)
    is_open = not isinstance(key, Problem) and section_of(graph, key, section).get("failOpen") is not False
    return Effect(problems=(problem,), against=None if is_open else problem)


def extended(graph: Reader, use: Use, block: Json, section: str) -> Built | Problem:
    """What the extension that a policy's block names does; its `sources` include the extension."""
    key = extension(graph, use.gateway, use.policy, block, section)
    if isinstance(key, Problem):
        return key
    found = graph.get(built, key)
    if isinstance(found, Problem):
        ref = key.extension
        return Problem(found.reason, f"{ref.kind} {ref.namespace}/{ref.name}: {found.message}")
    return found
