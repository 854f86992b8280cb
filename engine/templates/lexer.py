"""Cuts a template into tokens: text as it stands, and what is between its marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from engine.templates.tree import Place, Wrong


class Token(NamedTuple):
    """`kind` is text, name, string, int, float, op, begin ("{{" or "{%"), end ("}}" or "%}") or eof."""

    kind: str
    value: str
    at: Place

    def __str__(self) -> str:
        return {"eof": "the end", "string": "a text"}.get(self.kind, repr(self.value[:32]))


_OPEN: Final = re.compile(r"\{[{%#]")
_SPACE: Final = re.compile(r"\s+")
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\s*([-+]?)%\}")
_END_RAW: Final = re.compile(r"\{%([-+]?)\s*endraw\s*([-+]?)%\}")
_NAME: Final = re.compile(r"[^\W\d]\w*")
_NUMBER: Final = re.compile(
    r"0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"
    r"|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d[\d_]*)?"
)
_STRING: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_OPERATOR: Final = re.compile(r"\*\*|//|==|!=|<=|>=|[-+*/%~|.,:()\[\]{}<>=]")
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "0": "\0"}
_CLOSE: Final = {"{{": "}}", "{%": "%}"}


def tokens(source: str) -> Iterator[Token]:
    """All tokens, the last of them eof. Raises Wrong."""
    return _Lexer(source).run()


class _Lexer:
    """One pass over one template."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._position = 0
        self._trim = False

    def run(self) -> Iterator[Token]:
        while self._position < len(self._source):
            yield from self._text()
            if self._position < len(self._source):
                yield from self._marked()
        yield Token("eof", "", self._place())

    def _place(self, position: int | None = None) -> Place:
        until = self._source[: self._position if position is None else position]
        return Place(until.count("\n") + 1, len(until) - (until.rfind("\n") + 1) + 1)

    def _text(self) -> Iterator[Token]:
        """What stands before the next mark."""
        begin = self._position
        found = _OPEN.search(self._source, begin)
        end = found.start() if found is not None else len(self._source)
        text = self._source[begin:end]
        if self._trim:
            text = text.lstrip()
        if found is not None and self._source[end + 2 : end + 3] == "-":
            text = text.rstrip()
        self._trim = False
        self._position = end
        if text:
            yield Token("text", text, self._place(begin))

    def _marked(self) -> Iterator[Token]:
        source, begin = self._source, self._position
        if source.startswith("{#", begin):
            return self._comment()
        if (raw := _RAW.match(source, begin)) is not None:
            return self._raw(raw)
        return self._inside(source[begin : begin + 2])

    def _comment(self) -> Iterator[Token]:
        end = self._source.find("#}", self._position + 2)
        if end < 0:
            raise Wrong(self._place(), "this comment does not end: write #} behind it")
        self._trim = self._source[end - 1] == "-" and end - 1 > self._position + 1
        self._position = end + 2
        return iter(())

    def _raw(self, opened: re.Match[str]) -> Iterator[Token]:
        closed = _END_RAW.search(self._source, opened.end())
        if closed is None:
            raise Wrong(self._place(), "raw does not end: write {% endraw %} behind it")
        text = self._source[opened.end() : closed.start()]
        text = text.lstrip() if opened[1] == "-" else text
        text = text.rstrip() if closed[1] == "-" else text
        place = self._place(opened.end())
        self._position, self._trim = closed.end(), closed[2] == "-"
        if text:
            yield Token("text", text, place)

    def _inside(self, opening: str) -> Iterator[Token]:
        """The tokens of an expression or a statement, with its marks."""
        begin, close, depth = self._place(), _CLOSE[opening], 0
        yield Token("begin", opening, begin)
        self._position += 2
        if self._source[self._position : self._position + 1] in {"-", "+"}:
            self._position += 1
        while True:
            if (space := _SPACE.match(self._source, self._position)) is not None:
                self._position = space.end()
            if self._position >= len(self._source):
                raise Wrong(begin, f"this does not end: write {close} behind it")
            if depth == 0 and (length := self._closing(close)):
                yield Token("end", close, self._place())
                self._trim = length == 3 and self._source[self._position] == "-"
                self._position += length
                return
            token = self._token()
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(token.value, 0) * (token.kind == "op")
            yield token

    def _closing(self, close: str) -> int:
        """How long the closing mark here is, 0 when there is none."""
        for mark in (close, "-" + close, "+" + close):
            if self._source.startswith(mark, self._position):
                return len(mark)
        return 0

    def _token(self) -> Token:
        source, begin, place = self._source, self._position, self._place()
        if (found := _NAME.match(source, begin)) is not None:
            self._position = found.end()
            return Token("name", found[0], place)
        if (found := _NUMBER.match(source, begin)) is not None:
            self._position = found.end()
            return Token(*_number(found[0], place), place)
        if (found := _STRING.match(source, begin)) is not None:
            self._position = found.end()
            return Token("string", _unescaped(found[0][1:-1], place), place)
        if (found := _OPERATOR.match(source, begin)) is not None:
            self._position = found.end()
            return Token("op", found[0], place)
        if source[begin] in "'\"":
            raise Wrong(place, f"this text does not end: write {source[begin]} behind it")
        raise Wrong(place, f"unexpected {source[begin]!r}")


def _number(text: str, place: Place) -> tuple[str, str]:
    if text.endswith("_"):
        raise Wrong(place, "a number cannot end with _")
    plain = text.replace("_", "")
    if re.fullmatch(r"\d+", plain) is not None:
        return "int", str(int(plain))
    if plain[:2].lower() in {"0x", "0o", "0b"} and len(plain) > 2:
        return "int", str(int(plain, 0))
    try:
        return "float", repr(float(plain))
    except ValueError:
        raise Wrong(place, f"{text[:32]!r} is no number") from None


def _unescaped(text: str, place: Place) -> str:
    def character(found: re.Match[str]) -> str:
        one = found[1]
        if one[0] in "ux" and len(one) > 1:
            return chr(int(one[1:], 16))
        if one in {"u", "x"}:
            raise Wrong(place, rf"\{one} stands before hexadecimal digits, as in \u00e9")
        return _ESCAPED.get(one, one)

    # Surrogates are written as two escapes, as in JSON.
    try:
        return _ESCAPE.sub(character, text).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise Wrong(place, "half of a surrogate pair is no character") from None
