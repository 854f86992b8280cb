"""compression: answers are compressed for clients that take it, and compressed requests are unpacked for backends."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from engine.models.policy import PolicyDisable
from engine.models.rules import Rule, Ruled, Rules, at_least_one
from engine.models.traffic_block import TrafficBlock

_DIFFERENT: Final = Rules(
    (
        Rule(
            "self.all(l, self.exists_one(x, x == l))",
            "libraries must not contain duplicates",
            lambda self: len(set(self)) == len(self),
        ),
    )
)


_Libraries = Annotated[tuple[Literal["Gzip", "Brotli", "Zstd"], ...], Field(min_length=1, max_length=3), _DIFFERENT]


class ResponseCompression(Ruled):
    """Of what the client says that it takes, any of the libraries."""

    libraries: _Libraries = ("Gzip",)
    disable: PolicyDisable | None = None


class RequestDecompression(Ruled):
    """A request's content-encoding says which of the libraries it is."""

    libraries: _Libraries = ("Gzip",)
    disable: PolicyDisable | None = None


class Compression(Ruled):
    """Either or both."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        at_least_one(
            ("responseCompression", "response_compression"),
            ("requestDecompression", "request_decompression"),
        ),
    )

    response_compression: Annotated[ResponseCompression, Field(description="Of answers.")] | None = None
    request_decompression: Annotated[RequestDecompression, Field(description="Of requests.")] | None = None


BLOCK = TrafficBlock("compression", Compression)
