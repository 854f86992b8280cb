"""Walks the tokens of a template, one ahead; it knows no grammar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from engine.templates.lexer import Token, tokens
from engine.templates.tree import Place, Wrong

NESTED: Final = 50
"""How deep statements and expressions may stand in one another."""


class Cursor:
    """The token at hand, and how deep the parser is."""

    def __init__(self, source: str) -> None:
        self._rest = tokens(source)
        self._depth = 0
        self.token: Token = next(self._rest)

    @property
    def at(self) -> Place:
        """Where it is."""
        return self.token.at

    def next(self) -> Token:
        """Take the token at hand."""
        taken = self.token
        if taken.kind != "eof":
            self.token = next(self._rest)
        return taken

    def is_op(self, *values: str) -> bool:
        """Whether one of these operators is at hand."""
        return self.token.kind == "op" and self.token.value in values

    def is_name(self, *values: str) -> bool:
        """Whether one of these words is at hand."""
        return self.token.kind == "name" and self.token.value in values

    def skip_op(self, value: str) -> bool:
        """Take the operator if it is at hand."""
        return self.is_op(value) and bool(self.next())

    def skip_name(self, value: str) -> bool:
        """Take the word if it is at hand."""
        return self.is_name(value) and bool(self.next())

    def expect_op(self, value: str) -> None:
        """Take the operator; raises Wrong when another is at hand."""
        if not self.skip_op(value):
            raise self.unexpected(repr(value))

    def name(self, what: str) -> Token:
        """Take a word; raises Wrong when there is none, saying `what` it would have been."""
        if self.token.kind != "name":
            raise self.unexpected(what)
        return self.next()

    def end(self) -> None:
        """Take the closing mark; raises Wrong when something else is at hand."""
        if self.token.kind != "end":
            raise self.unexpected("the end of the statement")
        self.next()

    def unexpected(self, wanted: str) -> Wrong:
        """The error of a token that does not fit."""
        return Wrong(self.at, f"unexpected {self.token}: here {wanted} must stand")

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level down; raises Wrong when that is too deep."""
        self._depth += 1
        if self._depth > NESTED:
            raise Wrong(self.at, f"this stands in more than {NESTED} others: take it apart")
        yield
        self._depth -= 1
