"""Python's own source, as the tests that judge it read it."""

from __future__ import annotations

import ast
import gc


def parsed(text: str) -> ast.Module:
    """The syntax tree; meanwhile nothing is collected.

    A finalizer that the collector runs inside CPython 3.11's parser may enter it again, which it does not survive
    (gh-106905): `AST constructor recursion depth mismatch`.
    """
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        if was_collecting:
            gc.enable()
