"""Searches for planted values in whatever form they may leak: clear, base64 at any alignment, hex; Kafka segments too."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import cramjam

_HEADER = struct.Struct(">qiib4xhiqqqhii")
_BLANK = re.compile(rb"(?:\\n|\s)+")
_PLAIN, _ZSTD = 0, 4


def forms(value: bytes) -> list[bytes]:
    """What to look for: the value itself, its base64 wherever it begins within a longer text, and its hex."""
    found = [value, value.hex().encode(), value.hex().upper().encode()]
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + value)
        # The first and the last group depend on what stands beside the value.
        inside = encoded[4 if shift else 0 :].rstrip(b"=")
        inside = inside[: len(inside) // 4 * 4 - 4]
        found += [inside, inside.translate(bytes.maketrans(b"+/", b"-_"))]
    return list(dict.fromkeys(found))


def leaks(planted: Mapping[str, bytes], texts: Iterable[tuple[str, bytes]]) -> list[str]:
    """`<name of the value> in <where>` of each that is found; line breaks, indents and escaped breaks hide nothing."""
    wanted = [(name, form) for name, value in planted.items() for form in forms(value)]
    found = set()
    for where, text in texts:
        for variant in (text, _BLANK.sub(b"", text)):
            found |= {f"{name} in {where}" for name, form in wanted if form in variant}
    return sorted(found)


def files(root: Path, without: Iterable[Path] = ()) -> Iterator[tuple[str, bytes]]:
    """Every regular file below a directory."""
    left_out = {path.resolve() for path in without}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.resolve() not in left_out:
            yield str(path.relative_to(root)), path.read_bytes()


def segments(log: Path) -> Iterator[tuple[str, bytes]]:
    """The records of every batch in every segment below a Kafka log directory, decompressed."""
    for path in sorted(log.rglob("*.log")):
        for offset, records in batches(path.read_bytes()):
            yield f"{path.parent.name}@{offset}", records


def batches(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(first offset, uncompressed records) of each whole batch of a segment: Kafka's record format, version 2."""
    at = 0
    while at + _HEADER.size <= len(data):
        offset, length, _, magic, attributes = _HEADER.unpack_from(data, at)[:5]
        if length <= 0 or at + 12 + length > len(data):
            return
        assert magic == 2 and attributes & 7 in {_PLAIN, _ZSTD}
        body = data[at + _HEADER.size : at + 12 + length]
        yield offset, bytes(cramjam.zstd.decompress(body)) if attributes & 7 == _ZSTD else body
        at += 12 + length
