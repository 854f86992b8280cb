"""A kind as kubectl knows it, and what a CRD of it needs beyond its schema."""

from __future__ import annotations

from dataclasses import dataclass

from engine.models.base import Model


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    path: str
    description: str = ""
    type: str = "string"


@dataclass(frozen=True, slots=True)
class CustomResource:
    """What a CRD says beyond names and schema; only of kinds whose CRD is ours to install."""

    columns: tuple[Column, ...]
    status: type[Model]
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that is read.

    `versions` are served alike, the first is what we write; `status_read` names the parts of status that are input.
    `guards`: of one that its model refuses, and that was never another, what it names is closed.
    """

    group: str
    name: str
    plural: str
    versions: tuple[str, ...]
    model: type[Model]
    short: tuple[str, ...] = ()
    namespaced: bool = True
    crd: CustomResource | None = None
    status_read: tuple[str, ...] = ()
    guards: bool = False
