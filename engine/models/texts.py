"""Text and number types of manifests, as the Gateway API's CRDs have them; what they say of each other is not here."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

import re2
from pydantic import Field

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN: Final = rf"^{_LABEL}(\.{_LABEL})*$"
HOSTNAME: Final = rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$"
NAMESPACE: Final = rf"^{_LABEL}$"
GROUP: Final = rf"^$|{SUBDOMAIN}"
KIND: Final = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
HEADER_NAME: Final = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"
HEADER_VALUE: Final = r"^[!-~]+([\t ]?[!-~]+)*$"
DURATION: Final = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
PATH: Final = r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$"
LABEL_KEY: Final = rf"^({_LABEL}(\.{_LABEL})*/)?{_QUALIFIED}"
LABEL_VALUE: Final = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
# An API server lowers an annotation's key before it checks it.
ANNOTATION_KEY: Final = rf"^({_LABEL.replace('a-z', 'a-zA-Z')}(\.{_LABEL.replace('a-z', 'a-zA-Z')})*/)?{_QUALIFIED}"
TIMESTAMP: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
DATA_KEY: Final = r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$"
_NAMESPACE_OR_NONE = rf"^$|{NAMESPACE}"

MEANING: Final[dict[str, tuple[str, str]]] = {
    SUBDOMAIN: ("is no DNS name", "use lower-case letters, digits, dashes and dots"),
    HOSTNAME: (
        "is no hostname",
        "use lower-case letters, digits, dashes and dots, with at most a leading '*.', without port",
    ),
    NAMESPACE: ("is no namespace's name", "use lower-case letters, digits and dashes"),
    _NAMESPACE_OR_NONE: ("is no namespace's name", "use lower-case letters, digits and dashes"),
    GROUP: ("is no API group", 'write it without version, as in "gateway.networking.k8s.io", or "" for the core group'),
    KIND: ("is no kind", 'write it as in "Service"'),
    HEADER_NAME: ("is no header or query parameter name", "use letters, digits and any of !#$%&'*+-.^_`|~"),
    HEADER_VALUE: ("is no header value", "use visible ASCII characters, with single spaces between them"),
    DURATION: ("is no duration", 'write it as "1h30m", "10s" or "500ms" (GEP-2257)'),
    PATH: ("is no path", "use the characters of a URL path, others as %XX"),
    LABEL_KEY: ("is no label key", 'write it as "name" or "prefix.example.com/name", the name of at most 63'),
    LABEL_VALUE: ("is no label value", "use letters, digits, dashes, underscores and dots, at most 63"),
    ANNOTATION_KEY: ("is no annotation key", 'write it as "name" or "prefix.example.com/name"'),
    DATA_KEY: ("is no key of data", "use letters, digits, dashes, underscores and dots, not two dots at its begin"),
    TIMESTAMP: ("is no time", 'write it as "2026-11-24T14:03:00Z" (RFC 3339)'),
}
"""Patterns in words: what is wrong, and the remedy."""

INT32: Final = 2**31 - 1

Subdomain = Annotated[str, Field(min_length=1, max_length=253, pattern=SUBDOMAIN)]
Hostname = Annotated[str, Field(min_length=1, max_length=253, pattern=HOSTNAME)]
PreciseHostname = Annotated[str, Field(min_length=1, max_length=253, pattern=SUBDOMAIN)]
SectionName = Annotated[str, Field(min_length=1, max_length=253, pattern=SUBDOMAIN)]
DataKey = Annotated[str, Field(max_length=253, pattern=DATA_KEY)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Namespace = Annotated[str, Field(min_length=1, max_length=63, pattern=NAMESPACE)]
NamespaceName = Annotated[str, Field(max_length=63, pattern=_NAMESPACE_OR_NONE)]
Group = Annotated[str, Field(max_length=253, pattern=GROUP)]
Kind = Annotated[str, Field(min_length=1, max_length=63, pattern=KIND)]
Port = Annotated[int, Field(ge=1, le=65535, json_schema_extra={"format": "int32"})]
HeaderName = Annotated[str, Field(min_length=1, max_length=256, pattern=HEADER_NAME)]
HeaderValue = Annotated[str, Field(min_length=1, max_length=4096, pattern=HEADER_VALUE)]
Duration = Annotated[str, Field(pattern=DURATION)]
LabelKey = Annotated[str, Field(min_length=1, max_length=316, pattern=LABEL_KEY)]
LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]
AnnotationKey = Annotated[str, Field(min_length=1, max_length=316, pattern=ANNOTATION_KEY)]
Timestamp = Annotated[str, Field(pattern=TIMESTAMP)]

REGEX_PROGRAM_SIZE: Final = 1000
"""Envoy rejects a whole response for one regex above this (its runtime key re2.max_program_size.error_level; its own
default is 100, the bootstrap of our proxies sets this value)."""

_PERL = re.compile("perl operator|escape sequence")
_TOKEN = re.compile(HEADER_NAME.rstrip("$"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_HOST_LABEL}(\.{_HOST_LABEL})*\.?\Z")


def regex_problem(pattern: str) -> str | None:
    """Why Envoy would not take a regular expression; None when it would.

    Its dialect is RE2, and it matches bytes: those of the pattern, and of what it matches, are Latin-1 to it.
    """
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        compiled = re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        return f"is no regular expression of RE2 ({said}){_instead(said)}"
    if compiled.programsize > REGEX_PROGRAM_SIZE:
        return (
            f"is too large a regular expression (program size {compiled.programsize}, at most {REGEX_PROGRAM_SIZE}): "
            "use fewer counted repetitions"
        )
    return None


def _instead(said: str) -> str:
    if "escape sequence: \\x{" in said:
        return r": Envoy matches bytes: write a character as its bytes in UTF-8, as \xc4\x80 for \x{100}"
    return ": RE2 has no look-around and no back-references" if _PERL.search(said) else ""


def regex_problems(value: str, place: str = "value") -> tuple[tuple[str, str], ...]:
    """As `regex_problem`, with the place that a model tells it of."""
    problem = regex_problem(value)
    return () if problem is None else ((place, f"{value[:64]!r} {problem}"),)


FRAMING: Final = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say where a message ends, or what becomes of its connection (RFC 9110 §7.6.1, RFC 9112 §6).

Seen with Envoy 1.40: a content-length of 0, set by a filter, let a request's body pass as a request of its own.
"""


def is_token(text: str) -> bool:
    """Whether the text can be a header's or a cookie's name (RFC 9110 token)."""
    return _TOKEN.fullmatch(text) is not None


def has_control_characters(text: str) -> bool:
    """Whether the text contains what can stand in no header and no path."""
    return _CONTROL.search(text) is not None


def is_address(text: str, version: int = 0) -> bool:
    """Whether the text is an IP address, of that version when not 0; without zone."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text and version in (0, address.version)


def is_host(text: str) -> bool:
    """Whether the text is a name that can be resolved; upper case and underscores are common there."""
    return _HOST.match(text) is not None
