"""What several blocks say of tokens (RFC 7519) alike: whom they are for, where keys are, what backends are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import Field

from engine.models.rules import Rule, Ruled
from engine.models.texts import FRAMING, is_token

Audiences = Annotated[tuple[str, ...], Field(min_length=1, max_length=32)]
NO_HEADER: Final = "is no header name: use letters, digits and any of !#$%&'*+-.^_`|~"
_Long = Annotated[str, Field(min_length=1, max_length=2048)]


class ClaimToHeader(Ruled):
    """JWTClaimToHeader: what backends are told of a token."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    name: Annotated[_Long, Field(description='Of the claim, such as "sub"; with dots, of one within another.')]
    header: Annotated[_Long, Field(description="In which the backend finds it; what a client sends there is dropped.")]

    def beyond(self) -> Iterator[tuple[str, str]]:
        """A token must not say where a message ends, nor to whom it goes."""
        if not is_token(self.header):
            yield "header", f"{self.header[:64]!r} {NO_HEADER}"
        elif self.header.lower() in ("host", *FRAMING):
            yield "header", f"{self.header} belongs to Envoy: name another"


ClaimsToHeaders = Annotated[tuple[ClaimToHeader, ...], Field(min_length=1, max_length=32)]


def url_problem(text: str) -> str | None:
    """Why a text is no URL that a proxy can ask for; None when it is."""
    problem = f"{text[:64]!r} is no URL of a key set: write it as https://example.com/keys"
    try:
        parts = urlsplit(text)
        named = parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        return problem
    fits = parts.scheme in ("http", "https") and named and "@" not in parts.netloc and not parts.fragment
    return None if fits and text.isascii() and text.isprintable() and " " not in text else problem
