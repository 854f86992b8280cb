"""The fields of BackendConfigPolicies: the `FEATURE` of the modules in `cluster/`; this is the only list of them."""

from __future__ import annotations

from typing import Final

import engine.policies.cluster
from engine.policies.backend_config.feature import Feature
from engine.presence import modules, told_apart

_FOUND: Final[list[Feature]] = [one.FEATURE for one in modules(engine.policies.cluster)]
FEATURES: Final = told_apart(sorted(_FOUND, key=lambda one: one.field), lambda one: one.field)
"""By field, in its order."""
