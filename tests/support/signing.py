"""A domain whose clusters sign: keys, signed records as they stand in the log, and what forgers make of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.engine import EngineSettings
from engine.events import Change, ChangeSet, Put
from engine.ref import Ref
from streams.codec import decode_change_set, encode_change_set
from streams.ports import Headers, Outgoing, Record
from streams.signing import Signer
from tests.support.manifests import TIME, put

HUB = "hub"


def key(number: int) -> Ed25519PrivateKey:
    """The same key for the same number."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def signer(number: int, start: int = 1) -> Signer:
    """A signer whose clock goes on by one with each record."""
    ticks = count(start)
    private = key(number)
    return Signer(lambda: private, lambda: next(ticks))


ROOT, EAST, WEST, STRANGER = 1, 2, 3, 4
TRUSTING = EngineSettings(
    shared_address=False,
    configuration_cluster=HUB,
    trusted_keys=(("", signer(ROOT).public),),
    domain="default",
)


def said(cluster: str, source: str, *changes: Change, name: str = "1") -> ChangeSet:
    """A change set of a source of a cluster."""
    return ChangeSet("default", cluster, source, name, TIME, "test", tuple(changes))


def of(cluster: str, one: Put) -> Put:
    """The same object in a cluster."""
    return replace(one, ref=one.ref._replace(cluster=cluster))


def cluster_object(name: str, *keys: str, generation: int = 1) -> Put:
    """The Cluster object that registers keys, in the configuration cluster."""
    made = put("penstock.dev", "v1alpha1", "Cluster", name, {"spec": {"publicKeys": list(keys)}}, generation)
    metadata = {name: value for name, value in made.object["metadata"].items() if name != "namespace"}
    return Put(Ref(HUB, "penstock.dev", "Cluster", "", name), {**made.object, "metadata": metadata})


def written(change_set: ChangeSet, by: Signer | None) -> Outgoing:
    """The one record of a change set."""
    (record,) = encode_change_set(change_set)
    return record if by is None else by.signed(record)


def read(record: Outgoing, offset: int = 0) -> ChangeSet:
    """What a resolver reads of it."""
    return decode_change_set(Record(record.topic, 0, offset, record.key, record.value, record.headers, 0))


def without_signature(record: Outgoing) -> Headers:
    """Its headers but the signature."""
    return tuple(one for one in record.headers if one[0] != "signature")


@dataclass
class Signers:
    """Those who sign, each with one sequence."""

    root: Signer = field(default_factory=lambda: signer(ROOT))
    east: Signer = field(default_factory=lambda: signer(EAST))
    west: Signer = field(default_factory=lambda: signer(WEST))
    stranger: Signer = field(default_factory=lambda: signer(STRANGER))
