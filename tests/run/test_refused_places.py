"""A data directory that cannot be made, and an Envoy that is none, are refused at the start, with the remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streams.identity import IdentityError, sealing_key
from streams.sinks.local_envoy import EnvoyMissing, checked, envoy_binary

_REMEDY = "name another one with --data, or let the user that runs penstock write there"


def told(*words: str) -> str:
    # A process of its own: `run` sets the environment of its roles.
    command = [sys.executable, "-m", "streams.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 3, done.stdout
    assert len(done.stderr.splitlines()) == 1
    return done.stderr.removeprefix("penstock: ").strip()


def test_a_data_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "manifests").mkdir()
    for data, why in (("/proc/x", "No such file or directory"), (tmp_path / "file" / "x", "Not a directory")):
        said = told("run", str(tmp_path / "manifests"), "--data", str(data))
        assert said == f"the data directory {data} cannot be used ({why}): {_REMEDY}"


def test_a_key_that_cannot_be_made() -> None:
    with pytest.raises(IdentityError, match=r"the sealing key /proc/x/sealing.key cannot be made: .*: name another"):
        sealing_key(Path("/proc/x/sealing.key"))


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "why", "seconds"),
    [
        ("exit 1", "ends with code 1", 240),
        ("echo oh no >&2; exit 3", "ends with code 3: oh no", 240),
        ("echo version 7", "says 'version 7'", 240),
        ("true", "says nothing", 240),
        ("kill -9 $$", "ends with signal 9", 240),
        ("exec sleep 600", "does not answer within 1 s", 1),
    ],
)
def test_a_program_that_is_no_envoy(tmp_path: Path, text: str, why: str, seconds: int) -> None:
    path = script(tmp_path / "program", text)
    with pytest.raises(EnvoyMissing) as error:
        checked(path, seconds=seconds)
    assert str(error.value) == (
        f"{path} is no Envoy that runs here: asked for its --version it {why}. Name another one with --envoy, or leave "
        f"the option out for the packaged one"
    )


def test_a_file_that_is_no_program_for_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF" + bytes(60))
    path.chmod(0o755)
    with pytest.raises(EnvoyMissing, match=r"cannot be started \(Exec format error\)"):
        checked(path)


def test_an_envoy_and_what_starts_one_pass(tmp_path: Path) -> None:
    packaged = envoy_binary(None)
    assert checked(packaged) == packaged
    path = script(tmp_path / "wrapped", f'exec {packaged} "$@"')
    assert checked(path) == path


def test_it_is_asked_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    said = told("run", str(tmp_path / "manifests"), "--data", str(tmp_path / "d"), "--envoy", "/bin/false")
    assert "/bin/false is no Envoy that runs here" in said or "/false is no Envoy" in said
    assert not (tmp_path / "d").exists()
