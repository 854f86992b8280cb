"""What a client asks, and what of it Envoy's routes look at. It knows no config."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_JOINED: Final = {
    *("accept", "authorization", "cache-control", "connection", "content-type", "origin", "referer", "te", "upgrade"),
    *("user-agent", "via", "x-forwarded-for", "x-forwarded-proto", "x-request-id", "access-control-request-headers"),
    *("access-control-request-method", "accept-encoding"),
}
"""Headers that Envoy keeps as one whatever a client sends."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a client sends it.

    `port` is the listener's; `host` what stands in the header of that name, perhaps with a port; `path` begins with a
    slash and may have a query. `headers` stand in the order in which they are sent, and may repeat. `sni` is the name
    in the TLS handshake, None without TLS, "" of a handshake without one. `client` is the address that the connection
    comes from. `certificate`: the client shows one that the listener takes.
    """

    method: str
    host: str
    path: str
    port: int
    sni: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    client: str = "127.0.0.1"
    certificate: bool = False

    @property
    def scheme(self) -> str:
        """Of the connection."""
        return "http" if self.sni is None else "https"


def request_of(
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    port: int | None = None,
    sni: str | None = None,
) -> Request:
    """The request that a client makes of a URL; `port` where the listener's is another one than the URL says.

    Raises ValueError in words for what is no URL of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        msg = f"{url!r} is no URL: write it as in https://shop.example.com/pay"
        raise ValueError(msg)
    try:
        said = parts.port
    except ValueError:
        msg = f"{url!r} has no port: a port is a number up to 65535"
        raise ValueError(msg) from None
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    given = tuple(headers)
    host = next((value for name, value in given if name.lower() == "host"), parts.netloc.rpartition("@")[2])
    rest = tuple((name, value) for name, value in given if name.lower() != "host")
    name = sni if sni is not None else parts.hostname
    return Request(
        method, host, path, port or said or _PORTS[parts.scheme], name if parts.scheme == "https" else None, rest
    )


@dataclass(slots=True)
class Seen:
    """A request as routes and filters see it, after what the listener does to it first.

    `headers` by name in lower case, several of one name joined by commas, with :method, :path, :authority and :scheme;
    `repeated` has those several one by one. `client` is whom the listener believes the request to come from.
    """

    headers: dict[str, str] = field(default_factory=dict)
    client: str = ""
    repeated: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """A header's value; Envoy knows :authority by its older name, too."""
        lower = name.lower()
        return self.headers.get(":authority" if lower == "host" else lower)

    def values(self, name: str) -> tuple[str, ...]:
        """A header's values, as many as there are headers of the name: since Envoy 1.39 each is held by itself."""
        value = self.header(name)
        return self.repeated.get(name.lower(), () if value is None else (value,))

    def put(self, name: str, value: str | None, *, beside: bool = False) -> None:
        """Set a header, or with None take it away; `beside` those that are there."""
        before = self.values(name) if beside else ()
        self.repeated.pop(name, None)
        if value is None:
            self.headers.pop(name, None)
            return
        self.headers[name] = ",".join((*before, value))
        if before and name not in _JOINED:
            self.repeated[name] = (*before, value)

    @property
    def path(self) -> str:
        """Without its query."""
        return without_query(self.headers[":path"])

    @property
    def host(self) -> str:
        """As it stands in the header."""
        return self.headers.get(":authority", "")

    @property
    def method(self) -> str:
        """As it was sent."""
        return self.headers[":method"]

    @property
    def is_upgrade(self) -> bool:
        """Whether a client asks to change the protocol; that it offers HTTP/2 in clear Envoy takes for nothing."""
        tokens = [one.strip().lower() for one in self.headers.get("connection", "").split(",")]
        return "upgrade" in tokens and self.headers.get("upgrade", "").lower() not in ("", "h2c")

    @property
    def query(self) -> dict[str, str]:
        """The first value of each parameter, as it was written: Envoy decodes none."""
        found: dict[str, str] = {}
        for one in self.headers[":path"].partition("?")[2].split("&"):
            name, _, value = one.partition("=")
            found.setdefault(name, value)
        return found


def without_query(path: str) -> str:
    """A path up to its query or fragment."""
    return path.partition("?")[0].partition("#")[0]
