"""Helm, built from its Go module once into the user's cache; and what it makes of the chart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "penstock"
VERSION = "v3.22.0"
NEEDED = "the Helm chart's tests need `go` (1.26 or newer, https://go.dev/dl) to build helm"
LEAST = ("cluster=east", "kafka.brokers=kafka:9092")
"""What an installation must say."""


def binary() -> Path:
    """Where helm is, or will be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "penstock" / "helm" / VERSION / "helm"


def build() -> None:
    """Build helm where it is not there yet. Raises CalledProcessError, or RuntimeError without go."""
    if binary().exists():
        return
    if shutil.which("go") is None:
        msg = f"{NEEDED}, and there is none on the PATH"
        raise RuntimeError(msg)
    binary().parent.mkdir(parents=True, exist_ok=True)
    command = ["go", "install", f"helm.sh/helm/v3/cmd/helm@{VERSION}"]
    subprocess.run(command, check=True, env={**os.environ, "GOBIN": str(binary().parent)}, cwd=binary().parent)


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    """What helm says."""
    assert binary().exists(), f"{NEEDED}; with it, `make helm` builds it, once"
    return subprocess.run([binary(), *words], capture_output=True, text=True, timeout=300, check=False)


def rendered(
    *values: str, release: str = "penstock", namespace: str = "default", crds: bool = False
) -> list[dict[str, Any]]:
    """All objects of a release, its CRDs first when they are asked for; `values` are NAME=VALUE."""
    sets = [word for one in (*LEAST, *values) for word in ("--set", one)]
    sets += ["--include-crds"] * crds
    done = helm("template", release, str(CHART), "--namespace", namespace, "--kube-version", "1.37.0", *sets)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def only(kind: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The one object of a kind."""
    (found,) = [one for one in objects if one["kind"] == kind]
    return found


def main() -> int:
    """`ready`: exit code 0 when helm is there, else say what is missing; otherwise build it."""
    if sys.argv[1:] == ["ready"]:
        if not binary().exists():
            sys.stdout.write(f"left out: tests of the Helm chart. {NEEDED}: run `make helm`, once.\n")
        return 0 if binary().exists() else 1
    try:
        build()
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 3
    sys.stdout.write(f"helm is {binary()}\n")
    return 0
