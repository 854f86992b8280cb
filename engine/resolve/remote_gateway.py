"""Remote gateways: how what a cluster exports is reached from networks that do not reach its pods, and by whom.

Connections go whole through mutual TLS; its server name says which port of which Service they are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from engine.graph.reader import Reader
from engine.placement import Placement
from engine.ref import Ref
from engine.resolve.backends.priority_groups import Failover
from engine.resolve.certificate import SEALER
from engine.resolve.gateway import gateway_of_set
from engine.resolve.indexes import REMOTE_GATEWAYS
from engine.resolve.listener import listeners
from engine.resolve.manifest import REMOTE_GATEWAY
from engine.seal import Sealer
from engine.signing import KeyPair, begun, derived_key, number, private, signed

GATEWAYS: Final = "urn:penstock:gateway:"
"""A certificate's URI is this and a Gateway's ref: who shows it is one of its proxies, in the ref's own cluster.

Of proxies in another one, that cluster stands before the ref: what is looked at is the cluster that comes first.
"""
_PURPOSE: Final = "penstock clusters"
_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "penstock clusters")])
_BEGIN, _END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)


class Way(NamedTuple):
    """The way to a port of what another cluster exports: whose gateway, and what to ask it for."""

    cluster: str
    server_name: str


@dataclass(frozen=True, slots=True)
class Remote(Failover):
    """Of an import that has endpoints in other networks: the ways there, and (PEM) whom to trust on them."""

    ways: tuple[Way, ...] = ()
    authority: str = ""


class Place(NamedTuple):
    """A listener of a Gateway that is its cluster's remote gateway; `source` is what it stands in."""

    name: str
    port: int
    source: Ref


def server_name(service: Ref, port: int) -> str:
    """What names a port of an exported Service, by the number that its own cluster gives it."""
    return f"{port}.{service.name}.{service.namespace}.svc.clusterset.local"


def remote_gateways(graph: Reader, cluster: str) -> tuple[Ref, ...]:
    """The Gateways of a cluster that may have such listeners, of their own or of ListenerSets, sorted."""
    found = graph.find(REMOTE_GATEWAYS, cluster)
    named = {one if one.kind == "Gateway" else graph.get(gateway_of_set, one) for one in found}
    return tuple(sorted(one for one in named if one is not None))


def remote_listeners(graph: Reader, gateway: Ref) -> tuple[Place, ...]:
    """A Gateway's listeners that let in what comes from other networks."""
    found = graph.get(listeners, gateway) or ()
    return tuple(
        Place(one.name, one.port, one.source) for one in found if one.protocol == REMOTE_GATEWAY and one.serves
    )


def authority(graph: Reader, key: str) -> str:  # noqa: ARG001  a query takes both
    """PEM: who signs for the proxies of all clusters; "" without a sealing key."""
    sealer = graph.fact(SEALER)
    return _authority(sealer).decode() if isinstance(sealer, Sealer) else ""


def identity(sealer: Sealer, place: Placement) -> KeyPair:
    """What proxies show to those of other Gateways: derived of the sealing key, good as long as that is."""
    key = derived_key(sealer.derived(_PURPOSE), f"proxy {place}")
    uri = f"{GATEWAYS}{place.cluster}/{place.gateway}" if place.elsewhere else f"{GATEWAYS}{place.gateway}"
    name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    builder = begun(key, x509.BasicConstraints(ca=False, path_length=None), "digital_signature")
    builder = builder.subject_name(x509.Name([])).serial_number(number(key)).add_extension(name, critical=True)
    builder = builder.not_valid_before(_BEGIN).not_valid_after(_END)
    return KeyPair(signed(builder, _NAME, derived_key(sealer.derived(_PURPOSE), "authority")), private(key))


def _authority(sealer: Sealer) -> bytes:
    key = derived_key(sealer.derived(_PURPOSE), "authority")
    builder = begun(key, x509.BasicConstraints(ca=True, path_length=0), "key_cert_sign", "crl_sign")
    builder = builder.subject_name(_NAME).serial_number(1).not_valid_before(_BEGIN).not_valid_after(_END)
    return signed(builder, _NAME, key)
