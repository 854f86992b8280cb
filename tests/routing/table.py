"""Random route tables and requests, seeded; small alphabets, so that rules collide and requests nearly match."""

from __future__ import annotations

import random

from tests.routing.reference import Listener, Match, Request, Route, Table, Text

_HOSTS = ("a.example.com", "b.example.com", "x.a.example.com", "example.com", "other.org")
_PATTERNS = (*_HOSTS, "*.example.com", "*.a.example.com", "*.com")
_PATHS = ("/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/b/c")
_REGEXES = {
    "/a.*": ("/a", "/a/b", "/abc"),
    "/(a|b)/[a-z]+": ("/a/b", "/b/c"),
    "/[ab]": ("/a", "/b"),
    "/a/b?": ("/a/", "/a/b"),
    "/.+/c": ("/b/c", "/a/b/c"),
}
_METHODS = ("GET", "POST", "PUT")
_NAMES = ("x-one", "x-two")
_VALUES = ("1", "2")
_VALUE_REGEXES = {"[12]": ("1", "2"), "1.?": ("1", "12"), "(1|3).*": ("1", "3x"), "2+": ("2", "22")}


def table(seed: random.Random) -> Table:
    """Listeners and routes."""
    plain = [Listener(f"http-{number}", False, host) for number, host in enumerate(_listened(seed))]
    ended = [Listener(f"https-{number}", True, host) for number, host in enumerate(_listened(seed))]
    listeners = (*plain, *ended)
    return Table(listeners, tuple(_route(seed, number, listeners) for number in range(seed.choice((2, 5, 12, 30)))))


def _listened(seed: random.Random) -> list[str]:
    """Mostly one listener for any host among them, so that requests find one."""
    some = sorted(seed.sample(_PATTERNS, seed.choice((0, 1, 2, 3))))
    return ["", *some] if not some or seed.random() < 0.7 else some


def _route(seed: random.Random, number: int, listeners: tuple[Listener, ...]) -> Route:
    return Route(
        f"r{number:02d}",
        f"2026-01-0{seed.randint(1, 3)}T00:00:00Z",
        tuple(sorted(seed.sample(_PATTERNS, seed.choice((0, 1, 1, 1, 2))))),
        tuple(tuple(_match(seed) for _ in range(seed.choice((1, 1, 2)))) for _ in range(seed.choice((1, 2, 3)))),
        seed.choice(listeners).name if seed.random() < 0.15 else None,
    )


def _match(seed: random.Random) -> Match:
    kind = seed.choice(("Exact", "PathPrefix", "PathPrefix", "PathPrefix", "RegularExpression"))
    return Match(
        kind,
        seed.choice(_PATHS if kind != "RegularExpression" else tuple(_REGEXES)),
        seed.choice((None, None, *_METHODS)),
        tuple(_text(seed, name) for name in _NAMES if seed.random() < 0.25),
        tuple(_text(seed, name) for name in ("p", "q") if seed.random() < 0.2),
    )


def _text(seed: random.Random, name: str) -> Text:
    if seed.random() < 0.4:
        return Text(name, seed.choice(tuple(_VALUE_REGEXES)), True)
    return Text(name, seed.choice(_VALUES))


def request(seed: random.Random, table_: Table) -> Request:
    """Mostly made from a rule of the table, then perhaps spoilt in one place: a near miss."""
    route = seed.choice(table_.routes)
    match = seed.choice(seed.choice(route.rules))
    host = _host(seed, table_, route)
    path = seed.choice(_REGEXES[match.path]) if match.path_type == "RegularExpression" else match.path
    if match.path_type == "PathPrefix" and seed.random() < 0.4:
        path = path.rstrip("/") + "/tail"
    method = match.method or seed.choice(_METHODS)
    headers, query = ({one.name: _value(seed, one) for one in some} for some in (match.headers, match.query))
    named = next((one for one in table_.listeners if one.name == route.section), None)
    tls = named.tls if named is not None else seed.random() < 0.5
    sni = host if tls else None
    spoilt = seed.random()
    if spoilt < 0.08:
        host = seed.choice(_HOSTS)  # with TLS the name of the handshake stays: perhaps another listener's
    elif spoilt < 0.16:
        path = (path.rstrip("/") or "/") + "x"
    elif spoilt < 0.24:
        headers, query = (
            {name: seed.choice(("9", f"{value}9", f"9{value}")) for name, value in some.items()}
            for some in (headers, query)
        )
    elif spoilt < 0.32:
        method = seed.choice(_METHODS)
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return Request(host, path, text, method, tuple(headers.items()), sni)


def _host(seed: random.Random, table_: Table, route: Route) -> str:
    """A host of the route; where it names none, one of a listener's."""
    names = route.hostnames or tuple(one.hostname for one in table_.listeners if one.hostname) or _HOSTS
    return seed.choice(names).replace("*", seed.choice(("w", "w.v")))


def _value(seed: random.Random, text: Text) -> str:
    return seed.choice(_VALUE_REGEXES[text.value]) if text.regex else text.value
