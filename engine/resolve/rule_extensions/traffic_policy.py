"""TrafficPolicy: it stands at the rule that names it, before those that name the rule themselves."""

from __future__ import annotations

from engine.resolve.manifest import KGATEWAY
from engine.resolve.rule_extension import RuleExtension

EXTENSION = RuleExtension(KGATEWAY, "TrafficPolicy")
