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
    # Commands: typer makes an option of each parameter.
    "streams/cli/controller.py:controller",
    "streams/cli/diff.py:diff",
    "streams/cli/wait.py:wait",
    "streams/cli/explain.py:explain",
    "streams/cli/get.py:get",
    "streams/cli/graph.py:graph",
    "streams/cli/history.py:history",
    "streams/cli/log.py:show_log",
    "streams/cli/pin.py:pin",
    "streams/cli/quarantine.py:quarantine",
    "streams/cli/replay.py:replay",
    "streams/cli/rollback.py:rollback",
    "streams/cli/run.py:run",
    "streams/cli/show.py:show",
    "streams/cli/status.py:status",
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
        if f"{path}:{function.name}" not in _WIDE:
            assert _parameters(function) <= _PARAMETERS, f"{path}:{function.lineno} {function.name}: parameters"


def test_no_exception_is_left_over() -> None:
    """A function that was narrowed or renamed leaves the list."""
    wide = {f"{path}:{one.name}" for path in _FILES for one in _functions(path) if _parameters(one) > _PARAMETERS}
    assert wide >= _WIDE
