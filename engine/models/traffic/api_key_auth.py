"""apiKeyAuth: a key is asked for, in a header, a query parameter or a cookie, and looked up among a Secret's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.base import Model
from engine.models.policy import PolicyDisable
from engine.models.references import SecretObjectReference
from engine.models.rules import Rule, Ruled, at_least_one, exactly_one
from engine.models.texts import LabelKey, LabelValue, is_token
from engine.models.traffic_block import TrafficBlock

_Name = Annotated[str, Field(min_length=1, max_length=256)]


class Source(Ruled):
    """APIKeySource: the header comes first, then the query parameter, then the cookie."""

    RULES: ClassVar[tuple[Rule, ...]] = (at_least_one(("header", "header"), ("query", "query"), ("cookie", "cookie")),)

    header: _Name | None = None
    query: _Name | None = None
    cookie: _Name | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no other names."""
        if self.header is not None and not is_token(self.header):
            yield "header", f"{self.header[:64]!r} is no header name: use letters, digits and any of !#$%&'*+-.^_`|~"


class Selector(Model):
    """LabelSelector."""

    match_labels: dict[LabelKey, LabelValue]


class ApiKeys(Ruled):
    """APIKeyAuth."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("secretRef", "secret_ref"), ("secretSelector", "secret_selector"), ("disable", "disable")),
    )

    key_sources: Annotated[
        tuple[Source, ...], Field(max_length=16, description="Where keys are looked for; by default in header api-key.")
    ] = ()
    forward_credential: Annotated[bool, Field(description="Whether the backend sees the key.")] | None = None
    client_id_header: Annotated[str, Field(description="In which the backend is told whose key it is.")] | None = None
    secret_ref: Annotated[SecretObjectReference, Field(description="Of each key the client's name.")] | None = None
    secret_selector: Selector | None = None
    disable: PolicyDisable | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no other names."""
        if self.client_id_header and not is_token(self.client_id_header):
            text = f"{self.client_id_header[:64]!r} is no header name: use letters, digits and any of !#$%&'*+-.^_`|~"
            yield "clientIdHeader", text


BLOCK = TrafficBlock("apiKeyAuth", ApiKeys)
