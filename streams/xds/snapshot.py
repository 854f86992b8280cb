"""The last state served, on disk and sealed: a proxy that starts while Kafka is away is served from it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from engine.ref import parse_ref
from engine.seal import Sealer, UnsealError
from engine.update import Fragment, FragmentKey, parse_fragment_key

_CONTEXT = b"penstock-snapshot-v1"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fragments of a domain up to an offset."""

    fragments: Mapping[FragmentKey, Fragment]
    offset: int


def save(path: Path, fragments: Iterable[Fragment], offset: int, sealer: Sealer) -> None:
    """Replace the snapshot atomically: a crash leaves the old or the new one. Raises OSError."""
    rows = [
        {
            "key": str(one.key),
            "payload": base64.b64encode(one.payload).decode(),
            "version": one.version,
            "parent": one.parent,
            "order": one.order,
            "provenance": [[str(ref), generation] for ref, generation in one.provenance],
            "sealed": one.sealed,
        }
        for one in fragments
    ]
    sealed = sealer.seal(orjson.dumps({"offset": offset, "fragments": rows}), _CONTEXT)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path, sealer: Sealer) -> Snapshot | None:
    """The snapshot; None when there is none, or when it is damaged or sealed with another key."""
    try:
        data = orjson.loads(sealer.unseal(path.read_bytes(), _CONTEXT))
        fragments = [_fragment(row) for row in data["fragments"]]
        return Snapshot({one.key: one for one in fragments}, int(data["offset"]))
    except (OSError, UnsealError, ValueError, KeyError, TypeError):
        return None


def _fragment(row: Mapping[str, object]) -> Fragment:
    return Fragment(
        parse_fragment_key(str(row["key"])),
        base64.b64decode(str(row["payload"])),
        str(row["version"]),
        str(row["parent"]),
        str(row["order"]),
        tuple((parse_ref(ref), int(generation)) for ref, generation in row["provenance"]),  # type: ignore[attr-defined]
        bool(row["sealed"]),
    )
