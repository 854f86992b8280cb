"""The small alphabets that tables and requests are drawn from, so that they meet, and what an object is written as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.routing.written import HTTP, HTTPS

API = "gateway.networking.k8s.io"
OURS = "gateway.kgateway.dev"
TEAM = "team"
OTHER, STREAM, THROUGH, NOBODY = 8081, 9000, 9443, 9999
"""Ports: of HTTP, perhaps behind a proxy that says who is asking; of TCP; of TLS that is passed through; of nothing."""
WEB = (HTTP, OTHER, HTTPS)
HOSTS = ("a.example.com", "b.example.com", "x.a.example.com", "example.com", "other.org")
PATTERNS = (*HOSTS, "*.example.com", "*.a.example.com")
PATHS = ("/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/b/c")
REGEXES = {"/a.*": ("/a", "/a/b"), "/(a|b)/[a-z]+": ("/a/b", "/b/c"), "/a/b?": ("/a/", "/a/b"), "/.+/c": ("/b/c",)}
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD")
NAMES = ("x-one", "x-two", "x-early")
VALUES = ("1", "2")
KEYS = {"ann": "k-ann", "bob": "k-bob"}
"""Of clients, for apiKeyAuth."""
VALUE_REGEXES = {"[12]": ("1", "2"), "1.?": ("1", "12"), "(1|3).*": ("1", "3x"), ".*": ("", "1")}
TREATED = {
    "x-forwarded-proto": ("http", "https"),
    "x-forwarded-for": ("10.1.2.3", "10.1.2.3,127.0.0.1", "127.0.0.1", "192.0.2.9"),
    "x-request-id": ("some-id",),
    "x-envoy-retry-on": ("5xx",),
    "x-envoy-internal": ("true",),
    "x-envoy-original-path": ("/a",),
    "content-type": ("application/grpc", "text/plain"),
    "user-agent": ("curl",),
    "accept": ("a", "b", "a,b"),
    "upgrade": ("other", "websocket"),
    "te": ("trailers",),
    "cookie": ("a=1", "a=1; b=2"),
    "host": HOSTS[:2],
}
"""Headers that a proxy treats in a way of their own, with values that rules ask for."""


class Hint(NamedTuple):
    """What a rule takes: requests are made of it."""

    hosts: tuple[str, ...]
    path: str
    method: str | None
    headers: tuple[tuple[str, str], ...]
    query: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What a user writes, and what its rules take.

    `validates`: the Gateway asks for certificates of clients. `proxied`: OTHER is asked by a proxy that says for whom.
    """

    documents: list[dict[str, Any]]
    hints: list[Hint]
    validates: bool
    proxied: bool


def written(group: str, version: str, kind: str, name: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    """An object."""
    api = f"{group}/{version}" if group else version
    named = {"name": name, "namespace": "default", **metadata}
    return {"apiVersion": api, "kind": kind, "metadata": named, "spec": spec}
