"""Encodes a message into a fragment, once, and names its content; it must not let a secret out in clear."""

from __future__ import annotations

import hashlib

from betterproto2 import Message

from engine.envoy.wire import encode
from engine.ref import Ref
from engine.seal import Sealer
from engine.update import Fragment, FragmentKey

Provenance = tuple[tuple[Ref, int], ...]


def content_hash(payload: bytes) -> str:
    """blake2b-128 in hex: the same on every machine."""
    return hashlib.blake2b(payload, digest_size=16).hexdigest()


def fragment(
    key: FragmentKey,
    message: Message,
    *,
    parent: str = "",
    order: str = "",
    provenance: Provenance = (),
    sealer: Sealer | None = None,
) -> Fragment:
    """A fragment of a message; with a sealer its payload is sealed and its version keyed."""
    payload = encode(message)
    if sealer is None:
        return Fragment(key, payload, content_hash(payload), parent, order, provenance)
    sealed = sealer.seal(payload, str(key).encode())
    return Fragment(key, sealed, sealer.digest(payload), parent, order, provenance, sealed=True)
