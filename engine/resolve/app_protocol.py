"""appProtocol of a Service's port or a Backend: how it is spoken to."""

from __future__ import annotations

from engine.resolve.values import Problem, Protocol

_PROTOCOLS = {
    "http2": Protocol.H2C,
    "grpc": Protocol.H2C,
    "grpc-web": Protocol.H2C,
    "kubernetes.io/h2c": Protocol.H2C,
    "kubernetes.io/ws": Protocol.WEBSOCKET,
}
_REFUSED = {"kubernetes.io/wss"}


def protocol_of(app_protocol: object, name: str) -> Protocol | Problem:
    """The protocol; `name` is whose it is."""
    if app_protocol in _REFUSED:
        return Problem("UnsupportedProtocol", f"{name} has appProtocol {app_protocol}, which is not served")
    return _PROTOCOLS.get(str(app_protocol), Protocol.HTTP1)
