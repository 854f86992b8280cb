"""Signs what this process writes into the log, and knows how a signature stands in a record's headers.

It must never show a private key: not in a log line, an error or a representation.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from engine.signature import UNREADABLE, Signature, digest
from streams.disk import sync_folder
from streams.identity import IdentityError
from streams.ports import Outgoing, Record
from streams.reminder import Reminder
from streams.topics import Topic

_LOG = structlog.get_logger()
_HEADER: Final = "signature"
_SIGNED: Final = re.compile(rb"([A-Za-z0-9+/]{43}=) ([0-9]{1,18}) ([A-Za-z0-9+/]{86}==)")
"""The public key, the sequence and the signature."""
_OTHERS: Final = 0o027
"""Bits of a mode that a private key's file must not have. The group may read: so Kubernetes mounts Secrets."""


def _micros() -> int:
    return time.time_ns() // 1000


class Signer:
    """Signs with one key. Sequences are microseconds since 1970, or one more than the last where that is later.

    `load` is asked for the key when something is to be signed: who only reads need not be able to read it. It may raise
    IdentityError.
    """

    def __init__(self, load: Callable[[], Ed25519PrivateKey], micros: Callable[[], int] = _micros) -> None:
        self._load = load
        self._key: Ed25519PrivateKey | None = None
        self._reminder = Reminder()
        self._micros = micros
        self._last = 0

    def renew(self) -> None:
        """Load the key anew, it may have been replaced: the one before signs on as long as no other can be loaded."""
        if self._key is None:
            return
        try:
            self._key = self._load()
        except IdentityError as error:
            if self._reminder.is_due(str(error)):
                _LOG.error("the signing key cannot be loaded anew: the one before signs on", reason=str(error))

    @property
    def public(self) -> str:
        """The public key. Raises IdentityError."""
        return public_key(self._private())

    def _private(self) -> Ed25519PrivateKey:
        if self._key is None:
            self._key = self._load()
        return self._key

    def after(self, sequence: int) -> None:
        """What is signed from now on comes after this one, though the clock was put back."""
        self._last = max(self._last, sequence)

    def signed(self, record: Outgoing) -> Outgoing:
        """A record of penstock.changes with its signature; any other as it is."""
        if record.topic is not Topic.CHANGES or record.value is None:
            return record
        self._last = max(self._last + 1, self._micros())
        public = self.public
        value = self._private().sign(digest(public, self._last, record.value))
        words = (public, str(self._last), base64.b64encode(value).decode())
        return record._replace(headers=(*record.headers, (_HEADER, " ".join(words).encode())))


def signature_of(record: Record) -> Signature | None:
    """The signature that a record carries; UNREADABLE for whatever else somebody wrote in its place."""
    found = [value for name, value in record.headers if name == _HEADER]
    if not found:
        return None
    words = _SIGNED.fullmatch(found[0] or b"")
    if words is None or len(found) > 1:
        return UNREADABLE
    key, sequence = words[1].decode(), int(words[2])
    return Signature(key, sequence, digest(key, sequence, record.value or b""), base64.b64decode(words[3]))


def public_key(private: Ed25519PrivateKey) -> str:
    """The public key in base64, as Cluster objects and PENSTOCK_TRUSTED_KEYS have it."""
    return base64.b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key in a PEM file. Raises IdentityError with the remedy."""
    try:
        mode, text = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        msg = f"the signing key {path} cannot be read: {error.strerror}: `penstock keys new` makes one"
        raise IdentityError(msg) from error
    if mode & _OTHERS:
        msg = f"the signing key {path} can be read by others (mode {mode & 0o777:o}): chmod 600 {path}"
        raise IdentityError(msg)
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        # Without its cause: that might quote what stands in the file.
        msg = f"{path} is no ed25519 private key as PEM without a password: restore it, or make one: penstock keys new"
        raise IdentityError(msg) from None
    return key


def make_key(path: Path) -> Ed25519PrivateKey:
    """Make a key that only its owner can read; never over another one. Raises IdentityError."""
    private = Ed25519PrivateKey.generate()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(mode=0o600)
        with temporary.open("wb") as file:
            file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
        sync_folder(path.parent)
    except FileExistsError as error:
        msg = f"{path} is there already, and records may be signed with it: name another file, or move it away"
        raise IdentityError(msg) from error
    except OSError as error:
        msg = f"the signing key {path} cannot be made: {error.strerror}"
        raise IdentityError(msg) from error
    finally:
        temporary.unlink(missing_ok=True)
    return private
