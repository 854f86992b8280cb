"""A JSON object kept as its text: a domain holds hundreds of thousands and looks into few at a time; it never changes.

As Python's dictionaries a plain HTTPRoute takes 3.4 KB, as a document 0.4 (measured). What was looked into last is
kept as both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

_LATELY: Final = 2_048
"""Documents that stay readable without being read again: what a change touches is looked into several times."""


class Document(Mapping[str, Any]):
    """Reads as the mapping that its text says. Equal to a document of equal text, and to an equal mapping.

    `text` is JSON with sorted keys, so that equal objects are equal texts.
    """

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        # A copy: orjson's bytes keep the whole of their buffer, some 2 KB however small the object is (measured).
        self.text = memoryview(text).tobytes()

    def __getitem__(self, key: str) -> Any:
        return _read(self.text)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_read(self.text))

    def __len__(self) -> int:
        return len(_read(self.text))

    def get(self, key: str, default: Any = None) -> Any:
        """As a dictionary's; the inherited one raises and catches an error for each key that is absent."""
        return _read(self.text).get(key, default)

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if type(other) is Document else _read(self.text) == other

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Document({self.text!r})"


def document(value: Mapping[str, Any]) -> Document:
    """The document of a mapping of JSON's types (refs and enums within it are text)."""
    return value if type(value) is Document else Document(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=_LATELY)
def _read(text: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(text)
    return answer
