"""`penstock controller` says in one line why it cannot run, before it begins anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ADDRESS = {"PENSTOCK_XDS_ADDRESS": "penstock.example:9977"}
_FILE = "/proc/self/status"
"""A file as good as any: what stands in a kubeconfig is its roles' business."""


@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    [
        ([], _ADDRESS, 2, "Missing option '--cluster'"),
        (["--cluster", "East_1"], _ADDRESS, 2, "'East_1' is no name for a cluster"),
        (["--cluster", "east"], _ADDRESS, 3, "no --kubeconfig is given, and this is no pod"),
        (["--cluster", "east", "--kubeconfig", "{tmp}/none"], _ADDRESS, 3, "none is not there: name the kubeconfig"),
        (["--cluster", "east", "--kubeconfig", _FILE], {}, 2, "PENSTOCK_XDS_ADDRESS is not set: .* as host:port"),
        (["--cluster", "east", "--kubeconfig", _FILE], {"PENSTOCK_XDS_ADDRESS": "x"}, 2, "PENSTOCK_XDS_ADDRESS: 'x' is none"),
        (["--cluster", "east", "--brokers", "x:y"], _ADDRESS, 2, "--brokers: "),
        (["--cluster", "east", "--kubeconfig", _FILE], {**_ADDRESS, "PENSTOCK_SEALING_KEY": "/dev/null"}, 3, "is no sealing key"),
    ],
)
def test_what_cannot_run_says_why_in_a_line(
    tmp_path: Path, arguments: list[str], env: dict[str, str], code: int, words: str
) -> None:
    given = [one.replace("{tmp}", str(tmp_path)) for one in arguments]
    outside = {name: value for name, value in os.environ.items() if name != "KUBERNETES_SERVICE_HOST"}
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "controller", *given, "--data", str(tmp_path / "data")],
        capture_output=True, text=True, timeout=60, check=False, env={**outside, **env},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert re.search(words, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
