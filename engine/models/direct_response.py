"""DirectResponse (gateway.kgateway.dev/v1alpha1), field for field kgateway's: what is answered without any backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from engine.models.base import Object
from engine.models.kind import Column, CustomResource, Kind
from engine.models.policy import PolicyStatus
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.substitution import format_problem
from engine.models.texts import has_control_characters

LONGEST: Final = 4096
"""Bytes of a body: Envoy rejects the whole route configuration for a longer one. A schema counts characters."""

_SHOWN: Final = 64
"""Characters of what is written that a message repeats."""
_Text = Annotated[str, Field(min_length=1, max_length=LONGEST)]


class BodyFormat(Ruled):
    """A body that is made for each request, in Envoy's substitution format (`%REQ(:path)%`)."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("json", "json_"), ("text", "text")),)

    content_type: Annotated[
        str | None,
        Field(description="Of the answer: text/plain with text and application/json with json, where it is absent."),
    ] = None
    json_: Annotated[
        Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})] | None,
        Field(alias="json", description="An object whose texts are formats."),
    ] = None
    text: Annotated[_Text | None, Field(description="A format.")] = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy rejects the whole route configuration for a format that it cannot read."""
        if self.content_type is not None and has_control_characters(self.content_type):
            yield "contentType", "cannot contain control characters"
        for place, text in _formats("text", self.text) if self.text is not None else _formats("json", self.json_):
            problem = format_problem(text)
            if problem is not None:
                yield place, f"{text[:_SHOWN]!r} is no format: {problem}"


def _formats(path: str, value: object) -> Iterator[tuple[str, str]]:
    """The texts of a value, each with its path; an object's keys are no formats."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            plain = key.isascii() and key.isidentifier()
            yield from _formats(f"{path}.{key}" if plain else f"{path}[{key[:_SHOWN]!r}]", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _formats(f"{path}[{number}]", inner)


class DirectResponseSpec(Ruled):
    """The answer."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.body),has(self.bodyFormat)].filter(x,x==true).size() <= 1",
            "at most one of the fields in [body bodyFormat] may be set",
            lambda self: self.body is None or self.body_format is None,
        ),
    )

    status: Annotated[int, Field(ge=200, le=599, json_schema_extra={"format": "int32"}, description="The HTTP status.")]
    body: Annotated[_Text | None, Field(description="The body as it is. Without it and bodyFormat there is none.")] = (
        None
    )
    body_format: Annotated[BodyFormat | None, Field(description="The body, made for each request.")] = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """As for `LONGEST`."""
        size = len((self.body or "").encode())
        if size > LONGEST:
            yield "body", f"has {size} bytes, and Envoy takes {LONGEST}: shorten it"


class DirectResponse(Object):
    """What a rule of a route that names it answers."""

    spec: DirectResponseSpec


def _column(kind: str, text: str) -> Column:
    return Column(kind, f".status.ancestors[*].conditions[?(@.type=='{kind}')].status", text)


KINDS = (
    Kind(
        "gateway.kgateway.dev",
        "DirectResponse",
        "directresponses",
        ("v1alpha1",),
        DirectResponse,
        crd=CustomResource(
            (
                _column("Accepted", "Direct response acceptance status"),
                _column("Attached", "Direct response attachment status"),
                Column("Age", ".metadata.creationTimestamp", "The age of the direct response.", "date"),
            ),
            PolicyStatus,
            ("kgateway",),
        ),
    ),
)
