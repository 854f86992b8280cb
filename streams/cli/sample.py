"""Requests of a file: written one by one, as JSON, or a proxy's access log. It asks nothing."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from engine.history.answers import Asked
from engine.history.explain import Request, request_of
from streams.cli.output import fail, note

TAKEN: Final = (
    "lines such as GET https://shop.example.com/pay -H 'x-env: test'; JSON objects with url, or authority and path; "
    "access logs of Envoy (its default format) and nginx (combined, with the host in front)"
)
_STDIN: Final = "-"
_LINE_BYTES: Final = 64 << 10
_SHOWN: Final = 3
_METHOD: Final = re.compile(r"[A-Za-z]{1,32}")
_ENVOY: Final = re.compile(r'\[[^\]"]{1,64}\] "(\S+) (\S+) [^"]*" (.*)')
_NGINX: Final = re.compile(r'(?:(\S+) )?(\S+) \S+ (?:\S+) \[[^\]]+\] "(\S+) (\S+)(?: [^"]*)?" \d+ \S+(.*)')
_QUOTED: Final = re.compile(r'"([^"]*)"')
_AUTHORITY: Final = 3
_AGENT: Final = 1
"""Of what Envoy's default format quotes behind the request: forwarded for, agent, id, authority, upstream."""
_NONE: Final = ("", "-")
_PATHS: Final = (":path", "path", "request_uri", "uri", "x-envoy-original-path")
_HOSTS: Final = (":authority", "authority", "host", "http_host")
_METHODS: Final = (":method", "method", "request_method")


@dataclass(frozen=True, slots=True)
class Sample:
    """The requests, each once with how often it came, and how many lines are none."""

    asked: tuple[Asked, ...]
    passed_over: int


class _NoRequest(ValueError):  # noqa: N818
    """A line that is none: the message says why."""


def sample(path: str, base: str | None) -> Sample:
    """Those of a file, "-" for standard input. One without any ends the command with 2, one that is not there with 3.

    Of an access log, which does not say them, scheme and port are `base`'s, and the host where a line has none.
    """
    if base is not None and not _is_base(base):
        fail(f"--base {base!r} is no URL: write it as in https://shop.example.com:8443", 2)
    found: dict[tuple[Request, bool], Asked] = {}
    odd: list[str] = []
    passed = 0
    for number, line in enumerate(_lines(path), 1):
        try:
            asked = _asked(line, base)
        except ValueError as error:
            passed += 1
            if len(odd) < _SHOWN:
                odd.append(f"line {number}: {error}")
            continue
        if asked is not None:
            key = asked.request, asked.anywhere
            known = found.get(key)
            found[key] = replace(known, many=known.many + 1) if known is not None else asked
    if not found:
        why = f" ({'; '.join(odd)})" if odd else ""
        fail(f"--requests {path} holds no request{why}: what is taken are {TAKEN}", 2)
    for one in odd:
        note(f"--requests {path}, {one}")
    if passed > len(odd):
        note(f"--requests {path}: {passed - len(odd)} more lines are no requests")
    return Sample(tuple(found.values()), passed)


def _is_base(text: str) -> bool:
    """Whether it is a URL of HTTP, with a port that there is."""
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        return False


def _lines(path: str) -> Iterator[str]:
    try:
        if path == _STDIN:
            yield from _text(sys.stdin.buffer)
            return
        with Path(path).open("rb") as file:
            yield from _text(file)
    except OSError as error:
        fail(f"--requests {path} cannot be read: {error.strerror}", 3)


def _text(file: Any) -> Iterator[str]:
    """Lines of a file of any size; one that never ends is cut, and then is no request."""
    while line := file.readline(_LINE_BYTES):
        yield line.decode(errors="replace").strip()


def _asked(line: str, base: str | None) -> Asked | None:
    """The request of a line; None of an empty one or a comment. Raises ValueError for what is none."""
    if not line or line.startswith("#"):
        return None
    if line.startswith("{"):
        return _of_json(line, base)
    if (found := _ENVOY.fullmatch(line)) is not None:
        quoted = _QUOTED.findall(found[3])
        if len(quoted) <= _AUTHORITY:
            msg = "the access log is not in Envoy's default format: it has no authority"
            raise _NoRequest(msg)
        return _logged(found[1], quoted[_AUTHORITY], found[2], _agent(quoted[_AGENT]), base)
    if (found := _NGINX.fullmatch(line)) is not None:
        quoted = _QUOTED.findall(found[5])
        agent = quoted[1] if len(quoted) > 1 else ""
        return _logged(found[3], found[1] or "", found[4], _agent(agent), base)
    return _written(line)


def _written(line: str) -> Asked:
    words = shlex.split(line)
    headers: list[tuple[str, str]] = []
    while len(words) > 1 and words[-2] in ("-H", "--header"):
        name, colon, value = words[-1].partition(":")
        if not colon:
            msg = f"-H {words[-1]!r} is no header"
            raise _NoRequest(msg)
        headers.insert(0, (name.strip(), value.strip()))
        words = words[:-2]
    if len(words) not in (1, 2) or (len(words) == 2 and not _METHOD.fullmatch(words[0])):
        msg = f"{line[:80]!r} is no request"
        raise _NoRequest(msg)
    method = words[0].upper() if len(words) == 2 else "GET"
    return Asked(line, request_of(method, words[-1], headers))


def _of_json(line: str, base: str | None) -> Asked:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        msg = f"it is no JSON: {error}"
        raise _NoRequest(msg) from error
    headers = found.get("headers") or {}
    if not isinstance(headers, dict):
        msg = "headers is no object"
        raise _NoRequest(msg)
    pairs = [(str(name), str(value)) for name, value in headers.items()]
    method = _first(found, _METHODS) or "GET"
    if isinstance(url := found.get("url"), str):
        return Asked(f"{method} {url}", request_of(method, url, pairs))
    return _logged(method, _first(found, _HOSTS), _first(found, _PATHS), pairs, base)


def _first(found: dict[str, Any], names: Iterable[str]) -> str:
    return next((found[name] for name in names if isinstance(found.get(name), str) and found[name] not in _NONE), "")


def _agent(value: str) -> list[tuple[str, str]]:
    return [("user-agent", value)] if value not in _NONE else []


def _logged(method: str, host: str, path: str, headers: list[tuple[str, str]], base: str | None) -> Asked:
    """Of an access log, which says neither the scheme nor the listener's port."""
    if not _METHOD.fullmatch(method) or not path.startswith("/"):
        msg = f"{method[:20]} {path[:60]!r} is no request for a path"
        raise _NoRequest(msg)
    parts = urlsplit(base or "")
    host = host if host not in _NONE else parts.netloc
    if not host:
        msg = "it has no host: name one with --base https://shop.example.com"
        raise _NoRequest(msg)
    port = f":{parts.port}" if parts.port is not None else ""
    bare = re.sub(r":\d+$", "", host)
    made = request_of(method, f"{parts.scheme or 'http'}://{bare}{port}{path}", [("host", host), *headers])
    return Asked(f"{method} {host}{path}", made, anywhere=base is None)
