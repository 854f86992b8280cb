"""Builds etcd and kube-apiserver from their Go modules and fetches the CRDs, once; they stay in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
_PACKAGES = {"etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"}
_GATEWAY_API = "sigs.k8s.io/gateway-api"
_CRDS = "config/crd/experimental"
_TOLD_SECONDS = 30.0
NEEDED = "the Kubernetes test bed needs `go` (1.26 or newer, https://go.dev/dl) to build etcd and kube-apiserver"


class MissingBedError(RuntimeError):
    """The bed is not built, or cannot be; the message says what to do."""


def folder() -> Path:
    """Where this version's binaries are: another go.sum is another folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.blake2b(digest_size=8)
    for name in ("cluster", "crds"):
        digest.update((HERE / name / "go.sum").read_bytes())
    return cache / "penstock" / "kubernetes" / digest.hexdigest()


def is_built() -> bool:
    """Whether everything is there."""
    return all((folder() / name).exists() for name in (*_PACKAGES, "crds"))


def binary(name: str) -> Path:
    """A binary of the bed. Raises MissingBedError."""
    if not is_built():
        msg = f"{NEEDED}; with it, `make kubernetes-bed` builds them (about 12 minutes on two cores, once)"
        raise MissingBedError(msg)
    return folder() / name


def crds() -> list[Path]:
    """The Gateway API's CRDs of the experimental channel. Raises MissingBedError."""
    return sorted(binary("crds").glob("gateway.networking.k8s.io_*.yaml"))


def build() -> None:
    """Build what is not there yet. Raises MissingBedError without go, and CalledProcessError."""
    if is_built():
        return
    if shutil.which("go") is None:
        msg = f"{NEEDED}, and there is none on the PATH"
        raise MissingBedError(msg)
    folder().mkdir(parents=True, exist_ok=True)
    for name, package in _PACKAGES.items():
        compile_into(folder() / name, ("build", "-o"), package, HERE / "cluster")
    _fetch_crds(folder() / "crds")


def compile_into(target: Path, words: Sequence[str], package: str, module: Path) -> None:
    """Let go make `target` of a package of a module, unless it is there. Raises CalledProcessError."""
    if target.exists():
        return
    _say(f"building {target.name} from {package} (minutes)")
    # Renamed into place: one that was interrupted is no binary.
    partial = target.with_suffix(".partial")
    command, began = ["go", *words, str(partial), package], time.monotonic()
    with subprocess.Popen(command, cwd=module) as process:
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_TOLD_SECONDS)
            # Without a word in minutes it looks as if it hung.
            _say(f"  {target.name}: {time.monotonic() - began:.0f} s")
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    partial.rename(target)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _fetch_crds(target: Path) -> None:
    if target.exists():
        return
    module = HERE / "crds"
    subprocess.run(["go", "mod", "download", _GATEWAY_API], cwd=module, check=True)
    listed = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", _GATEWAY_API], cwd=module, check=True, capture_output=True, text=True
    )
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for path in sorted((Path(listed.stdout.strip()) / _CRDS).glob("gateway.networking.k8s.io_*.yaml")):
        (partial / path.name).write_bytes(path.read_bytes())
    partial.rename(target)
