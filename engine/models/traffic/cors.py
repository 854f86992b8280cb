"""cors: which other sites' pages may read what is answered (CORS), as the HTTPRoute filter of that name says it."""

from __future__ import annotations

from engine.models.http_filters import CorsFilter
from engine.models.policy import PolicyDisable
from engine.models.traffic_block import TrafficBlock


class Cors(CorsFilter):
    """CorsPolicy: a HTTPCORSFilter."""

    disable: PolicyDisable | None = None


BLOCK = TrafficBlock("cors", Cors)
