"""A wheel has all that a process reads beside its own code, and is enough to judge manifests with."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("engine", "streams")
_TEMPLATES = _ROOT / "tests" / "golden" / "cases" / "transformation-as-documented" / "input.yaml"
_CHECK = """
import engine, streams
from streams.cli import main
print(engine.__file__, streams.__file__, flush=True)
main()
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `pip wheel` would build it, by the same backend; no package is fetched for it."""
    directory = tmp_path_factory.mktemp("wheel")
    wheel = next(WheelBuilder(str(_ROOT)).build(directory=str(directory / "dist"), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "site")
    return directory / "site"


def test_a_wheel_has_every_file_of_its_packages(unpacked: Path) -> None:
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *_PACKAGES],
        cwd=_ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = {name for name in done.stdout.split("\0") if name and (_ROOT / name).is_file()}
    assert {name for name in ours if not name.endswith(".py")}, "data files"
    packed = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert {name for name in packed if not name.startswith("penstock-")} == ours


def test_what_a_wheel_has_is_enough(unpacked: Path, tmp_path: Path) -> None:
    """Templates need their runtime, and every message is compared with Envoy's field rules."""
    (tmp_path / "all.yaml").write_text(_TEMPLATES.read_text())
    done = subprocess.run(
        [sys.executable, "-P", "-c", _CHECK, "check", str(tmp_path), "-o", "json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
    )  # fmt: skip
    where, _, said = done.stdout.partition("\n")
    assert where.split() == [str(unpacked / name / "__init__.py") for name in _PACKAGES]
    assert done.returncode == 0, said + done.stderr
