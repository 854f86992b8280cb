"""The budgets of size: files of at most 400 lines, functions of at most 50, and at most 5 parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.syntax import parsed

_ROOT = Path(__file__).parents[1]
_FILE_LINES = 400
_FUNCTION_LINES = 50
_PARAMETERS = 5

_WIDE = {
    "tests/conformance/__main__.py:main",
    # All but the first two are named at every call.
    "engine/envoy/fragment.py:fragment",
    "streams/codec.py:_row",
    "tests/support/manifests.py:put",
}
"""Functions that may take more parameters, each with its reason."""

_FILES = sorted(
    path.relative_to(_ROOT).as_posix()
    for folder in ("engine", "streams", "deploy", "tests")
    for path in (_ROOT / folder).rglob("*.py")
)


def _parsed(path: str) -> ast.Module:
    return parsed((_ROOT / path).read_text(encoding="utf-8"))


def _functions(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _commands(path: str) -> set[str]:
    """Functions that are commands, `app.command(...)(these)`: typer makes an option of each parameter."""
    calls = [node for node in ast.walk(_parsed(path)) if isinstance(node, ast.Call)]
    made = [one for one in calls if isinstance(one.func, ast.Call) and ast.unparse(one.func.func) == "app.command"]
    return {one.args[0].id for one in made if isinstance(one.args[0], ast.Name)}


def _wide(path: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    commands = _commands(path)
    return [one for one in _functions(path) if _parameters(one) > _PARAMETERS and one.name not in commands]


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    return len([one for one in (*given.posonlyargs, *given.args, *given.kwonlyargs) if one.arg not in {"self", "cls"}])


@pytest.mark.parametrize("path", _FILES)
def test_a_file_stays_within_its_budgets(path: str) -> None:
    """Split a file or a function by what it is about; bundle parameters that travel together into a value."""
    lines = (_ROOT / path).read_text(encoding="utf-8").count("\n")
    assert lines <= _FILE_LINES, f"{path} has {lines} lines"
    for function in _functions(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length <= _FUNCTION_LINES, f"{path}:{function.lineno} {function.name} has {length} lines"
    for function in _wide(path):
        assert f"{path}:{function.name}" in _WIDE, f"{path}:{function.lineno} {function.name}: parameters"


def test_no_exception_is_left_over() -> None:
    """A function that was narrowed or renamed leaves the list."""
    wide = {f"{path}:{one.name}" for path in _FILES for one in _wide(path)}
    assert wide >= _WIDE
