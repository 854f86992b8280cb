"""The fields of BackendConfigPolicies: the `FEATURE` of the modules in `cluster/`; this is the only list of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Final

import engine.policies.cluster
from engine.policies.backend_config.feature import Feature


def _found() -> Iterator[Feature]:
    for module in pkgutil.iter_modules(engine.policies.cluster.__path__):
        yield importlib.import_module(f"engine.policies.cluster.{module.name}").FEATURE


def _by_field(features: Iterator[Feature]) -> Mapping[str, Feature]:
    found: dict[str, Feature] = {}
    for one in sorted(features, key=lambda one: one.field):
        if found.setdefault(one.field, one) is not one:
            msg = f"the field {one.field} has two features"
            raise TypeError(msg)
    return found


FEATURES: Final = _by_field(_found())
"""By field, in its order."""
