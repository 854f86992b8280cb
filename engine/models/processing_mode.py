"""Which parts of requests and responses a processing service is sent (ProcessingMode)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from engine.models.base import Model

_DUPLEX: Final = "FULL_DUPLEX_STREAMED"
_Headers = Literal["DEFAULT", "SEND", "SKIP"]
_Body = Literal["NONE", "STREAMED", "BUFFERED", "BUFFERED_PARTIAL", "FULL_DUPLEX_STREAMED"]


class ProcessingMode(Model):
    """ProcessingMode."""

    request_header_mode: _Headers = "SEND"
    response_header_mode: _Headers = "SEND"
    request_body_mode: _Body = "NONE"
    response_body_mode: _Body = "NONE"
    request_trailer_mode: _Headers = "SKIP"
    response_trailer_mode: _Headers = "SKIP"


def mode_problems(mode: ProcessingMode | None) -> Iterator[tuple[str, str]]:
    """What Envoy does not take together, with its place below the block that has the mode."""
    for side in ("request", "response"):
        if getattr(mode, f"{side}_body_mode", None) == _DUPLEX and getattr(mode, f"{side}_trailer_mode") != "SEND":
            text = f"must be SEND where {side}BodyMode is {_DUPLEX}"
            yield f"processingMode.{side}TrailerMode", text
