"""autoHostRewrite: a backend is asked by its own DNS name, whatever host the client asked for."""

from __future__ import annotations

from engine.models.target_rule import only_for
from engine.models.traffic_block import TrafficBlock

_FIELD = "auto_host_rewrite"
BLOCK = TrafficBlock("autoHostRewrite", bool, (only_for("autoHostRewrite", _FIELD, "HTTPRoute"),))
