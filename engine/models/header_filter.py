"""HTTPHeaderFilter of kgateway's: headers to set, add and remove, whose values may stand in a Secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.base import Model
from engine.models.rules import ListSet, Rule, Ruled, at_least_one, exactly_one
from engine.models.substitution import format_problem
from engine.models.texts import FRAMING, HeaderName, HeaderValue, Namespace, ObjectName, is_token


class SecretKey(Model):
    """SecretRefWithKey: a value of a Secret."""

    name: ObjectName
    key: Annotated[str, Field(min_length=1, max_length=253, description="By default the header's name.")] | None = None
    namespace: Namespace | None = None


class Header(Ruled):
    """HTTPHeader: its value, or the Secret that has it."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("value", "value"), ("secretRef", "secret_ref")),
        Rule(
            "!has(self.value) || has(self.name)",
            "name is required with value",
            lambda self: self.value is None or self.name is not None,
        ),
    )

    name: HeaderName | None = None
    value: HeaderValue | None = None
    secret_ref: SecretKey | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy formats a value, and rejects the whole route configuration for one that it cannot."""
        name = self.name or (self.secret_ref.key if self.secret_ref is not None else None)
        if name is None:
            yield "name", "is missing, and secretRef names no key that could be the header's name: give one of the two"
        elif not is_token(name):
            yield "secretRef.key", f"{name!r} is no header name: give name"
        elif name.lower() == "host" or name.lower() in FRAMING:
            yield "name", f"{name} belongs to Envoy, which frames and routes by it: leave it out"
        problem = format_problem(self.value) if self.value is not None else None
        if problem is not None:
            yield "value", f"{(self.value or '')[:64]!r} is no header value: {problem}"


_Headers = Annotated[tuple[Header, ...], Field(max_length=16)]


class HeaderFilter(Ruled):
    """HTTPHeaderFilter."""

    RULES: ClassVar[tuple[Rule, ...]] = (at_least_one(("set", "set"), ("add", "add"), ("remove", "remove")),)

    set: _Headers | None = None
    add: _Headers | None = None
    remove: Annotated[tuple[str, ...], Field(max_length=16), ListSet()] | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no other names."""
        for number, name in enumerate(self.remove or ()):
            if name.lower() == "host":
                yield f"remove[{number}]", "host cannot be removed: no request is without"
            elif not is_token(name):
                yield f"remove[{number}]", f"{name!r} is no header name: use letters, digits and any of !#$%&'*+-.^_`|~"
