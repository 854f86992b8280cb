"""Seals secret values: deterministic authenticated encryption, so that equal states give equal bytes.

It must never log or raise with a value in clear.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

PREFIX = "sealed:v1:"
KEY_BYTES = 64
"""AES-SIV with two 256-bit keys (RFC 5297)."""


class UnsealError(ValueError):
    """The value was not sealed with this key, or was changed since."""


class Sealer:
    """Seals and unseals with one key of `KEY_BYTES` bytes; raises ValueError for a key of another length."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            msg = f"a sealing key has {KEY_BYTES} bytes, this one has {len(key)}"
            raise ValueError(msg)
        self._siv = AESSIV(key)
        self._root = hashlib.blake2b(key, digest_size=32, person=b"penstock-derive").digest()
        self._hash_key = hashlib.blake2b(key, digest_size=32, person=b"penstock-hash").digest()

    def seal(self, clear: bytes, context: bytes = b"") -> bytes:
        """Encrypt; the same input gives the same output. `context` must be the same when unsealing."""
        # AES-SIV of the library refuses an empty message, so every message has one byte in front.
        return self._siv.encrypt(b"\1" + clear, [context])

    def unseal(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Decrypt; raises UnsealError when the key or the context is another, or the bytes were changed."""
        try:
            clear = self._siv.decrypt(sealed, [context])
        except (InvalidTag, ValueError) as error:
            msg = "sealed with another key, or damaged"
            raise UnsealError(msg) from error
        return clear[1:]

    def seal_text(self, clear: bytes) -> str:
        """A sealed value as text, for JSON."""
        return PREFIX + base64.b64encode(self.seal(clear)).decode()

    def unseal_text(self, text: str) -> bytes:
        """Read back `seal_text`; raises UnsealError."""
        if not text.startswith(PREFIX):
            msg = "not a sealed value"
            raise UnsealError(msg)
        try:
            sealed = base64.b64decode(text[len(PREFIX) :])
        except ValueError as error:
            msg = "damaged: not base64"
            raise UnsealError(msg) from error
        return self.unseal(sealed)

    def derived(self, purpose: str) -> bytes:
        """A secret of its own for each purpose (64 hexadecimal digits), from which no other follows, nor the key."""
        return hashlib.blake2b(purpose.encode(), digest_size=32, key=self._root).hexdigest().encode()

    def digest(self, clear: bytes) -> str:
        """A keyed content hash (blake2b-128, hex) that may leave without telling the content."""
        return hashlib.blake2b(clear, digest_size=16, key=self._hash_key).hexdigest()
