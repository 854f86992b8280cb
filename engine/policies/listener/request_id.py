"""generateRequestId, preserveExternalRequestId and uuidRequestIdConfig: x-request-id."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import RequestIdExtension
from envoy_data_plane.envoy.extensions.request_id.uuid.v3 import UuidRequestIdConfig

from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import NOTHING, Effect, Feature, Given, both, managed

_GENERATE: Final = "httpSettings.generateRequestId"
_PRESERVE: Final = "httpSettings.preserveExternalRequestId"
_UUID: Final = "httpSettings.uuidRequestIdConfig"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Each where it is said."""
    parts = [
        managed(generate_request_id=bool(given.value(_GENERATE))) if given.has(_GENERATE) else NOTHING,
        managed(preserve_external_request_id=bool(given.value(_PRESERVE))) if given.has(_PRESERVE) else NOTHING,
    ]
    if given.has(_UUID):
        block = given.block(_UUID)
        config = construct(
            UuidRequestIdConfig,
            pack_trace_reason=block.get("packTraceReason"),
            use_request_id_for_trace_sampling=block.get("useRequestIdForTraceSampling"),
        )
        typed = packed("envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig", config)
        parts.append(managed(request_id_extension=construct(RequestIdExtension, typed_config=typed)))
    return both(parts)


FEATURE: Final = Feature((_GENERATE, _PRESERVE, _UUID), effect)
