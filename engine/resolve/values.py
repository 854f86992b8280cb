"""What the resolver's queries answer: resolved values, types only; it knows neither manifests nor Envoy messages.

Everything is frozen and comparable: an equal answer stops a rerun. Invalid is data: it keeps its weight and reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.ref import Ref
from engine.resolve.endpoint import Endpoint
from engine.resolve.way import Selection

MILLION: Final = 1_000_000
"""The finest parts in which Envoy takes a share of the requests."""


class PathType(StrEnum):
    """HTTPPathMatch types, as the Gateway API spells them."""

    EXACT = "Exact"
    PREFIX = "PathPrefix"
    REGEX = "RegularExpression"


class Protocol(StrEnum):
    """How a backend is spoken to."""

    HTTP1 = "http1"
    H2C = "h2c"
    WEBSOCKET = "ws"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is not as its author wished: the reason of a condition and a message that names the remedy."""

    reason: str
    message: str


PENDING: Final = "Pending"
"""The reason of what is not a problem yet: something is still being read."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands against a route: references that reach nothing, why none of it is served, or why only a part is."""

    unresolved: tuple[Problem, ...] = ()
    refused: tuple[Problem, ...] = ()
    partly: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class StringMatch:
    """A header or query parameter match: exact, or a regular expression (RE2, whole string)."""

    name: str
    value: str
    regex: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One match of a rule. `method` "" matches any; `rank` sorts as text, what the kind prefers first.

    Of a path that is a regular expression only what lies below the prefix `within` is matched; "" is no bound.
    """

    path_type: PathType
    path: str
    method: str = ""
    headers: tuple[StringMatch, ...] = ()
    query: tuple[StringMatch, ...] = ()
    rank: str = ""
    within: str = ""


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """HTTPHeaderFilter: names lower-cased in `remove`; `set` overwrites, `add` appends. Values: Envoy's formats."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathChange:
    """HTTPPathModifier: exactly one of `full` and `prefix` is not None; `matched` is the prefix to replace."""

    full: str | None = None
    prefix: str | None = None
    matched: str = "/"


@dataclass(frozen=True, slots=True)
class Redirect:
    """RequestRedirect. None means: as in the request (the port then follows the specification's table).

    `says_port`: the port is written out even where it is the scheme's well-known one.
    """

    scheme: str | None = None
    hostname: str | None = None
    port: int | None = None
    path: PathChange | None = None
    status: int = 302
    says_port: bool = False


@dataclass(frozen=True, slots=True)
class Rewrite:
    """URLRewrite."""

    hostname: str | None = None
    path: PathChange | None = None


@dataclass(frozen=True, slots=True)
class Cors:
    """HTTPCORSFilter. `max_age` in seconds. Origins, methods and headers as written, "*" included."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 5


@dataclass(frozen=True, slots=True)
class Timeouts:
    """HTTPRouteTimeouts in milliseconds; 0 disables, None is not set."""

    request: int | None = None
    backend_request: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """HTTPRouteRetry; `backoff` in milliseconds."""

    codes: tuple[int, ...] = ()
    attempts: int = 1
    backoff: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """SessionPersistence. `kind` is "Cookie" or "Header"; `lifetime` seconds of a permanent cookie, None: session."""

    kind: str
    name: str
    lifetime: int | None = None
    path: str = "/"


@dataclass(frozen=True, slots=True)
class HashPolicy:
    """What of a request decides its host. `kind` is "header", "cookie" or "source" (the client's address).

    `ttl` in milliseconds, 0 for as long as the session, None where no cookie is made; `attributes` are (name, value).
    """

    kind: str
    name: str = ""
    path: str = ""
    ttl: int | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    terminal: bool = False


class Over(StrEnum):
    """What a route needs of a backend, where the backend itself does not say it."""

    ANY = ""
    HTTP2 = "http2"
    UDP = "udp"
    RAW = "raw"
    """Whatever TLS there is, is the client's own."""


@dataclass(frozen=True, slots=True)
class BackendKey:
    """A backend as an Envoy cluster: a Service port, or a kgateway Backend (port 0)."""

    ref: Ref
    port: int
    over: Over = Over.ANY


@dataclass(frozen=True, slots=True)
class Destination:
    """A backendRef of a rule. With a `problem` its share of the requests is answered with 500.

    What its own filters ask for comes beside the rule's, and where both say the same, instead of it. `filtered` is the
    type of a Backend whose requests have to pass a filter of that type.
    """

    weight: int
    backend: BackendKey | None
    problem: Problem | None = None
    protocol: Protocol = Protocol.HTTP1
    request_headers: HeaderChange = HeaderChange()
    response_headers: HeaderChange = HeaderChange()
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    hashes: tuple[HashPolicy, ...] = ()
    filtered: str = ""


@dataclass(frozen=True, slots=True)
class Mirror:
    """RequestMirror to a valid backend; `fraction` is (numerator, denominator)."""

    backend: BackendKey
    fraction: tuple[int, int] = (100, 100)


@dataclass(frozen=True, slots=True)
class Direct:
    """A DirectResponse: `body` as it is, or what Envoy makes of the format in `text` or `json` (an object's JSON)."""

    status: int
    body: str = ""
    text: str = ""
    json: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, resolved: what happens to a request that one of its matches chose.

    `failure` is the HTTP status of what no backend can be asked for. With `replaced` the rule is invalid as a whole and
    answers so to all that it matches. What it `delegates` to takes its requests, `destinations` those that are left.
    `sources` are objects beside the route that it is made of, with generations.
    """

    name: str = ""
    destinations: tuple[Destination, ...] = ()
    redirect: Redirect | None = None
    direct: Direct | None = None
    rewrite: Rewrite | None = None
    request_headers: HeaderChange = HeaderChange()
    response_headers: HeaderChange = HeaderChange()
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    timeouts: Timeouts = Timeouts()
    retry: Retry | None = None
    session: Session | None = None
    hashes: tuple[HashPolicy, ...] = ()
    replaced: Problem | None = None
    failure: int = 500
    delegates: tuple[Selection, ...] = ()
    sources: tuple[tuple[Ref, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One match of one rule of one route, as it stands in a virtual host.

    `order` sorts as text in the specification's precedence (exact, longest prefix, method, headers, query, oldest,
    namespace/name, rule, match); `name` is kgateway's Envoy route name without the index. `variant` tells entries of
    one match apart. `share` is what it takes of the requests that match, in millionths: from, and up to.
    """

    route: Ref
    generation: int
    rule_index: int
    match_index: int
    match: Match
    rule: Rule
    order: str
    name: str
    variant: str = ""
    share: tuple[int, int] = (0, MILLION)


@dataclass(frozen=True, slots=True)
class BackendTls:
    """How a backend is spoken to over TLS.

    SNI `hostname`, one of `names` ("Hostname" or "URI", and the name) in its certificate, which `bundle` (PEM; "" for
    the system's) has signed. `sealed`: the bundle must not leave in clear. `client` is the SDS name of a certificate of
    the proxy's own, "" for none.
    """

    policy: Ref
    hostname: str
    names: tuple[tuple[str, str], ...]
    bundle: str
    sealed: bool = False
    client: str = ""


@dataclass(frozen=True, slots=True)
class Nature:
    """What a type of Backend asks of its cluster beyond addresses: the base of each type's own.

    `secrets` are the Secrets that it is made of: then texts in it are sealed. `tls` is how it is spoken to, where no
    policy says so. With `finds_hosts` its cluster finds and chooses hosts itself. `companion` is another that
    it needs, "" for none.
    """

    secrets: tuple[Ref, ...] = ()
    tls: BackendTls | None = None
    finds_hosts: bool = False
    companion: str = ""


@dataclass(frozen=True, slots=True)
class Backend:
    """A resolved backend. `dns`: its addresses stand in the cluster, and Envoy resolves names; else EDS endpoints."""

    key: BackendKey
    protocol: Protocol
    endpoints: tuple[Endpoint, ...]
    dns: bool = False
    tls: BackendTls | None = None
    nature: Nature | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """What clients of a port must show: a certificate of its authorities; `insecure` lets in those without, too.

    `optional` lets in those who show none. With a `section` they are the clients of one listener there.
    """

    port: int
    insecure: bool
    section: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class FilterChain:
    """What one HTTPS listener contributes to its port: SNI `server_name` ("" for any) and certificates in order."""

    name: str
    server_name: str
    route_config: str
    secrets: tuple[str, ...]
    client: Client | None = None


@dataclass(frozen=True, slots=True)
class EnvoyListener:
    """One port of a Gateway, as far as the Gateway alone says what it is.

    Plain HTTP with one RouteConfiguration ("" for none), HTTPS with a chain per listener. Chains of routes come beside.
    """

    name: str
    port: int
    tls: bool
    route_config: str
    chains: tuple[FilterChain, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamChain:
    """What takes a port's connections of one SNI (`server_name` "" for any) to clusters: (name, weight) each."""

    name: str
    server_name: str
    clusters: tuple[tuple[str, int], ...]
    secrets: tuple[str, ...] | None = None
    """Of the certificates with which it ends TLS; None where it does not."""
    by_client: bool = False
    """Whether the client's address is hashed, for clusters that choose their hosts by hashes."""


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """A hostname of a RouteConfiguration. `status` answers every request with that code (421), 0 routes."""

    name: str
    route_config: str
    hostname: str
    domains: tuple[str, ...]
    status: int = 0
    require_tls: bool = False
