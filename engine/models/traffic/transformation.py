"""transformation: headers, bodies and metadata of requests and responses, made of templates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.rules import ListMap, Ruled
from engine.models.texts import FRAMING, has_control_characters, is_token
from engine.models.traffic_block import TrafficBlock
from engine.templates.parser import template
from engine.templates.tree import Wrong

_PSEUDO: Final = {
    "request": frozenset({":authority", ":method", ":path", ":scheme"}),
    "response": frozenset({":status"}),
}
"""Of each side, what a template may give a new value."""
_Template = Annotated[str, Field(description="A template, as MiniJinja has them.")]
_Name = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^:?[A-Za-z0-9!#$%&'*+\-.^_`|~]+$")]
_Key = Annotated[str, Field(min_length=1, max_length=256)]


class HeaderTransformation(Model):
    """A header, and the template of its value."""

    name: _Name
    value: Annotated[_Template, Field(description="Of what is rendered to nothing the header goes.")] | None = None


class BodyTransformation(Model):
    """How a body is read, and what it becomes."""

    parse_as: Annotated[
        Literal["AsString", "AsJson", "None"],
        Field(description="None: the body is let through as it comes, and no template sees it."),
    ] = "AsString"
    value: _Template | None = None


class MetadataValue(Model):
    """DynamicMetadataValue."""

    string_value: Annotated[_Template, Field(min_length=1)]


class MetadataTransformation(Model):
    """DynamicMetadataTransformation: a text that later filters and logs see."""

    namespace: _Key
    key: _Key
    value: MetadataValue


_Headers = Annotated[tuple[HeaderTransformation, ...], Field(max_length=16), ListMap("name")]


class Transform(Model):
    """What becomes of one side's messages."""

    set: Annotated[_Headers, Field(description="In place of what they had.")] | None = None
    add: Annotated[_Headers, Field(description="Beside what they had.")] | None = None
    remove: Annotated[tuple[str, ...], Field(max_length=16)] | None = None
    body: BodyTransformation | None = None
    dynamic_metadata: Annotated[tuple[MetadataTransformation, ...], Field(max_length=16)] | None = None


class Transformation(Ruled):
    """TransformationPolicy."""

    request: Transform | None = None
    response: Transform | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """What no proxy could do, or no template says."""
        for side, one in (("request", self.request), ("response", self.response)):
            if one is not None:
                yield from ((f"{side}.{path}", message) for path, message in _of_side(one, side))


def _of_side(one: Transform, side: str) -> Iterator[tuple[str, str]]:
    for field, headers in (("set", one.set), ("add", one.add)):
        for number, header in enumerate(headers or ()):
            if (problem := _name_problem(header.name, field, side)) is not None:
                yield f"{field}[{number}].name", problem
            yield from _of_template(f"{field}[{number}].value", header.value)
    for number, name in enumerate(one.remove or ()):
        if (problem := _removal_problem(name)) is not None:
            yield f"remove[{number}]", problem
    if one.body is not None:
        yield from _of_template("body.value", one.body.value)
    for number, metadata in enumerate(one.dynamic_metadata or ()):
        yield from _of_template(f"dynamicMetadata[{number}].value.stringValue", metadata.value.string_value)


def _name_problem(name: str, field: str, side: str) -> str | None:
    lower = name.lower()
    if lower in FRAMING:
        return f"{name} belongs to Envoy, which frames messages by it: leave it out"
    if lower.startswith(":") and lower not in _PSEUDO[side]:
        return f"{name} is none that a {side} has and a template may give: {', '.join(sorted(_PSEUDO[side]))}"
    if field == "add" and (lower.startswith(":") or lower == "host"):
        return f"{name} stands once in a message: use set"
    return None


def _removal_problem(name: str) -> str | None:
    if name.startswith(":") or name.lower() == "host":
        return f"{name} cannot be removed: no message is without"
    if not is_token(name):
        return f"{name!r} is no header name: use letters, digits and any of !#$%&'*+-.^_`|~"
    if name.lower() in FRAMING:
        return f"{name} belongs to Envoy, which frames messages by it: leave it out"
    return None


def _of_template(path: str, source: str | None) -> Iterator[tuple[str, str]]:
    try:
        found = template(source or "")
    except Wrong as wrong:
        yield path, f"is no template that can be rendered: {wrong}"
        return
    texts = [str(one.parts[0]) for one in found.below() if one.op == "text"]
    if not path.startswith("body") and any(has_control_characters(one) for one in texts):
        yield path, "has a line end or another control character in its text: a value is one line"


BLOCK = TrafficBlock("transformation", Transformation)
