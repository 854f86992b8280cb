"""Expressions in CEL as Envoy takes them: judged, with the place of what is wrong, and parsed; it evaluates nothing.

Parser and checker are those of the library that Envoy has (cel-cpp). What Envoy has switched off was asked of Envoy
1.40: macros over lists, and string(); and it joins neither texts nor lists, which it tells nobody of.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

from cel_expr_python import cel

from engine.models.cel_tree import Tree, tree
from engine.models.texts import regex_problem

_VARIABLES: Final = (
    "connection", "destination", "filter_state", "metadata", "request", "response", "source", "upstream",
    "upstream_filter_state", "xds",
)  # fmt: skip
"""Envoy's attributes."""
_RETURNS: Final = {"BOOL", "DYN", "bool", "dyn"}
_ERROR: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_STRING: Final = re.compile(
    r"[rRbB]{0,2}(\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')", re.DOTALL
)
_SWITCHED_OFF: Final = (
    (
        re.compile(r"\.\s*(all|exists|exists_one|filter|map)\s*\("),
        "is not had by Envoy, which walks no list: use in, or ==",
    ),
    (re.compile(r"(?<![\w.])(string)\s*\("), "is not had by Envoy: compare without converting"),
)
_JOINING: Final = {"add_bytes", "add_list", "add_string"}
_REQUEST: Final = {
    "connection": (
        "dns_san_local_certificate dns_san_peer_certificate id mtls requested_server_name"
        " sha256_peer_certificate_digest subject_local_certificate subject_peer_certificate tls_version"
        " uri_san_local_certificate uri_san_peer_certificate"
    ),
    "destination": "address port",
    "metadata": "filter_metadata typed_filter_metadata",
    "request": "headers host id method path protocol query referer scheme size time total_size url_path useragent",
    "source": "address port",
    "xds": (
        "cluster_metadata cluster_name filter_chain_name listener_direction listener_metadata node route_metadata"
        " route_name upstream_host_metadata virtual_host_metadata virtual_host_name"
    ),
}
"""Envoy's attributes that there may be when a request comes."""
_LATER: Final = ("response", "upstream", "upstream_filter_state")
_MATCHES: Final = re.compile(r"\.\s*matches\s*\(\s*(?=[rR]?[\"'])")


@cache
def _environment() -> cel.Env:
    any_ = cel.Type.DYN
    extract = cel.Overload("re_extract", cel.Type.STRING, [any_, any_, any_], False)
    return cel.NewEnv(variables=dict.fromkeys(_VARIABLES, any_), functions=[cel.FunctionDecl("re.extract", [extract])])


def condition_problem(text: str) -> str | None:
    """Why Envoy would not take a condition, and at which line and column (counted from 1); None when it would."""
    found = _condition(text)
    return found.text if isinstance(found, _Wrong) else None


def expression_problem(text: str) -> str | None:
    """As `condition_problem`, of an expression that may say anything."""
    found = _judged(text)
    return found.text if isinstance(found, _Wrong) else None


def request_condition(text: str) -> bytes | str:
    """A condition that is asked of each request when it comes, as Envoy takes it: the bytes of a cel.expr.Expr.

    Otherwise what stands against it, as `condition_problem` says it. What can never be worked out would never be true,
    and nobody would know: who forbids by it would let all through.
    """
    found = _condition(text)
    if isinstance(found, _Wrong):
        return found.text
    said = tree(found.checked)
    return _never(text, said) or said.expression


def _never(text: str, found: Tree) -> str | None:
    """The first thing that Envoy can never work out."""
    for call in found.calls:
        if set(call.overloads) <= _JOINING:
            return f"{_at(text, call.offset)}: Envoy joins neither texts nor lists: compare them one by one"
    for one in found.attributes:
        place = _at(text, one.offset + 1)
        if one.root in _LATER:
            return f"{place}: {one.root}.{one.name} is not known yet when a request comes"
        known = _REQUEST.get(one.root, one.name).split()
        if one.name not in known:
            return f"{place}: {one.root} has no {one.name} when a request comes: it has {', '.join(known)}"
    return None


class _Wrong(NamedTuple):
    text: str


class _Right(NamedTuple):
    type: str
    checked: bytes


def _condition(text: str) -> _Right | _Wrong:
    found = _judged(text)
    if isinstance(found, _Wrong) or found.type in _RETURNS:
        return found
    return _Wrong(f"says a {found.type.lower()}, and must say true or false")


def _judged(text: str) -> _Right | _Wrong:
    try:
        found = _environment().compile(text)
    except RuntimeError as error:
        return _Wrong(_told(str(error)))
    problem = _switched_off(text)
    return _Wrong(problem) if problem is not None else _Right(found.return_type().name(), found.serialize())


def _told(error: str) -> str:
    found = _ERROR.search(error)
    if found is None:
        return f"is no expression of CEL: {error.splitlines()[0][:200]}"
    return f"{_place(int(found[1]), int(found[2]))}: {found[3].removesuffix(' [INVALID_ARGUMENT]')[:200]}"


def _place(line: int, column: int) -> str:
    return f"line {line}, column {column}" if line > 1 else f"column {column}"


def _at(text: str, offset: int) -> str:
    return _place(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _switched_off(text: str) -> str | None:
    blank = _STRING.sub(lambda found: " " * len(found[0]), text)
    for pattern, why in _SWITCHED_OFF:
        if (found := pattern.search(blank)) is not None:
            return f"{_at(text, found.start(1))}: {found[1]} {why}"
    for found in _MATCHES.finditer(text):
        if (problem := _pattern_problem(text, found.end())) is not None:
            return f"{_at(text, found.end())}: {problem}"
    return None


def _pattern_problem(text: str, offset: int) -> str | None:
    """Of a regular expression that is written out, which Envoy compiles at once."""
    literal = _STRING.match(text, offset)
    if literal is None or literal[1].startswith(('"""', "'''")):
        return None
    raw, inner = literal[0][0] in "rR", literal[1][1:-1]
    if "\\" in inner and not raw:
        inner = inner.replace("\\\\", "\\") if re.fullmatch(r"(\\\\|[^\\])*", inner) else ""
    return regex_problem(inner)
