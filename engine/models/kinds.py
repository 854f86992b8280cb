"""The kinds that are read: the `KINDS` of the modules beside this one, and the only list of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import engine.models
from engine.models.kind import Kind

__all__ = ["BY_NAME", "KINDS", "NAMESPACED", "Kind", "find_kind", "is_known"]


_READERS = {"kinds", "admission", "canonical", "crd", "kgateway"}
"""Modules that read this list, and so cannot be in it."""


def _found() -> Iterator[Kind]:
    for module in pkgutil.iter_modules(engine.models.__path__):
        if module.name not in _READERS:
            yield from getattr(importlib.import_module(f"engine.models.{module.name}"), "KINDS", ())


KINDS = tuple(sorted(_found(), key=lambda kind: (kind.group, kind.name)))
BY_NAME = {(kind.group, kind.name): kind for kind in KINDS}
NAMESPACED = {(kind.group, kind.name): kind.namespaced for kind in KINDS}
if len(BY_NAME) != len(KINDS):
    msg = "a kind is there twice"
    raise TypeError(msg)


def is_known(group: str, kind: str) -> bool:
    """Whether objects of the kind are read."""
    return (group, kind) in BY_NAME


def find_kind(word: str) -> Kind | None:
    """The kind that a person names: its name, plural or short name, with or without its group, in any case."""
    name, _, group = word.lower().partition(".")
    for kind in KINDS:
        names = {kind.name.lower(), kind.plural, *kind.short}
        if name in names and group in ("", kind.group):
            return kind
    return None
