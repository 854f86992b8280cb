"""internalRedirect: a backend's redirect is followed by the proxy, and the client sees where it leads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from engine.models.rules import Ruled
from engine.models.texts import INT32, HeaderName
from engine.models.traffic_block import TrafficBlock

_INT32: Final = {"format": "int32"}
_Code = Annotated[Literal[301, 302, 303, 307, 308], Field(json_schema_extra=_INT32)]


class InternalRedirect(Ruled):
    """Which redirects are followed, and how often one after the other."""

    redirect_response_codes: (
        Annotated[tuple[_Code, ...], Field(min_length=1, max_length=5, description="By default 302.")] | None
    ) = None
    allow_cross_scheme_redirect: Annotated[bool, Field(description="From http to https, or back.")] | None = None
    response_headers_to_copy: (
        Annotated[
            tuple[HeaderName, ...],
            Field(min_length=1, max_length=16, description="Of a redirect, that the next request takes along."),
        ]
        | None
    ) = None
    max_redirects: (
        Annotated[int, Field(ge=1, le=INT32, json_schema_extra=_INT32, description="By default 1.")] | None
    ) = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy rejects the whole route configuration for it."""
        for number, name in enumerate(self.response_headers_to_copy or ()):
            if name.lower() == "host":
                yield f"responseHeadersToCopy[{number}]", "host is what the redirect says: leave it out"


BLOCK = TrafficBlock("internalRedirect", InternalRedirect)
