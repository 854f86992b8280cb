"""What CI does with tests that fail: see `.ci/pytest`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_TEST = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_it(number):
    seen = Path(__file__).with_name(f"seen-{{number}}")
    is_second, _ = seen.exists(), seen.touch()
    assert is_second and {again}, "what it said"

def test_that_is_well():
    with Path(__file__).with_name("well").open("a") as file:
        file.write("x")
"""


@pytest.mark.parametrize(
    ("count", "again", "code", "runs"), [(0, True, 0, 1), (1, True, 0, 2), (3, True, 0, 2), (3, False, 1, 2), (4, True, 1, 1)]
)
def test_few_that_fail_are_run_once_more_alone(tmp_path: Path, *, count: int, again: bool, code: int, runs: int) -> None:
    path = tmp_path / "test_some.py"
    path.write_text(_TEST.format(count=count, again=again))
    done = _run(path)
    assert done.returncode == code, done.stdout + done.stderr
    assert (tmp_path / "well").read_text() == "x", "what passed is not run again"
    assert done.stdout.count("once more, alone") == runs - 1
    assert done.stdout.count("what it said") >= count
    assert done.stdout.count("!!!!   ") == (count if not code else 0)


def test_what_failed_beside_others_is_run_once_more_alone(tmp_path: Path) -> None:
    path = tmp_path / "test_some.py"
    path.write_text(_TEST.format(count=2, again=True))
    done = _run(path, "-v", "-n", "2")
    first, again = done.stdout.split("once more, alone")
    assert (done.returncode, "gw0" in first, "gw0" in again) == (0, True, False), done.stdout + done.stderr


def test_what_is_no_failure_of_a_test_is_not_run_again(tmp_path: Path) -> None:
    path = tmp_path / "test_some.py"
    path.write_text(_TEST.format(count=1, again=True) + "\ndef test_zz():\n    raise KeyboardInterrupt\n")
    done = _run(path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "once more, alone" not in done.stdout


_FINALIZED = """
import ast
import gc

class Garbage:
    parsed = 0

    def __init__(self):
        self.itself = self

    def __del__(self):
        if Garbage.parsed < 1_000:
            Garbage.parsed += 1
            Garbage()
            ast.parse("a + b")

def test_it():
    Garbage()
    gc.set_threshold(50)
    assert False, "what it said"

def test_that_is_well():
    Garbage.parsed = 1_000
"""


def test_a_failure_is_told_whatever_is_finalized_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "test_some.py"
    path.write_text(_FINALIZED)
    path.with_name("conftest.py").write_text("from tests.conftest import pytest_runtest_makereport\n")
    done = _run(path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "what it said" in done.stdout
    assert "once more, alone" in done.stdout


_HANGING = """
import asyncio
import time
from pathlib import Path
import pytest

async def never_ends():
    while True:
        try:
            time.sleep(0.01)
            await asyncio.sleep(0)
        except BaseException:
            pass

async def test_that_hangs():
    again = Path(__file__).with_name("again")
    if not again.exists():
        again.touch()
        task = asyncio.create_task(never_ends())
        await asyncio.sleep(0)
        assert task.done()

@pytest.mark.parametrize("number", range(5))
def test_it(number):
    pass
"""


def test_what_no_timeout_ends_is_told_and_takes_nothing_else_along(tmp_path: Path) -> None:
    """A test's loop waits, as it closes, for a task that does not end: CI said nothing for ever."""
    path = tmp_path / "test_some.py"
    path.write_text(_HANGING)
    hooks = "pytest_configure, pytest_runtest_protocol, pytest_runtest_teardown"
    path.with_name("conftest.py").write_text(f"from tests.conftest import {hooks}\n")
    done = _run(path, "-n", "2", "--dist", "loadfile", "-o", "timeout=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in never_ends" in done.stderr
    assert "PASSED ONLY AT THE SECOND TIME: see FAILED above" in done.stdout
    assert "6 passed" in done.stdout


def _run(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    # As the project's own tests are run: with its settings.
    words = [str(_ROOT / ".ci" / "pytest"), "-q", "-c", str(_ROOT / "pyproject.toml"), *more, str(path)]
    return subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=300)
