"""Envoy's substitution formats, as a header's value may be one: judged as Envoy 1.40 does; it formats nothing.

What is not in the table is refused, known to Envoy or not: who writes a route must not read what the proxy keeps to
itself. Grammar and table were measured (docs/decisions/0017-percent-signs.md); a test asks the real Envoy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from engine.models.cel import expression_problem
from engine.models.texts import HEADER_NAME

_Check = Callable[[str], bool]
_LARGEST: Final = 2**64 - 1
_SHOWN: Final = 64
"""Characters of a value that a message repeats."""

# Expressions of Envoy's own: a command (source/common/formatter), and the two forms that its header parser rewrites
# before it looks for commands, inside of other commands' arguments and of escaped text, too. Of those, which may begin
# anywhere and reach to any end, beginning and end are sought apart: as one expression the steps grew with the square
# of a value's length, and with two to the power of its line ends.
_COMMAND = re.compile(r"%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%")


class _Rewritten(NamedTuple):
    """What is rewritten from `begin` to `end`, a character at least between them, and no line end where `line`."""

    begin: re.Pattern[str]
    end: re.Pattern[str]
    line: bool
    what: str
    remedy: str


_REWRITTEN: Final = (
    _Rewritten(
        # The spaces that RE2 knows: fewer than Python's.
        re.compile(r"%(?:UPSTREAM|DYNAMIC)_METADATA\([\t\n\f\r ]*\["),
        re.compile(r"\][\t\n\f\r ]*\)%"),
        line=False,
        what="metadata's path as JSON",
        remedy="write it with colons, as in %DYNAMIC_METADATA(namespace:key)%",
    ),
    _Rewritten(
        re.compile(r"%PER_REQUEST_STATE\("),
        re.compile(r"\)%"),
        line=True,
        what="PER_REQUEST_STATE",
        remedy="write %FILTER_STATE(key:PLAIN)%",
    ),
)
_NEWLINE = re.compile(r"%[-_0^#]*[1-9]*(E|O)?n")
_NAME = re.compile(rf"(:?{HEADER_NAME.strip('^$')})?")
_FIELD = "FIELD"


class _Syntax(NamedTuple):
    """What a command takes: an argument ("may", "must" or "no"), a length, and which arguments are right."""

    argument: str
    length: bool = False
    is_right: _Check = lambda _: True
    wants: str = ""


def _one_of(*words: str) -> _Check:
    return lambda text: text in words


def _is_header(text: str) -> bool:
    """NAME or NAME?OTHER; a name may be empty."""
    names = text.split("?")
    return len(names) <= 2 and all(_NAME.fullmatch(name) for name in names)


def _is_state(text: str) -> bool:
    """KEY, KEY:PLAIN, KEY:TYPED or KEY:FIELD:NAME; more parts are ignored."""
    key, form, field, *_ = [*text.split(":"), "", ""]
    return bool(key) and form in ("", "PLAIN", "TYPED", _FIELD) and (form == _FIELD) == bool(field)


def _is_duration(text: str) -> bool:
    """START:END or START:END:PRECISION."""
    return text.count(":") == 1 or (text.count(":") == 2 and text.rpartition(":")[2] in ("ms", "us", "ns"))


def _is_path(text: str) -> bool:
    """QUERY:SOURCE; more parts are ignored."""
    query, source, *_ = [*text.split(":"), ""]
    return query in ("", "WQ", "NQ") and source in ("", "ORIG", "PATH", "ORIG_OR_PATH")


def _is_metadata(text: str) -> bool:
    """TYPE:NAMESPACE:KEY..."""
    types = ("DYNAMIC", "CLUSTER", "ROUTE", "UPSTREAM_HOST", "LISTENER", "LISTENER_FILTER_CHAIN", "VIRTUAL_HOST")
    return text.partition(":")[0] in types


def _is_client_field(text: str) -> bool:
    return text.lower() in ("by", "hash", "cert", "chain", "subject", "uri", "dns")


_PLAIN = _Syntax("no")
_ANY = _Syntax("may")
_KEY = _Syntax("must")
_CUT = _Syntax("must", length=True)
_HEADER = _Syntax("must", length=True, is_right=_is_header, wants="a header's name, or two as in NAME?OTHER")
_STATE = _Syntax("must", length=True, is_right=_is_state, wants="KEY, KEY:PLAIN, KEY:TYPED or KEY:FIELD:NAME")
_TIME = _Syntax("may", is_right=lambda text: not _NEWLINE.search(text), wants="a time format without newline")

_TABLE: Final[tuple[tuple[_Syntax, str], ...]] = (
    (_HEADER, "REQ REQUEST_HEADER RESP RESPONSE_HEADER RESPONSE_TRAILER TRAILER"),
    (_CUT, "DYNAMIC_METADATA QUERY_PARAM"),
    (_KEY, "CLUSTER_METADATA UPSTREAM_METADATA"),
    (_STATE, "FILTER_STATE UPSTREAM_FILTER_STATE"),
    (
        _TIME,
        """
        DOWNSTREAM_PEER_CERT_V_END DOWNSTREAM_PEER_CERT_V_START EMIT_TIME EMIT_TIME_LOCAL START_TIME
        START_TIME_LOCAL UPSTREAM_PEER_CERT_V_END UPSTREAM_PEER_CERT_V_START
        """,
    ),
    (
        _ANY,
        """
        DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT
        DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT RESPONSE_CODE_DETAILS
        UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT
        """,
    ),
    (
        _Syntax("must", is_right=_is_duration, wants="START:END, or START:END:PRECISION with ms, us or ns"),
        "COMMON_DURATION",
    ),
    (
        _Syntax(
            "may",
            is_right=_one_of("", "CAMEL_STRING", "SNAKE_STRING", "NUMBER"),
            wants="CAMEL_STRING, SNAKE_STRING or NUMBER",
        ),
        "GRPC_STATUS",
    ),
    (_Syntax("must", length=True, is_right=_is_metadata, wants="TYPE:NAMESPACE:KEY, as in ROUTE:a:b"), "METADATA"),
    (
        _Syntax(
            "may", length=True, is_right=_is_path, wants="WQ or NQ, then ORIG, PATH or ORIG_OR_PATH, as in NQ:ORIG"
        ),
        "PATH",
    ),
    (
        _Syntax("may", length=True, is_right=_one_of("", "ORIG", "DECODED"), wants="ORIG or DECODED"),
        "QUERY_PARAMS",
    ),
    (
        _Syntax("must", length=True, is_right=_is_client_field, wants="by, hash, cert, chain, subject, uri or dns"),
        "XFCC_VALUE",
    ),
    (
        _PLAIN,
        """
        ACCESS_LOG_TYPE BYTES_RECEIVED BYTES_RETRANSMITTED BYTES_SENT CONNECTION_ID
        CONNECTION_TERMINATION_DETAILS CUSTOM_FLAGS DOWNSTREAM_CX_RTT
        DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT
        DOWNSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_DIRECT_LOCAL_ADDRESS
        DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID DOWNSTREAM_DIRECT_LOCAL_PORT
        DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_PORT DOWNSTREAM_HANDSHAKE_DURATION
        DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT DOWNSTREAM_LOCAL_ADDRESS
        DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID DOWNSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_LOCAL_DNS_SAN
        DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_IP_SAN DOWNSTREAM_LOCAL_OTHERNAME_SAN
        DOWNSTREAM_LOCAL_PORT DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_PEER_CERT
        DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256
        DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_EMAIL_SAN
        DOWNSTREAM_PEER_FINGERPRINT_1 DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_IP_SAN
        DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 DOWNSTREAM_PEER_ISSUER_SERIAL
        DOWNSTREAM_PEER_OTHERNAME_SAN DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_URI_SAN
        DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_REMOTE_PORT DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_GROUP
        DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_TLS_VERSION DOWNSTREAM_TRANSPORT_FAILURE_REASON
        DOWNSTREAM_WIRE_BYTES_RECEIVED DOWNSTREAM_WIRE_BYTES_SENT DURATION FILTER_CHAIN_NAME
        GRPC_STATUS_NUMBER HOSTNAME LISTENER_NAME LOCAL_REPLY_BODY PACKETS_RETRANSMITTED PROTOCOL
        REQUESTED_SERVER_NAME REQUEST_DURATION REQUEST_HEADERS_BYTES REQUEST_TX_DURATION RESPONSE_CODE
        RESPONSE_DURATION RESPONSE_FLAGS RESPONSE_FLAGS_LONG RESPONSE_HEADERS_BYTES RESPONSE_TRAILERS_BYTES
        RESPONSE_TX_DURATION ROUNDTRIP_DURATION ROUTE_NAME ROUTE_RESOLUTION_COUNT ROUTE_RESOLUTION_TIME_US
        SPAN_ID STREAM_ID TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT TRACE_ID UNIQUE_ID UPSTREAM_CLUSTER
        UPSTREAM_CLUSTER_RAW UPSTREAM_CONNECTION_ID UPSTREAM_CONNECTION_IDS_ATTEMPTED
        UPSTREAM_CONNECTION_POOL_READY_DURATION UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED
        UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT UPSTREAM_DETECTED_CLOSE_TYPE UPSTREAM_HEADER_BYTES_RECEIVED
        UPSTREAM_HEADER_BYTES_SENT UPSTREAM_HOST UPSTREAM_HOSTS_ATTEMPTED
        UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAME UPSTREAM_HOST_NAMES_ATTEMPTED
        UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAME_WITHOUT_PORT UPSTREAM_LOCAL_ADDRESS
        UPSTREAM_LOCAL_CLOSE_REASON UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN UPSTREAM_LOCAL_PORT
        UPSTREAM_LOCAL_URI_SAN UPSTREAM_PEER_CERT UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN
        UPSTREAM_PEER_ISSUER UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_URI_SAN UPSTREAM_PROTOCOL
        UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID UPSTREAM_REMOTE_PORT
        UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_SERVER_NAME UPSTREAM_TLS_CIPHER UPSTREAM_TLS_GROUP
        UPSTREAM_TLS_SESSION_ID UPSTREAM_TLS_VERSION UPSTREAM_TRANSPORT_FAILURE_REASON
        UPSTREAM_WIRE_BYTES_RECEIVED UPSTREAM_WIRE_BYTES_SENT VIRTUAL_CLUSTER_NAME
        """,
    ),
)
COMMANDS: Final = {name: syntax for syntax, names in _TABLE for name in names.split()}
"""Commands that may stand in a header's value: they tell of the request, its connections and its route."""

WITHHELD: Final = {
    "CEL": "its expression is not judged here",
    "COALESCE": "it may name any other command",
    "ENVIRONMENT": "it would read the proxy's environment",
    "FILE_CONTENT": "it would read the proxy's files",
    "SECRET": "it would read the proxy's secrets",
    "STREAM_INFO_REQ": "Envoy does not document it",
}
"""Commands that may not, and why. Some are known to an Envoy only where it is told so, or in another version."""

_ESCAPE = "write %% for a percent sign"


def format_problem(value: str) -> str | None:
    """Why a header's value may not leave as it is: where, and the remedy; None when it may."""
    for form in _REWRITTEN:
        if (begin := _begin(form, value)) is not None:
            return f"{form.what} at character {begin + 1} is obsolete: {form.remedy}"
    return _first_problem(value, _command_problem)


def log_format_problem(value: str) -> str | None:
    """Why a line of an access log, or the body of a local reply, may not leave as it is; None when it may.

    Who writes those owns the Gateway: expressions, and the proxy's environment, are not kept from them.
    """
    return _first_problem(value, _log_problem)


class _Judge(Protocol):
    """Says what is wrong with a command; None for nothing."""

    def __call__(self, name: str, argument: str, *, cut: bool) -> str | None: ...


def _first_problem(value: str, judge: _Judge) -> str | None:
    position = 0
    while (position := value.find("%", position)) >= 0:
        if value.startswith("%%", position):
            position += 2
            continue
        found = _COMMAND.match(value, position)
        if found is None or not _is_length(found[3] or ""):
            return f"the % at character {position + 1} begins no command as %NAME(ARGUMENT):LENGTH%: {_ESCAPE}"
        if (problem := judge(found[1], found[2] or "", cut=found[3] is not None)) is not None:
            return f"the command {found[1][:_SHOWN]} at character {position + 1} {problem}"
        position = found.end()
    return None


def _log_problem(name: str, argument: str, *, cut: bool) -> str | None:
    if name == "CEL":
        problem = expression_problem(argument)
        return f"has an expression that Envoy does not take: {problem}" if problem is not None else None
    if name == "ENVIRONMENT":
        return None if argument else "needs an argument: write %ENVIRONMENT(NAME)%"
    # An extension of its own gives it to formats that have it (envoy.formatter.req_without_query).
    return _command_problem("REQ" if name == "REQ_WITHOUT_QUERY" else name, argument, cut=cut)


def _begin(form: _Rewritten, value: str) -> int | None:
    """Where something begins that is rewritten; each character is looked at a few times."""
    position = 0
    while (begin := form.begin.search(value, position)) is not None:
        stop = value.find("\n", begin.end()) if form.line else -1
        position = stop if stop >= 0 else len(value)
        # The first beginning has all ends behind it that a later one has.
        if form.end.search(value, begin.end() + 1, position) is not None:
            return begin.start()
    return None


def _is_length(digits: str) -> bool:
    digits = digits.lstrip("0")
    return len(digits) < len(str(_LARGEST)) or (len(digits) == len(str(_LARGEST)) and int(digits) <= _LARGEST)


def _command_problem(name: str, argument: str, *, cut: bool) -> str | None:
    if name in WITHHELD:
        return f"is not for routes, {WITHHELD[name]}: leave it out, or {_ESCAPE}"
    if name not in COMMANDS:
        return f"is none that Envoy knows: correct it, or {_ESCAPE}"
    syntax = COMMANDS[name]
    if argument and syntax.argument == "no":
        return f"takes no argument: write %{name}%"
    if not argument and syntax.argument == "must":
        return f"needs an argument: write %{name}(ARGUMENT)%"
    if cut and not syntax.length:
        return "takes no length: leave out the colon and the number"
    if not syntax.is_right(argument):
        return f"takes another argument than {argument[:_SHOWN]!r}: write {syntax.wants}"
    return None
