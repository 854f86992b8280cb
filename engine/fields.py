"""Reads the fields of a protobuf message by hand, without its class; it knows bytes, not meaning."""

from __future__ import annotations

from collections.abc import Iterator


class Malformed(ValueError):  # noqa: N818
    """The bytes are no message."""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field: an int for varints, bytes for the rest. Raises Malformed."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            msg = "field number 0"
            raise Malformed(msg)
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
        else:
            msg = f"wire type {wire}"
            raise Malformed(msg)
        if at + size > end:
            msg = "cut short"
            raise Malformed(msg)
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
            shift += 7
            if shift > 63:
                msg = "varint too long"
                raise Malformed(msg)
    except IndexError:
        msg = "cut short"
        raise Malformed(msg) from None
