"""How a TrafficPolicy names a GatewayExtension (NamespacedObjectReference)."""

from __future__ import annotations

from engine.models.base import Model
from engine.models.texts import Namespace, ObjectName


class ExtensionReference(Model):
    """NamespacedObjectReference: of the policy's namespace, where none is written."""

    name: ObjectName
    namespace: Namespace | None = None
