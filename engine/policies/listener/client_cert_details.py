"""forwardClientCertDetails: what backends learn of a client's certificate (x-forwarded-client-cert)."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManagerForwardClientCertDetails,
    HttpConnectionManagerSetCurrentClientCertDetails,
)

from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given, managed
from engine.resolve.manifest import mapping

_FIELD: Final = "httpSettings.forwardClientCertDetails"
_Mode = HttpConnectionManagerForwardClientCertDetails
_MODES: Final = {
    "Sanitize": _Mode.SANITIZE,
    "ForwardOnly": _Mode.FORWARD_ONLY,
    "AppendForward": _Mode.APPEND_FORWARD,
    "SanitizeSet": _Mode.SANITIZE_SET,
    "AlwaysForwardOnly": _Mode.ALWAYS_FORWARD_ONLY,
}


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Without a mode the header is removed, as by default."""
    block = given.block(_FIELD)
    details = mapping(block.get("details"))
    told = construct(
        HttpConnectionManagerSetCurrentClientCertDetails,
        subject=details.get("subject"),
        cert=bool(details.get("cert")),
        chain=bool(details.get("chain")),
        dns=bool(details.get("dns")),
        uri=bool(details.get("uri")),
    )
    mode = _MODES[str(block.get("mode") or "Sanitize")]
    return managed(forward_client_cert_details=mode, **({"set_current_client_cert_details": told} if details else {}))


FEATURE: Final = Feature((_FIELD,), effect)
