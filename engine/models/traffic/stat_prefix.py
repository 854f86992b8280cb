"""statPrefix: statistics of their own for the routes that a policy stands at, by a name that may be made of theirs."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from engine.models.target_rule import only_for
from engine.models.traffic_block import TrafficBlock

VARIABLE: Final = re.compile(r"\{\{\s*(route_name|route_namespace|rule_name)\s*\}\}")
_PATTERN: Final = rf"^([a-zA-Z0-9_%.-]|{VARIABLE.pattern})+$"


_Prefix = Annotated[str, Field(min_length=1, max_length=256, pattern=_PATTERN)]
BLOCK = TrafficBlock("statPrefix", _Prefix, (only_for("statPrefix", "stat_prefix", "HTTPRoute", "GRPCRoute"),))
