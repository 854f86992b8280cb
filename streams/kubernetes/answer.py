"""What an API server answers, from bytes to values: what is no list, or no event, is not believed to be an empty one.

It asks nothing and knows no client. All of it raises ValueError, TypeError, KeyError or AttributeError for nonsense.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

import orjson

from streams.kubernetes.cluster import Event, Json, Page, Verb

_DEEPEST: Final = 500
"""Levels that are kept. An API server takes 10,000, a parser here about 1,000, and one of our kinds 48."""
_LONGEST: Final = 64 << 20
"""Bytes of one event. An object has 1.5 MiB in etcd, and up to six times that in JSON, where `<` is `\\u003c`."""
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}]', re.DOTALL)


def parsed(text: bytes) -> Any:
    """JSON. Of an object that is too deep to be read null stands for its depths: it is refused then, by itself."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Somebody may write one at any time, and all of its kind would stand still.
        return orjson.loads(_shallow(text))


def page_of(answer: Any) -> Page:
    """A page of a listing."""
    metadata, items = answer["metadata"], answer.get("items") or ()
    version = metadata["resourceVersion"]
    if not str(answer.get("kind")).endswith("List") or not isinstance(version, str) or not version:
        raise ValueError("no list")
    return Page(tuple(map(_object, items)), version, str(metadata.get("continue") or ""))


def event_of(event: Any) -> Event:
    """An event of a watch that is no error."""
    verb, object_ = Verb(event["type"]), event["object"]
    if verb is Verb.BOOKMARK:
        object_["metadata"]["resourceVersion"]
        return Event(verb, object_)
    return Event(verb, _object(object_))


async def lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The lines of a stream, without their ends; what stands behind the last end is none."""
    parts: list[bytes] = []
    length = 0
    async for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield b"".join([*parts, line])
            parts, length = [], 0
        parts.append(rest)
        length += len(rest)
        if length > _LONGEST:
            raise ValueError("an event without an end")


def _object(value: Any) -> Json:
    name = value["metadata"]["name"]
    if not isinstance(name, str) or not name:
        raise ValueError("no object")
    found: Json = value
    return found


def _shallow(text: bytes) -> bytes:
    """The text with null for whatever is nested too deeply."""
    kept, begin, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case b"{" | b"[":
                depth += 1
                if depth == _DEEPEST:
                    kept.append(text[begin : token.start()])
            case b"}" | b"]":
                if depth == _DEEPEST:
                    kept.append(b"null")
                    begin = token.end()
                depth -= 1
    # What is cut off in its depths has no end, and is no JSON.
    return b"".join([*kept, text[begin:]])
