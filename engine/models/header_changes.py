"""HTTPHeaderFilter of kgateway: headers that are set, added and removed, with values written out or of Secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.base import Model
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.substitution import format_problem
from engine.models.texts import FRAMING, HeaderName, HeaderValue, Namespace, ObjectName, is_token


class SecretKey(Model):
    """SecretRefWithKey: a value of a Secret; its key is the header's name where none is written."""

    name: ObjectName
    key: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    namespace: Namespace | None = None


class Header(Ruled):
    """HTTPHeader: a value that is written out, or a Secret's."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("value", "value"), ("secretRef", "secret_ref")),
        Rule(
            "has(self.value) ? has(self.name) : true",
            "name must be set when value is set",
            lambda self: self.value is None or self.name is not None,
        ),
    )

    name: HeaderName | None = None
    value: HeaderValue | None = None
    secret_ref: SecretKey | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy formats a value, and rejects all that it stands in for one that it cannot."""
        problem = format_problem(self.value or "")
        if problem is not None:
            yield "value", f"{str(self.value)[:64]!r} is no header value: {problem}"
        place, name = ("name", self.name) if self.name is not None else ("secretRef.key", self.key)
        if name is None and self.secret_ref is not None:
            yield "name", "must be given, or secretRef.key, which is the header's name then"
        elif name is not None and not is_token(name):
            yield place, f"{name[:64]!r} is no header name: give it one with name"
        elif name is not None and name.lower() == "host":
            yield place, "host cannot be changed here, Envoy would not take it: use URLRewrite.hostname of a route"
        elif name is not None and name.lower() in FRAMING:
            yield place, f"{name} belongs to Envoy, which frames the message: leave it out"

    @property
    def key(self) -> str | None:
        """The key of its Secret."""
        return self.secret_ref.key if self.secret_ref is not None else None


_Headers = Annotated[tuple[Header, ...], Field(min_length=1, max_length=16)]


class HeaderChanges(Ruled):
    """HTTPHeaderFilter."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.set),has(self.add),has(self.remove)].filter(x,x==true).size() >= 1",
            "at least one of the fields in [set add remove] must be set",
            lambda self: (self.set, self.add, self.remove) != (None, None, None),
        ),
    )

    set: _Headers | None = None
    add: _Headers | None = None
    remove: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(min_length=1, max_length=16)] | None = (
        None
    )

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes nothing else for a header's name."""
        for number, name in enumerate(self.remove or ()):
            if name.lower() in ("host", *FRAMING):
                yield f"remove[{number}]", f"{name} cannot be removed: no request is without"
            elif not is_token(name):
                text = f"{name[:64]!r} is no header name: use letters, digits and any of !#$%&'*+-.^_`|~"
                yield f"remove[{number}]", text
