"""The last state served, on disk and sealed: a proxy that starts while Kafka is away is served from it.

The file begins with everything and goes on with what changed, so that saving a change costs that change; it is written
anew only when what was appended outweighs the beginning. It must never be read half: a piece counts with those before
it, and only up to the last one that says an offset.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from engine.ref import parse_ref
from engine.seal import Sealer, UnsealError
from engine.update import Fragment, FragmentKey, parse_fragment_key
from streams.disk import sync_folder

_CONTEXT = b"penstock-snapshot-v2"
_SLICE = 100
"""Fragments a piece: 2 ms of work, after which others get their turn (20 µs a fragment, measured)."""
_SIZE = 4
_TAG = 16
"""A sealed piece begins with a tag that no other piece has: the next one is sealed in its context."""
_SPARE_BYTES = 1 << 20

Rows = Mapping[FragmentKey, Fragment | None]
"""Fragments set, and removed where None."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fragments of a domain up to an offset."""

    fragments: Mapping[FragmentKey, Fragment]
    offset: int


@dataclass(slots=True)
class SnapshotFile:
    """The file at `path` as this process writes it; one writer at a time."""

    path: Path
    sealer: Sealer
    _file: BinaryIO | None = None
    _tag: bytes = b""
    _begun: int = 0
    """Bytes of the beginning."""
    _bytes: int = 0

    @property
    def is_due(self) -> bool:
        """Whether it has to be replaced: what another process began is not gone on with."""
        return self._file is None or self._bytes > 2 * self._begun + _SPARE_BYTES

    async def replace(self, fragments: Sequence[Fragment], offset: int) -> None:
        """Write everything anew, atomically: a crash leaves the old file or the new one. Raises OSError."""
        self.close()
        await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.new")
        self._file, self._tag, self._bytes = temporary.open("wb"), b"", 0
        try:
            await self._write({one.key: one for one in fragments}, offset)
            temporary.replace(self.path)
            await asyncio.to_thread(sync_folder, self.path.parent)
        except BaseException:
            self.close()
            raise
        self._begun = self._bytes

    async def append(self, rows: Rows, offset: int) -> None:
        """Add what changed up to an offset; a crash leaves it out whole. Raises OSError."""
        try:
            await self._write(rows, offset)
        except BaseException:
            # Perhaps half written: nothing that came behind it would ever be read.
            self.close()
            raise

    def close(self) -> None:
        """Write no more to this file: the next has to be a new one."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    async def _write(self, rows: Rows, offset: int) -> None:
        if self._file is None:
            msg = "the snapshot was not begun"
            raise OSError(msg)
        for piece in _pieces(rows, offset):
            sealed = self.sealer.seal(piece, _CONTEXT + self._tag)
            self._tag = sealed[:_TAG]
            self._bytes += _SIZE + len(sealed)
            # In a thread, for a disk may take its time; and meanwhile others get their turn.
            await asyncio.to_thread(self._file.write, len(sealed).to_bytes(_SIZE, "big") + sealed)
        await asyncio.to_thread(_sync, self._file)


def load(path: Path, sealer: Sealer) -> Snapshot | None:
    """What the file says up to its last whole change; None when there is none, or sealed with another key."""
    fragments: dict[FragmentKey, Fragment] = {}
    rows: dict[FragmentKey, Fragment | None] = {}
    offset = -1
    try:
        for piece in _unsealed(path.read_bytes(), sealer):
            rows |= {one.key: one for one in map(_fragment, piece["set"])}
            rows |= {parse_fragment_key(key): None for key in piece["removed"]}
            if "offset" not in piece:
                continue
            offset = int(piece["offset"])
            for key, one in rows.items():
                if one is None:
                    fragments.pop(key, None)
                else:
                    fragments[key] = one
            rows = {}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Snapshot(fragments, offset) if offset >= 0 else None


def last_offset(path: Path, sealer: Sealer) -> int:
    """The offset of `load`, at a fraction of its cost: no fragment is made. -1 when there is none."""
    offset = -1
    try:
        for piece in _unsealed(path.read_bytes(), sealer):
            offset = int(piece.get("offset", offset))
    except (OSError, ValueError, TypeError, AttributeError):
        return -1
    return offset


def _pieces(rows: Rows, offset: int) -> Iterator[bytes]:
    """All rows in pieces, in their order; the last, an empty one, says the offset."""
    left = iter(rows.items())
    while some := list(islice(left, _SLICE)):
        yield orjson.dumps(
            {
                "set": [_row(one) for _, one in some if one is not None],
                "removed": [str(key) for key, one in some if one is None],
            }
        )
    yield orjson.dumps({"set": [], "removed": [], "offset": offset})


def _unsealed(data: bytes, sealer: Sealer) -> Iterator[Any]:
    """The pieces of a file, up to one that is cut short or damaged."""
    at, tag = 0, b""
    while at < len(data):
        size = int.from_bytes(data[at : at + _SIZE], "big")
        at += _SIZE
        try:
            yield orjson.loads(sealer.unseal(data[at : at + size], _CONTEXT + tag))
        except UnsealError:
            return
        tag = data[at : at + _TAG]
        at += size


def _row(one: Fragment) -> dict[str, object]:
    return {
        "key": str(one.key),
        "payload": base64.b64encode(one.payload).decode(),
        "version": one.version,
        "parent": one.parent,
        "order": one.order,
        "provenance": [[str(ref), generation] for ref, generation in one.provenance],
        "sealed": one.sealed,
    }


def _fragment(row: Mapping[str, Any]) -> Fragment:
    return Fragment(
        parse_fragment_key(row["key"]),
        base64.b64decode(row["payload"]),
        row["version"],
        row["parent"],
        row["order"],
        tuple((parse_ref(ref), generation) for ref, generation in row["provenance"]),
        row["sealed"],
    )


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
