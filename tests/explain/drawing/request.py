"""Requests near what the rules of a table take."""

from __future__ import annotations

import base64
import random

from engine.history.explain import Request
from tests.explain.drawing.words import (
    HOSTS,
    KEYS,
    METHODS,
    NOBODY,
    OTHER,
    REGEXES,
    STREAM,
    THROUGH,
    TREATED,
    VALUE_REGEXES,
    WEB,
    Table,
)
from tests.routing.written import HTTPS

_SOCKET = (
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-key", base64.b64encode(bytes(16)).decode()),
    ("sec-websocket-version", "13"),
)
_ODD = ("/a/../b/c", "/%61/b", "/a%2Fb", "//a//b", "/a/./b", "/a/%2e%2e/b", "/a/b/..", "/a\\b", "/a;b", "/A", "/a/b//", "/a#b", "/a%zz", "/a%00")
_ODD_QUERIES = (("p", "%31"), ("P", "1"), ("%70", "1"), ("p", ""), ("p", "1=2"), ("", "1"))


def request(seed: random.Random, drawn: Table) -> Request:
    """Made from a rule of the table, then perhaps spoilt in one place: a near miss."""
    hint = seed.choice(drawn.hints)
    host = seed.choice(hint.hosts).replace("*", seed.choice(("w", "w.v")))
    path = seed.choice(REGEXES.get(hint.path, (hint.path,)))
    path = path.rstrip("/") + "/tail" if seed.random() < 0.25 else path
    method = hint.method or seed.choice(METHODS)
    headers = [(name, _value(seed, value)) for name, value in hint.headers if name != "host"]
    query = [(name, _value(seed, value)) for name, value in hint.query]
    port = seed.choice((*WEB * 6, STREAM, THROUGH))
    sni = host if port in (HTTPS, THROUGH) else None
    match seed.randrange(28):
        case 0:
            host = seed.choice(HOSTS)
        case 1:
            path += "x"
        case 2:
            headers = [(name, seed.choice(("9", f"{value}9"))) for name, value in headers]
        case 3:
            method = seed.choice(METHODS)
        case 4:
            query = [*query, *((name, "9") for name, _ in query)]
        case 5:
            headers = [*headers, *headers]
        case 6:
            path = seed.choice(_ODD)
        case 7:
            host = seed.choice((f"{host}:{port}", f"{host}:80", f"{host}:443", f"{host}:", host.upper()))
        case 8:
            query = [*query, seed.choice(_ODD_QUERIES)]
        case 9:
            headers = [(name, f" {value}".upper()) for name, value in headers]
        case 10:
            sni = _other_name(seed, port, sni)
        case 11:
            port, sni = seed.choice(((NOBODY, None), (HTTPS, None), (seed.choice(WEB[:2]), host)))
    headers += _asides(seed, host)
    upgrade = _upgrade(seed) if "application/grpc" not in dict(headers).values() else []
    # A handshake is a GET (RFC 6455): to a HEAD Envoy gave none (measured).
    method = "GET" if upgrade == [*_SOCKET] else method
    headers += upgrade
    text = "&".join(f"{name}={value}" for name, value in [*query, *_key(seed)])
    client = seed.choice(("10.1.2.3", "127.0.0.1", "192.0.2.9")) if drawn.proxied and port == OTHER else "127.0.0.1"
    shows = drawn.validates and seed.random() < 0.7
    return Request(method, host, f"{path}?{text}" if text else path, port, sni, tuple(headers), client, shows)


def _other_name(seed: random.Random, port: int, sni: str | None) -> str | None:
    return seed.choice((*HOSTS, "", "A.EXAMPLE.COM", "q.example.com")) if port == HTTPS else sni


def _key(seed: random.Random) -> list[tuple[str, str]]:
    return [("key", seed.choice((*KEYS.values(), "k-nobody")))] if seed.random() < 0.05 else []


def _asides(seed: random.Random, host: str) -> list[tuple[str, str]]:
    """Headers that filters look at, and those that a proxy treats in a way of its own."""
    found: list[tuple[str, str]] = []
    if seed.random() < 0.3:
        origin = seed.choice((f"https://{host}", "https://a.example.com", "https://evil.org", "https://x.example.net", "null"))
        found.append((seed.choice(("origin", "origin", "referer")), origin))
    if seed.random() < 0.15:
        found.append(("access-control-request-method", "PUT"))
    if seed.random() < 0.05:
        found.append(("access-control-request-headers", "x-one"))
    if seed.random() < 0.15:
        word = seed.choice((b"ann:secret", b"ann:wrong", b"bob:secret", b"nothing"))
        found.append(("authorization", f"{seed.choice(('Basic', 'basic', 'Bearer'))} {base64.b64encode(word).decode()}"))
    if seed.random() < 0.1:
        key = seed.choice((*KEYS.values(), "k-nobody"))
        found.append(seed.choice((("api-key", key), ("x-key", key), ("x-key", f"Bearer {key}"), ("cookie", f"a=b; key={key}"))))
    if seed.random() < 0.15:
        found.append(("x-forwarded-for", seed.choice(("10.1.2.3", "10.2.3.4, 10.1.2.3", "nobody", "192.0.2.1,10.1.2.3,127.0.0.1"))))
    if seed.random() < 0.08:
        found.append(("x-forwarded-proto", seed.choice(("http", "https", "ftp", "HTTPS"))))
    if seed.random() < 0.1:
        name = seed.choice([one for one in TREATED if one not in ("host", "upgrade")])
        found.append((name, seed.choice(TREATED[name])))
    return found


def _upgrade(seed: random.Random) -> list[tuple[str, str]]:
    if seed.random() > 0.06:
        return []
    return seed.choice(([("connection", "upgrade"), ("upgrade", seed.choice(("h2c", "other")))], [*_SOCKET]))


def _value(seed: random.Random, value: str) -> str:
    return seed.choice(VALUE_REGEXES.get(value, (value,)))
