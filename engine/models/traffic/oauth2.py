"""oauth2: clients sign in first, as a GatewayExtension says (RFC 6749)."""

from __future__ import annotations

from engine.models.base import Model
from engine.models.extension_reference import ExtensionReference
from engine.models.traffic_block import TrafficBlock


class OAuth2(Model):
    """OAuth2Policy."""

    extension_ref: ExtensionReference


BLOCK = TrafficBlock("oauth2", OAuth2)
