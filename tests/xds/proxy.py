"""A proxy in small: it follows the delta protocol as Envoy does, as far as was measured, and knows what it holds.

It subscribes to what its config names, waits for the endpoints of a cluster before it acknowledges the cluster,
ignores removals but of clusters and listeners, applies what is good beside what is bad when it rejects a response
for its meaning and nothing when it rejects it for its form.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from engine.fields import fields
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ORDER, ROUTES, SECRET, Request, parse_response
from tests.xds.config import names_in_listener

WILD = (CLUSTER, LISTENER)
FORM, MEANING = "malformed", "senseless"
"""Marks of what every proxy rejects; `odd0` is rejected by proxy 0 alone, for its meaning."""
STUCK, GRUDGED = "stuck", "grudged"
"""Marks of what is taken, but whose removal is rejected: what is stuck is kept, what is grudged goes all the same."""


@dataclass
class Proxy:
    """`outbox` are requests on their way; `held` is what it runs: type -> name -> (version, body)."""

    number: int
    outbox: list[Request] = field(default_factory=list)
    held: dict[str, dict[str, tuple[str, bytes]]] = field(default_factory=lambda: {one: {} for one in ORDER})
    names: dict[str, set[str]] = field(default_factory=lambda: {one: set() for one in ORDER})
    wild: set[str] = field(default_factory=lambda: set(WILD))
    warming: set[str] = field(default_factory=set)
    renewing: set[tuple[str, str]] = field(default_factory=set)
    """Asked for again of its own will, and not answered yet."""
    unmoved: set[tuple[str, str]] = field(default_factory=set)
    """What it was told to remove and rejected, with nothing said of it since."""
    _held_back: str | None = None
    """The nonce of a response of clusters that wait for endpoints."""
    _started: bool = False

    # -- what it wants ----------------------------------------------------------------------------------------------

    def wants(self, type_url: str, name: str) -> bool:
        return type_url in self.wild or name in self.names[type_url]

    def refuses(self, body: bytes) -> bool:
        return self._malformed(body) or MEANING.encode() in body or f"odd{self.number}".encode() in body

    @staticmethod
    def _malformed(body: bytes) -> bool:
        return FORM.encode() in body

    # -- connections ------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """A new stream: every type that it ever asked for again, with what it has."""
        self.outbox, self._held_back = [], None
        # It waits 15 s for endpoints that were lost on the way, and goes on without.
        self.warming.clear()
        self.renewing.clear()
        self.unmoved.clear()
        self.wild = set(WILD)
        for type_url in ORDER if self._started else (CLUSTER,):
            held = {name: version for name, (version, _) in self.held[type_url].items()}
            names = sorted(self.names[type_url])
            if names or type_url in self.wild:
                self.outbox.append(Request(type_url=type_url, subscribe=names, versions=held))

    def _subscribe(self, type_url: str, wanted: set[str]) -> None:
        old = self.names[type_url]
        if wanted == old:
            return
        self.names[type_url] = wanted
        for name in old - wanted:
            self.held[type_url].pop(name, None)
        self.outbox.append(Request(type_url=type_url, subscribe=sorted(wanted - old), unsubscribe=sorted(old - wanted)))

    def renew(self, type_url: str) -> None:
        """Drop what it has of a type and ask for it again."""
        names = sorted(self.names[type_url])
        if names:
            self.held[type_url].clear()
            self.renewing |= {(type_url, name) for name in names}
            self.outbox.append(Request(type_url=type_url, unsubscribe=names))
            self.outbox.append(Request(type_url=type_url, subscribe=names))

    def turn_wildcard(self) -> None:
        """Stop to want all listeners, or want them again."""
        if not self._started:
            return
        if LISTENER in self.wild:
            self.wild.discard(LISTENER)
            self.held[LISTENER].clear()
            self.outbox.append(Request(type_url=LISTENER, unsubscribe=["*"]))
        else:
            self.wild.add(LISTENER)
            self.renewing.add((LISTENER, "*"))
            self.outbox.append(Request(type_url=LISTENER, subscribe=["*"]))
        self._follow_listeners()

    # -- responses --------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take a response, apply what can be, answer."""
        response = parse_response(data)
        type_url, given = response.type_url, response.resources
        bad = [name for name, (_, body) in given.items() if self.refuses(body)]
        whole = not any(self._malformed(body) for _, body in given.values())
        self.unmoved -= {(type_url, name) for name in (*given, *response.removed)}
        for name, one in given.items():
            if whole and name not in bad and self.wants(type_url, name):
                self._apply(type_url, name, one)
            elif bad and name in bad and type_url == ENDPOINTS:
                break  # What stands behind it is not applied.
        if type_url == ENDPOINTS:
            self.warming -= given.keys()
        if whole and type_url in WILD:
            bad += self._removed(type_url, response.removed)
        self.renewing -= {(type_url, name) for name in (*given, "*")}
        error = f"no: {', '.join(bad)}" if bad else None
        self._answer(Request(type_url=type_url, nonce=response.nonce, error=error))

    def _removed(self, type_url: str, names: list[str]) -> list[str]:
        """Remove what can be; answers what it does not want to be told so."""
        bad = []
        for name in names:
            body = self.held[type_url].get(name, ("", b""))[1]
            if STUCK.encode() in body or GRUDGED.encode() in body:
                bad.append(name)
                self.unmoved.add((type_url, name))
            if STUCK.encode() not in body:
                self.held[type_url].pop(name, None)
                if type_url == CLUSTER:
                    self.warming.discard(name)
        return bad

    def _apply(self, type_url: str, name: str, one: tuple[str, bytes]) -> None:
        if type_url == CLUSTER and b" eds" in one[1] and self.held[CLUSTER].get(name) != one:
            self.warming.add(name)
        self.held[type_url][name] = one

    def _answer(self, request: Request) -> None:
        if request.type_url == CLUSTER:
            self._held_back = None
            ends = {name for name, (_, body) in self.held[CLUSTER].items() if b" eds" in body}
            self._subscribe(ENDPOINTS, ends)
            if self.warming and request.error is None:
                self._held_back = request.nonce
            else:
                self.outbox.append(request)
            if not self._started:
                self._started = True
                self.outbox.append(Request(type_url=LISTENER))
            return
        self.outbox.append(request)
        if request.type_url == LISTENER:
            self._follow_listeners()
        if request.type_url == ENDPOINTS and not self.warming and self._held_back is not None:
            self.outbox.append(Request(type_url=CLUSTER, nonce=self._held_back))
            self._held_back = None

    def _follow_listeners(self) -> None:
        named = [names_in_listener(body) for _, body in self.held[LISTENER].values()]
        self._subscribe(SECRET, set().union(*(secrets for _, secrets in named)))
        self._subscribe(ROUTES, set().union(*(tables for tables, _ in named)))


def names_sent(data: bytes) -> list[str]:
    """Every name that a response sets or removes, as often as it stands there."""
    found = []
    for number, value in fields(data):
        if number == 2:
            assert isinstance(value, bytes)
            found += [bytes(one).decode() for at, one in fields(value) if at == 3]  # type: ignore[arg-type]
        elif number == 6:
            found.append(bytes(value).decode())  # type: ignore[arg-type]
    return found


def twice(names: list[str]) -> list[str]:
    """Those that stand there more than once."""
    return [name for name, times in Counter(names).items() if times > 1]
