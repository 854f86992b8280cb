"""Builds the conformance suite and its echo server from their Go modules, once, beside the API server's binaries."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kubernetes.bed import binaries as cluster
from tests.kubernetes.bed.binaries import MissingBedError

HERE = Path(__file__).parent / "suite"
_SOURCES = ("go.mod", "go.sum", "suite.go", "suite_test.go")
_BUILDS = {
    "suite": ("test", "-c", "-o"),
    "echo-basic": ("build", "-o"),
}
_PACKAGES = {"suite": ".", "echo-basic": "sigs.k8s.io/gateway-api/conformance/echo-basic"}
_MARK = "INVENTORY "
OTHER = "CONFORMANCE_SUITE"
"""The variable that names a folder with another `suite` and `echo-basic`."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the suite asks: its version, all features of gateways, and its tests with the features of each."""

    version: str
    features: tuple[str, ...]
    tests: dict[str, tuple[str, ...]]


def other() -> Path | None:
    """A folder with the binaries of another version, such as of the main branch: none of the project's own."""
    given = os.environ.get(OTHER)
    return Path(given).absolute() if given else None


def folder() -> Path:
    """Where this version's binaries are: another source is another folder."""
    if (given := other()) is not None:
        return given
    digest = hashlib.blake2b(digest_size=8)
    for name in _SOURCES:
        digest.update((HERE / name).read_bytes())
    return cluster.folder().parent / f"suite-{digest.hexdigest()}"


def is_built() -> bool:
    """Whether everything is there."""
    return all((folder() / name).exists() for name in _BUILDS)


def binary(name: str) -> Path:
    """`suite` or `echo-basic`. Raises MissingBedError."""
    if not is_built():
        msg = "the conformance suite is not built: `make kubernetes-bed` builds it (needs go, some minutes, once)"
        raise MissingBedError(msg)
    return folder() / name


def build() -> None:
    """Build what is not there yet. Raises MissingBedError without go, and CalledProcessError."""
    if is_built():
        return
    if shutil.which("go") is None:
        msg = f"{cluster.NEEDED}, and the conformance suite with it, and there is none on the PATH"
        raise MissingBedError(msg)
    folder().mkdir(parents=True, exist_ok=True)
    for name, words in _BUILDS.items():
        cluster.compile_into(folder() / name, words, _PACKAGES[name], HERE)


def inventory() -> Inventory:
    """Asked of the suite itself. Raises MissingBedError, and CalledProcessError."""
    words = [str(binary("suite")), "-test.run", "^TestInventory$"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    line = next(line for line in said.splitlines() if line.startswith(_MARK))
    found: dict[str, Any] = json.loads(line.removeprefix(_MARK))
    tests = {name: tuple(features) for name, features in found["tests"].items()}
    return Inventory(found["version"], tuple(found["features"]), tests)
