"""A golden case's requests as explain is asked them, and whether what it says can be what the case expects.

Each of these expectations was answered so by the real Envoy (tests/golden).
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.history.explain import Answer, Config, Kind, answer
from engine.history.explain import Request as Asked
from engine.history.explain.backend import endpoints
from engine.ref import Ref
from tests.golden.case import PLACEHOLDER, Request

_BY_BACKEND = {Kind.FORWARDED, Kind.STREAMED}
_ANSWERED = {200, 101, 503}
"""What a backend may answer, and what is answered for one that cannot be reached."""


def asked(request: Request) -> Asked:
    """The same request."""
    headers = dict(request.headers)
    if request.scheme.startswith("grpc"):
        headers.setdefault("content-type", "application/grpc")
    if request.websocket:
        headers |= {"connection": "upgrade", "upgrade": "websocket"}
    sni = request.sni if request.sni is not None else request.host
    return Asked(
        "POST" if request.scheme.startswith("grpc") else request.method,
        request.host,
        request.path,
        request.port,
        sni if request.scheme in {"https", "grpcs"} else None,
        tuple(headers.items()),
        request.proxied or "127.0.0.1",
        request.client,
    )


def said(configs: Mapping[Ref, Config], request: Request) -> Answer | None:
    """What the one Gateway that listens there answers; None where several do."""
    every = [answer(one, asked(request)) for one in configs.values()]
    found = [one for one in every if one.listener] or every[:1]
    return found[0] if len(found) == 1 else None


def disagreement(config: Config, request: Request, found: Answer) -> str:
    """What of the case's expectation cannot be; "" for nothing."""
    wanted, kinds = request.expect, {one.kind for one in found.outcomes}
    if wanted.refused:
        return "" if Kind.REFUSED in kinds else "it is refused"
    statuses = {one.status for one in found.outcomes}
    may_be = wanted.status in _ANSWERED if kinds & _BY_BACKEND else request.scheme.startswith("grpc")
    if wanted.status is not None and wanted.status not in statuses and not may_be:
        return f"status {wanted.status}"
    addresses = {one.address for cluster in found.outcomes for one in endpoints(config, cluster.cluster) or ()}
    if wanted.backend and addresses and PLACEHOLDER + wanted.backend not in addresses:
        return f"backend {wanted.backend}"
    received = wanted.received
    for name, value in (("path", received.path), ("host", received.host)):
        told = {getattr(one, name) for one in found.outcomes if one.kind is Kind.FORWARDED}
        if value is not None and told and value not in told and None not in told:
            return f"{name} {value} at the backend"
    location = next((value for name, value in wanted.headers.items() if name.lower() == "location"), None)
    if location and Kind.REDIRECTED in kinds and location not in {one.location for one in found.outcomes}:
        return f"location {location}"
    return ""
