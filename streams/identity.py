"""Keys and tokens of one data directory, and the lock that says who runs in it."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.seal import KEY_BYTES, Sealer
from streams.data_directory import mark
from streams.disk import sync_folder


class IdentityError(RuntimeError):
    """A key cannot be used, or the directory is taken; the message names the remedy."""


def sealing_key(path: Path) -> bytes:
    """The key in `path`, made on first use, readable by its owner only. Raises IdentityError."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = _made(path)
    except OSError as error:
        msg = f"the sealing key {path} cannot be read: {error.strerror}"
        raise IdentityError(msg) from error
    if len(key) != KEY_BYTES:
        msg = f"{path} is no sealing key ({len(key)} bytes, not {KEY_BYTES}): restore it from your backup"
        raise IdentityError(msg)
    return key


def _made(path: Path) -> bytes:
    try:
        return _make(path)
    except OSError as error:
        remedy = "name another data directory, or let the user that runs penstock write there"
        msg = f"the sealing key {path} cannot be made: {error.strerror}: {remedy}"
        raise IdentityError(msg) from error


def _make(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_bytes(KEY_BYTES)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    temporary.touch(mode=0o600)
    with temporary.open("wb") as file:
        file.write(key)
        file.flush()
        # What is sealed with it reaches the disk in no order with it: lost in a power cut, all that would be lost too.
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
        sync_folder(path.parent)
    except FileExistsError:
        # Another process was first: its key counts.
        return path.read_bytes()
    finally:
        temporary.unlink(missing_ok=True)
    return key


def sealer(path: Path) -> Sealer:
    """A sealer with the key in `path`."""
    return Sealer(sealing_key(path))


def proxy_token(key: bytes, gateway: str) -> str:
    """The bearer token by which a proxy proves that it is one of that gateway's."""
    return hmac.new(key, b"penstock-proxy\0" + gateway.encode(), hashlib.sha256).hexdigest()


def is_proxy_token(key: bytes, gateway: str, token: str) -> bool:
    """Whether the token is that gateway's."""
    return hmac.compare_digest(proxy_token(key, gateway).encode(), token.encode())


def replica(directory: Path) -> str:
    """The name of this replica among those that share a Kafka: its pod's, or the machine's with the data directory.

    It stays over a restart, so that what it had is its own again at once; no two that run at a time share one.
    """
    digest = hashlib.blake2b(str(directory.resolve()).encode(), digest_size=4).hexdigest()
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{digest}"


def holder(directory: Path, name: str = "lock") -> int | None:
    """The process that holds the directory; None when nobody does.

    The kernel is asked: taking the lock for a moment would refuse a run that starts just then.
    """
    path = directory / name
    try:
        inode = str(path.stat().st_ino)
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        is_held = any(one[1] == "FLOCK" and one[5].rpartition(":")[2] == inode for one in locks)
        return int(path.read_text()) if is_held else None
    except (OSError, ValueError):
        return None


@contextmanager
def lock(directory: Path, name: str = "lock") -> Iterator[None]:
    """Hold the data directory, or one role in it. Raises IdentityError when another process holds it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        mark(directory)
        opened = (directory / name).open("a+")
    except OSError as error:
        remedy = "name another one with --data, or let the user that runs penstock write there"
        msg = f"the data directory {directory} cannot be used ({error.strerror}): {remedy}"
        raise IdentityError(msg) from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            msg = f"{directory} is in use by process {file.read().strip() or '?'}: stop it, or name another --data"
            raise IdentityError(msg) from error
        # Who holds it is told as far as the disk has room: the lock itself needs none.
        with suppress(OSError):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield
