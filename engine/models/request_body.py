"""How much of a request's body an authorization service is told (ExtAuthBufferSettings)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.models.base import Model
from engine.models.texts import INT32


class RequestBody(Model):
    """ExtAuthBufferSettings."""

    max_request_bytes: Annotated[
        int,
        Field(
            ge=1,
            le=INT32,
            description="Of a body; a larger one is answered with 413, unless allowPartialMessage is true.",
            json_schema_extra={"format": "int32"},
        ),
    ]
    allow_partial_message: Annotated[bool, Field(description="Send what fits of a larger body.")] = False
    pack_as_bytes: Annotated[bool, Field(description="Send the body as raw bytes, not as UTF-8 text.")] = False
