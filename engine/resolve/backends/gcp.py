"""GCP: a service of Google Cloud, called over TLS with an identity token of the proxy's service account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.graph.reader import Json, Reader
from engine.resolve.backend_type import At, BackendType
from engine.resolve.values import BackendKey, BackendTls, Nature, Protocol

METADATA_SERVER: Final = "gcp_authn"
"""The cluster that the filter asks for tokens (kgateway's name)."""


@dataclass(frozen=True, slots=True)
class Gcp(Nature):
    """The service at `host`, and for whom its token is."""

    host: str = ""
    audience: str = ""


def _protocol(graph: Reader, block: Json, key: BackendKey) -> Protocol:  # noqa: ARG001  as every type's
    return Protocol.HTTP1


def _host(block: Json) -> str:
    return str(block.get("host", ""))


def _nature(graph: Reader, block: Json, key: At) -> Gcp:  # noqa: ARG001  as every type's
    host = _host(block)
    tls = BackendTls(key.backend.ref, host, (("Hostname", host),), "")
    return Gcp(tls=tls, companion=METADATA_SERVER, host=host, audience=str(block.get("audience") or f"https://{host}"))


BACKEND_TYPE = BackendType("gcp", _protocol, nature=_nature, hostname=_host, inside=True, filtered=True)
