"""`penstock controller` says in one line why it cannot run, before it begins anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.certificate import pair

_ADDRESS = {"PENSTOCK_XDS_ADDRESS": "penstock.example:9977"}
_CERTIFICATE = {"PENSTOCK_XDS_CERTIFICATE": "a", "PENSTOCK_XDS_KEY": "b"}
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
        (["--cluster", "east", "--kubeconfig", _FILE], {**_ADDRESS, **_CERTIFICATE}, 2, "_CERTIFICATE and PENSTOCK_XDS_CA go toge"),
        (["--cluster", "east", "--kubeconfig", _FILE], {**_ADDRESS, "PENSTOCK_XDS_CA": "a"}, 2, "_CERTIFICATE and PENSTOCK_XDS_CA"),
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
        capture_output=True, text=True, timeout=300, check=False, env={**outside, **env},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert re.search(words, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (_CERTIFICATE, "PENSTOCK_XDS_CERTIFICATE needs PENSTOCK_XDS_CA"),
        ({"PENSTOCK_XDS_CA": "/nowhere"}, "PENSTOCK_XDS_CA: /nowhere cannot be read"),
        ({"PENSTOCK_XDS_CA": "/dev/null"}, "PENSTOCK_XDS_CA: there is no certificate in /dev/null"),
    ],
)
def test_a_deployer_gives_proxies_no_publisher_that_they_cannot_trust(
    tmp_path: Path, env: dict[str, str], words: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "deploy", "--cluster", "east", "--kubeconfig", _FILE],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, **_ADDRESS, **env, "PENSTOCK_DATA": str(tmp_path / "data")},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("certificate", ["/nowhere", "/dev/null", "{tmp}/other"])
def test_a_publisher_says_what_is_wrong_with_a_certificate(tmp_path: Path, certificate: str) -> None:
    """One that is not there, is none, or is not of the key."""
    first, other = (pair(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    (tmp_path / "key").write_bytes(first[1])
    (tmp_path / "other").write_bytes(other[0])
    certificate = certificate.replace("{tmp}", str(tmp_path))
    given = {"PENSTOCK_XDS_CERTIFICATE": certificate, "PENSTOCK_XDS_KEY": str(tmp_path / "key")}
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "publish"], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PENSTOCK_XDS_LISTEN": "127.0.0.1:1", "PENSTOCK_DATA": str(tmp_path / "data"), **given},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert f"PENSTOCK_XDS_CERTIFICATE: {certificate} cannot be used (" in done.stderr
    assert "Traceback" not in done.stderr
