"""Fields of TrafficPolicy that are recognised and not served yet: so that a status can say so, and nothing opens."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from engine.models.traffic_block import TrafficBlock

_Anything = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
GUARDING: Final = ("oauth2",)
OTHERS: Final[tuple[str, ...]] = ()

BLOCKS = tuple(TrafficBlock(field, _Anything) for field in (*GUARDING, *OTHERS))
