"""What all models share: frozen, camelCase as written, unknown fields refused; and the field types of the API."""

from __future__ import annotations

import re
from typing import Annotated, Any

import re2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"^{_LABEL}(\.{_LABEL})*$"
_HOSTNAME = rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$"
_HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"
_DURATION = re.compile(r"^([0-9]{1,5}(h|m|s|ms)){1,4}$")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Model(BaseModel):
    """A block of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True)


class Loose(BaseModel):
    """A block of a kind that is not ours: what we do not read, we do not judge."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Metadata(Loose):
    """metadata of every object."""

    name: Annotated[str, Field(max_length=253, pattern=_SUBDOMAIN)]
    namespace: Annotated[str, Field(max_length=63)] = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    generation: int | None = None
    creation_timestamp: str | None = None


def _regex(value: str) -> str:
    """Envoy's dialect is RE2: what it does not take must not reach it."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(value, options)
    except re2.error as error:
        msg = f"{value!r} is no RE2 regular expression: {error.args[0] if error.args else error}"
        raise ValueError(msg) from error
    return value


def check_regex(value: str) -> str:
    """Raises ValueError unless RE2 takes the expression."""
    return _regex(value)


def _header_value(value: str) -> str:
    if _CONTROL.search(value):
        msg = "a header value cannot contain control characters"
        raise ValueError(msg)
    return value


def _duration(value: str) -> str:
    if not _DURATION.match(value):
        msg = f"{value!r} is no duration: write it as 1h30m, 10s or 500ms (GEP-2257)"
        raise ValueError(msg)
    return value


Hostname = Annotated[str, Field(min_length=1, max_length=253, pattern=_HOSTNAME)]
PreciseHostname = Annotated[str, Field(min_length=1, max_length=253, pattern=_SUBDOMAIN)]
SectionName = Annotated[str, Field(min_length=1, max_length=253, pattern=_SUBDOMAIN)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Namespace = Annotated[str, Field(min_length=1, max_length=63, pattern=f"^{_LABEL}$")]
Group = Annotated[str, Field(max_length=253, pattern=rf"^$|{_SUBDOMAIN}")]
Kind = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$")]
Port = Annotated[int, Field(ge=1, le=65535)]
HeaderName = Annotated[str, Field(min_length=1, max_length=256, pattern=_HEADER_NAME)]
HeaderValue = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_header_value)]
Duration = Annotated[str, AfterValidator(_duration)]
Json = dict[str, Any]
