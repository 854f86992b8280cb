"""How commands end early: quietly, when nobody reads what they print, and by Ctrl-C, whatever they are at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.log import Place, resolved

_SCRIPT = """
import os, signal, sys
from streams.cli import main

class Interrupting:
    "Ctrl-C while a module is imported."
    module = sys.argv.pop(1)
    def find_spec(self, name, path=None, target=None):
        if name == self.module:
            os.kill(os.getpid(), signal.SIGINT)

# What is imported by then cannot be interrupted.
assert Interrupting.module not in sys.modules
sys.meta_path.insert(0, Interrupting())
main()
"""


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("typer", "log"),
        ("streams.cli.application", "check x"),
        ("streams.cli.commands.log", "log"),
        ("pydantic_settings", "status"),
        ("aiokafka", "get gateways"),
        ("streams.standalone", "run ."),
    ],
)
def test_ctrl_c_while_it_imports(tmp_path: Path, module: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, module, *words.split()],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def closed(words: list[str], environment: dict[str, str] | None = None, lines: int = 0) -> tuple[int, str]:
    """The code of a command whose reader goes after so many lines, and what it says on standard error."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(lines):
            assert process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
    return process.returncode, told


@pytest.mark.parametrize("words", ["--version", "--help", "crds", "check {tmp}", "check {tmp} -o json", "check {tmp} -o yaml"])
def test_nobody_reads_what_needs_no_log(tmp_path: Path, words: str) -> None:
    (tmp_path / "a.yaml").write_text("kind: [")
    assert closed(words.format(tmp=tmp_path).split()) == (141, "")


def test_nobody_reads_what_it_says_on_standard_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "check", str(tmp_path / "none")], stdout=write, stderr=write, check=False
    )
    os.close(write)
    assert done.returncode == 141


@pytest.mark.parametrize("words", ["--version", "crds", "check {tmp}", "check {tmp} -o json"])
def test_what_cannot_be_written_is_told_in_a_line(tmp_path: Path, words: str) -> None:
    (tmp_path / "a.yaml").write_text("kind: [")
    told = "penstock: what is printed cannot be written: No space left on device\n"
    assert _into(words.format(tmp=tmp_path), "> /dev/full") == (3, told)
    assert _into(words.format(tmp=tmp_path), "> /dev/full 2>&1") == (3, "")


@pytest.mark.parametrize("words", ["--version", "--help", "crds", "check {tmp}", "check {tmp} -o json"])
def test_a_closed_standard_output_is_quiet(tmp_path: Path, words: str) -> None:
    assert _into(words.format(tmp=tmp_path), ">&-") == (0, "")
    assert _into(words.format(tmp=tmp_path), ">&- 2>&-") == (0, "")


def _into(words: str, where: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """The code of a command whose output goes there, as a shell says it, and what it says on standard error."""
    done = subprocess.run(
        ["bash", "-c", f"exec {sys.executable} -m streams.cli {words} {where}"],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("d")) as found:
        yield found


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("log", 1),
        ("log --follow --limit 1", 1),
        ("log --follow", 0),
        ("log --follow -o json", 0),
        ("log -o json", 0),
        ("get httproutes", 0),
        ("get httproutes -o json", 0),
        ("graph routes -o yaml", 0),
        ("status", 0),
        ("status -o json", 0),
        ("replay --digest", 0),
    ],
)
def test_nobody_reads_the_log(place: Place, words: str, lines: int) -> None:
    environment = {
        "PENSTOCK_TOPIC_PREFIX": place.prefix, "PENSTOCK_DATA": str(place.data), "PENSTOCK_BROKERS": place.brokers,
    }  # fmt: skip
    # What is read before it goes may be all that there was to say.
    assert closed(words.split(), environment, lines) in ({(141, "")} | ({(0, "")} if words == "log" else set()))


@pytest.mark.kafka
def test_what_is_read_of_the_log_cannot_be_written(place: Place) -> None:
    environment = {
        "PENSTOCK_TOPIC_PREFIX": place.prefix, "PENSTOCK_DATA": str(place.data), "PENSTOCK_BROKERS": place.brokers,
    }  # fmt: skip
    told = "penstock: what is printed cannot be written: No space left on device\n"
    for words in ("get httproutes", "get httproutes -o yaml", "status", "log"):
        assert _into(words, "> /dev/full", environment) == (3, told)
    for words in ("get httproutes", "graph routes", "log"):
        assert _into(words, ">&-", environment) == (0, "")
    code, told = _into("replay --out /dev/full", "", environment)
    assert (code, told) == (3, "penstock: /dev/full cannot be written (File exists): name a directory with --out\n")


def test_ctrl_c_in_the_background_stays_ignored(tmp_path: Path) -> None:
    """As a shell starts what stands before an ampersand."""
    script = _SCRIPT.replace("import os, signal, sys\n", "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n")
    done = subprocess.run(
        [sys.executable, "-c", script, "typer", "--version"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
