"""Signatures of change sets: what one covers, and whether it is good; it holds no private key.

A signature is of the record's bytes as they stand in the log: whoever reads them again finds the same verdict.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_BYTES: Final = 32
_PURPOSE: Final = b"penstock.change1"
"""Domain separation: blake2b's personalisation, so that no digest made for anything else is one of these."""


@dataclass(frozen=True, slots=True)
class Signature:
    """`key` is an ed25519 public key in base64, `value` its signature of `digest`.

    `sequence` rises with each record of a signer: a copy of an older one is known by it.
    """

    key: str
    sequence: int
    digest: bytes
    value: bytes

    def is_good(self) -> bool:
        """Whether the key signed this record."""
        try:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(self.key, validate=True)).verify(
                self.value, self.digest
            )
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


UNREADABLE: Final = Signature("", 0, b"", b"")
"""Somebody wrote something else in its place."""


def digest(key: str, sequence: int, value: bytes) -> bytes:
    """What is signed: the record's value (domain, cluster, source, id, part, parts and changes stand in it), and when.

    Each part has its length before it, so that no two triples give the same bytes.
    """
    told = hashlib.blake2b(digest_size=32, person=_PURPOSE)
    for part in (key.encode(), str(sequence).encode(), value):
        told.update(len(part).to_bytes(8, "big"))
        told.update(part)
    return told.digest()


def is_key(text: str) -> bool:
    """Whether it is an ed25519 public key in base64, as it is written everywhere: keys are compared as text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == KEY_BYTES and base64.b64encode(raw).decode() == text
