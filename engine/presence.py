"""What is there by being there: the modules of a package, each of which adds something; it knows none of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Hashable, Iterable
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def modules(package: ModuleType, *but: str) -> list[ModuleType]:
    """The modules of a package by their names' order, without those of the names `but`, and without its packages."""
    names = sorted(one.name for one in pkgutil.iter_modules(package.__path__) if not one.ispkg and one.name not in but)
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


def told_apart(found: Iterable[T], key: Callable[[T], K]) -> dict[K, T]:
    """What was found by key, in the keys' order of coming; raises TypeError when two have the same."""
    answer: dict[K, T] = {}
    for one in found:
        if key(one) in answer:
            msg = f"{key(one)} is there twice"
            raise TypeError(msg)
        answer[key(one)] = one
    return answer
