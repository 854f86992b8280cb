"""Which parts of requests and responses a processing service is sent (ProcessingMode)."""

from __future__ import annotations

from typing import Literal

from engine.models.base import Model

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
